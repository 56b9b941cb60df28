"""LayerNormalization and RMSNormalization: every example scaled by its own statistics."""

from __future__ import annotations

from kcore import ops
from kcore.layers.options import BuiltinLayer, add_weight


class _OwnStatistics(BuiltinLayer):
    """A layer that normalizes over `axis`, one or several."""

    def __init__(self, axis, **kwargs):
        super().__init__(**kwargs)
        self.axis = axes_of(self, axis)
        self.supports_masking = True

    def normalized_shape(self, input_shape) -> tuple[int, ...]:
        """The sizes along the axes, which must be known; `axis` becomes a list."""
        rank = len(input_shape)
        self.axis = self.axis if isinstance(self.axis, list) else [self.axis]
        if not self.axis or not all(-rank <= axis < rank for axis in self.axis):
            raise ValueError(
                f"[{type(self).__name__}] expected axes of an input of {rank} axes, received axis={self.axis}"
            )
        shape = tuple(input_shape[axis] for axis in self.axis)
        if None in shape:
            raise ValueError(
                f"[{type(self).__name__}] expected known sizes along axis={self.axis}, received shape {tuple(input_shape)}"
            )
        return shape

    def compute_output_shape(self, input_shape):
        return input_shape


class LayerNormalization(_OwnStatistics):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta`, mean and variance over `axis` of each example.

    Args:
        axis: the axis or axes to normalize over.
        epsilon: as in the formula.
        center, scale: whether there are beta and gamma.
        beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint:
            for them.

    Input shape and output shape: any. Weights: `gamma`, `beta`, with the sizes along `axis`. Ba et al., arXiv 1607.06450.

    >>> import numpy as np
    >>> LayerNormalization()(np.array([[1.0, 1.0]], "float32")).numpy().tolist()
    [[0.0, 0.0]]
    """

    OPTIONS = ("axis", "epsilon", "center", "scale", "rms_scaling", "beta_initializer", "gamma_initializer")
    OPTIONS += ("beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint")

    def __init__(
        self,
        axis=-1,
        epsilon=1e-3,
        center=True,
        scale=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        **kwargs,
    ):
        rms_scaling = kwargs.pop("rms_scaling", False)  # written into every configuration by Keras
        if rms_scaling:
            raise NotImplementedError(
                "[LayerNormalization] expected rms_scaling=False; use RMSNormalization, received True"
            )
        super().__init__(axis, **kwargs)
        self.autocast = False  # statistics are computed in float32 or more
        self.set_options(locals(), axis=self.axis)

    def build(self, input_shape):
        shape = self.normalized_shape(input_shape)
        self.gamma = add_weight(self, "gamma", shape, autocast=False) if self.scale else None
        self.beta = add_weight(self, "beta", shape, autocast=False) if self.center else None
        self.built = True

    def call(self, inputs):
        return ops.cast(self._normalize(inputs), self.compute_dtype)

    def _normalize(self, inputs):
        if len(self.axis) == 1 and self.axis[0] in (-1, len(inputs.shape) - 1):
            return ops.layer_normalization(inputs, self.gamma, self.beta, axis=-1, epsilon=self.epsilon)
        # Other axes are brought to the end, where the op works on consecutive memory, and back.
        rank = len(inputs.shape)
        axes = [axis % rank for axis in self.axis]
        order = [axis for axis in range(rank) if axis not in axes] + axes
        back = [order.index(axis) for axis in range(rank)]
        moved = inputs if order == list(range(rank)) else ops.transpose(inputs, order)
        ends = list(range(-len(axes), 0))
        outputs = ops.layer_normalization(moved, self.gamma, self.beta, axis=ends, epsilon=self.epsilon)
        return outputs if moved is inputs else ops.transpose(outputs, back)


class RMSNormalization(_OwnStatistics):
    """`scale * x / sqrt(mean(x^2) + epsilon)`, the mean over `axis` of each example (Zhang and Sennrich, arXiv 1910.07467).

    Args:
        axis: the axis or axes to normalize over.
        epsilon: as in the formula.

    Input shape and output shape: any. Weights: `scale`, with the sizes along `axis`.

    >>> import numpy as np
    >>> RMSNormalization()(np.ones((1, 4), "float32")).shape
    (1, 4)
    """

    OPTIONS = ("axis", "epsilon")

    def __init__(self, axis=-1, epsilon=1e-6, **kwargs):
        super().__init__(axis, **kwargs)
        self.epsilon = epsilon
        self.supports_masking = False

    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=self.normalized_shape(input_shape), initializer="ones")
        self.built = True

    def call(self, x):
        axes = tuple(axis % len(x.shape) for axis in self.axis)
        sizes = tuple(size if axis in axes else 1 for axis, size in enumerate(x.shape))
        return ops.rms_normalization(x, ops.reshape(self.scale, sizes), axis=axes, epsilon=self.epsilon)


def axes_of(layer, axis):
    """An integer, or a list of integers."""
    if isinstance(axis, int):
        return axis
    if not isinstance(axis, (list, tuple)) or not all(isinstance(a, int) for a in axis):
        raise TypeError(
            f"[{type(layer).__name__}] expected axis to be an integer or a list of integers, received {axis!r}"
        )
    return list(axis)
