"""Activation, ReLU, LeakyReLU, ELU, PReLU, Softmax: elementwise functions as layers."""

from __future__ import annotations

import math
import warnings

from kcore import activations, ops
from kcore.layers.input_spec import InputSpec
from kcore.layers.options import BuiltinLayer, add_weight


class _Elementwise(BuiltinLayer):
    """A layer that keeps shape and mask."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def compute_output_shape(self, input_shape):
        return input_shape


class Activation(_Elementwise):
    """Applies an activation, by name or as a function.

    >>> import numpy as np
    >>> Activation("relu")(np.array([-1.0, 2.0], "float32")).numpy().tolist()
    [0.0, 2.0]
    """

    OPTIONS = ("activation",)

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs):
        return self.activation(inputs)


class ReLU(_Elementwise):
    """`max(x, 0)`, with a slope below `threshold` and a ceiling.

    `max_value` where x >= max_value; x where threshold <= x < max_value; `negative_slope * (x - threshold)` below.

    Raises:
        ValueError: an argument is negative or, but for `max_value`, None.

    >>> import numpy as np
    >>> ReLU(max_value=1.0)(np.array([-1.0, 0.5, 2.0], "float32")).numpy().tolist()
    [0.0, 0.5, 1.0]
    """

    OPTIONS = ("max_value", "negative_slope", "threshold")

    def __init__(self, max_value=None, negative_slope=0.0, threshold=0.0, **kwargs):
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else _nonnegative(self, "max_value", max_value)
        self.negative_slope = _nonnegative(self, "negative_slope", negative_slope)
        self.threshold = _nonnegative(self, "threshold", threshold)

    def call(self, inputs):
        return activations.relu(
            inputs, negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold
        )


class LeakyReLU(_Elementwise):
    """`x` where x > 0, else `negative_slope * x`.

    >>> import numpy as np
    >>> LeakyReLU(0.5)(np.array([-1.0, 2.0], "float32")).numpy().tolist()
    [-0.5, 2.0]
    """

    OPTIONS = ("negative_slope",)

    def __init__(self, negative_slope=0.3, **kwargs):
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
            warnings.warn("[LeakyReLU] alpha is the old name of negative_slope", stacklevel=2)
        super().__init__(**kwargs)
        self.negative_slope = _nonnegative(self, "negative_slope", negative_slope)

    def call(self, inputs):
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)


class ELU(_Elementwise):
    """`x` where x > 0, else `alpha * (exp(x) - 1)` (Clevert et al., arXiv 1511.07289).

    >>> import numpy as np
    >>> ELU()(np.array([0.0, 2.0], "float32")).numpy().tolist()
    [0.0, 2.0]
    """

    OPTIONS = ("alpha",)

    def __init__(self, alpha=1.0, **kwargs):
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs):
        return activations.elu(inputs, alpha=self.alpha)


class PReLU(BuiltinLayer):
    """`x` where x > 0, else `alpha * x` with a trained `alpha` (He et al., arXiv 1502.01852).

    Args:
        alpha_initializer, alpha_regularizer, alpha_constraint: for `alpha`.
        shared_axes: axes along which one alpha is shared, counted with the batch as 0.

    Input shape and output shape: any. Weights: `alpha (*input_shape[1:])`, with 1 along shared axes.

    >>> import numpy as np
    >>> PReLU(shared_axes=[1])(np.ones((2, 3, 4), "float32")).shape
    (2, 3, 4)
    """

    OPTIONS = ("alpha_initializer", "alpha_regularizer", "alpha_constraint", "shared_axes")

    def __init__(
        self, alpha_initializer="Zeros", alpha_regularizer=None, alpha_constraint=None, shared_axes=None, **kwargs
    ):
        super().__init__(**kwargs)
        if shared_axes is not None:
            shared_axes = list(shared_axes) if isinstance(shared_axes, (list, tuple)) else [shared_axes]
        self.set_options(locals())
        self.supports_masking = True

    def build(self, input_shape):
        shared = self.shared_axes or []
        shape = tuple(1 if axis in shared else size for axis, size in enumerate(input_shape))[1:]
        if None in shape:
            raise ValueError(
                f"[PReLU] expected known sizes but for the batch and shared_axes, received {tuple(input_shape)}"
            )
        self.alpha = add_weight(self, "alpha", shape)
        axes = {axis: size for axis, size in enumerate(input_shape) if axis and axis not in shared}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes)
        self.built = True

    def call(self, inputs):
        below = ops.multiply(ops.negative(self.alpha), activations.relu(ops.negative(inputs)))
        return ops.add(activations.relu(inputs), below)

    def compute_output_shape(self, input_shape):
        return input_shape


class Softmax(_Elementwise):
    """`exp(x)` divided by its sum over `axis` (one axis or several).

    With a mask of the input's shape, False entries get probability 0.

    >>> import numpy as np
    >>> Softmax()(np.zeros((1, 4), "float32")).numpy().tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """

    OPTIONS = ("axis",)

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs, mask=None):
        if mask is not None:
            mask = ops.convert_to_tensor(mask)
            if mask.dtype != "bool":
                mask = ops.greater(mask, ops.cast(0.5, mask.dtype))
            # As Keras: far below ordinary inputs, and finite, for a fully masked row must not become NaN.
            inputs = ops.where(mask, inputs, ops.cast(-1e9, inputs.dtype))
        if isinstance(self.axis, (tuple, list)) and len(self.axis) > 1:
            outputs = _softmax_over(inputs, [axis % len(inputs.shape) for axis in self.axis])
        else:
            axis = self.axis[0] if isinstance(self.axis, (tuple, list)) else self.axis
            outputs = activations.softmax(inputs, axis=axis)
        return outputs if mask is None else ops.where(mask, outputs, ops.cast(0, outputs.dtype))


def _softmax_over(x, axes: list[int]):
    """Softmax over several axes: they are brought together at the end, and back."""
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    order = kept + sorted(axes)
    moved = ops.transpose(x, order)
    sizes = tuple(moved.shape)
    flat = ops.reshape(moved, (*sizes[: len(kept)], math.prod(sizes[len(kept) :])))
    back = [order.index(axis) for axis in range(len(order))]
    return ops.transpose(ops.reshape(ops.softmax(flat, axis=-1), sizes), back)


def _nonnegative(layer, name: str, value):
    if isinstance(value, dict):  # how files hold a NumPy scalar
        value = value["value"]
    if value is None or value < 0:
        raise ValueError(f"[{type(layer).__name__}] expected {name} to be a number >= 0, received {value!r}")
    return value
