"""EinsumDense: a product with a kernel by any Einstein equation, a bias, an activation."""

from __future__ import annotations

import re

from kcore import ops
from kcore.layers.options import BuiltinLayer, add_weight, refuse_adapters


class EinsumDense(BuiltinLayer):
    """`activation(einsum(equation, x, kernel) + bias)`.

    Args:
        equation: `"ab,bc->ac"`: labels of the input, the kernel and the output; `...` may stand for leading or
            trailing axes.
        output_shape: sizes of the output without the batch; None where a size comes from the input.
        activation: name or function applied at the end.
        bias_axes: labels of the output along which the bias varies; None for no bias.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint:
            as in `Dense`.

    Input shape and output shape: by the equation. Weights: `kernel`, `bias`.

    Raises:
        ValueError: the equation is malformed, or the sizes it needs contradict each other or cannot be known.

    >>> import numpy as np
    >>> EinsumDense("abc,cd->abd", output_shape=(None, 7), bias_axes="d")(np.ones((2, 3, 5), "float32")).shape
    (2, 3, 7)
    """

    OPTIONS = ("output_shape", "equation", "activation", "bias_axes", "kernel_initializer", "bias_initializer")
    OPTIONS += (
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_constraint",
        "bias_constraint",
    )
    OPTIONS += ("quantization_config",)

    def __init__(
        self,
        equation,
        output_shape,
        activation=None,
        bias_axes=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        lora_rank=None,
        lora_alpha=None,
        gptq_unpacked_column_size=None,
        quantization_config=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        refuse_adapters(self, lora_rank, quantization_config)
        partial = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.set_options({k: v for k, v in locals().items() if k != "output_shape"})
        self.partial_output_shape = partial

    @property
    def output_shape(self):
        """The sizes given at construction, as the configuration keeps them."""
        return self.partial_output_shape

    def build(self, input_shape):
        kernel_shape, bias_shape, self.full_output_shape = _analyze(
            self.equation, self.bias_axes, tuple(input_shape), self.partial_output_shape
        )
        self.kernel = add_weight(self, "kernel", kernel_shape)
        self.bias = None if bias_shape is None else add_weight(self, "bias", bias_shape)
        self.built = True

    def call(self, inputs, training=None):
        outputs = ops.einsum(self.equation, inputs, self.kernel)
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def compute_output_shape(self, input_shape):
        return _analyze(self.equation, self.bias_axes, tuple(input_shape), self.partial_output_shape)[2]


def _analyze(equation: str, bias_axes: str | None, input_shape: tuple, output_sizes: tuple):
    """(kernel shape, bias shape or None, output shape) that the equation implies."""
    match = re.fullmatch(
        r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?", equation.replace(" ", "")
    )
    left, right = bool(match and match[1]), bool(match and match[3])
    if not match or (left, right) != (bool(match[5]), bool(match[7])) or (left and right):
        raise ValueError(
            "[EinsumDense] expected an equation such as 'ab,bc->ac', '...ab,bc->...ac' or 'ab...,bc->ac...', "
            f"received {equation!r}"
        )
    x, kernel, y = match[2], match[4], match[6]
    # The axes under the dots lie before the labels of the input ("...ab") or behind the batch's labels ("ab...").
    hidden = len(input_shape) - len(x)
    if hidden < 0 or (hidden and not (left or right)):
        raise ValueError(
            f"[EinsumDense] expected an input of {len(x)} axes for {equation!r}, received shape {input_shape}"
        )
    labelled = input_shape[hidden:] if left else input_shape[: len(x)]
    dotted = input_shape[:hidden] if left else input_shape[len(x) :]
    sizes_in = dict(zip(x, labelled))
    # output_sizes name the output without its batch axis; with dots in front they end at the last label.
    given = dict(zip(reversed(y), reversed(output_sizes))) if left else dict(zip(y[1:], output_sizes))
    sizes_out = {}
    for label in y:
        size, known = given.get(label), sizes_in.get(label)
        if size is not None and label in sizes_in and known is not None and size != known:
            raise ValueError(
                f"[EinsumDense] expected size {known} of the input for output axis {label!r} of {equation!r}, "
                f"received {size}"
            )
        if label not in sizes_in and size is None:
            raise ValueError(
                f"[EinsumDense] expected a size for output axis {label!r} of {equation!r} in output_shape, received None"
            )
        sizes_out[label] = known if size is None else size
    if any(label not in sizes_in and label not in kernel for label in y):
        raise ValueError(f"[EinsumDense] expected every output label to come from an input, received {equation!r}")
    kernel_shape = tuple(
        sizes_in.get(label) if sizes_in.get(label) is not None else sizes_out.get(label) for label in kernel
    )
    if None in kernel_shape:
        raise ValueError(
            f"[EinsumDense] expected known sizes for the kernel labels {kernel!r}, received input shape {input_shape} "
            f"and output_shape {output_sizes}"
        )
    visible = tuple(sizes_out[label] for label in y)
    output_shape = dotted + visible if left else visible + dotted
    return kernel_shape, _bias_shape(equation, bias_axes, y, sizes_out, len(dotted) if right else 0), output_shape


def _bias_shape(equation: str, bias_axes: str | None, y: str, sizes: dict, trailing: int):
    """Sizes along `bias_axes`, 1 elsewhere, from the first bias axis on (so that it broadcasts), or None."""
    if not bias_axes:
        return None
    unknown = [label for label in bias_axes if label not in y]
    if unknown:
        raise ValueError(
            f"[EinsumDense] expected bias_axes among the output labels {y!r} of {equation!r}, received {bias_axes!r}"
        )
    first = min(y.index(label) for label in bias_axes)
    return tuple(sizes[label] if label in bias_axes else 1 for label in y[first:]) + (1,) * trailing
