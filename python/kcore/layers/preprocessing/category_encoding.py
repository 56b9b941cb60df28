"""CategoryEncoding: integers as one-hot, multi-hot or counts."""

from __future__ import annotations

import numpy as np

from kcore import ops
from kcore.autograd import Tensor
from kcore.graph import KerasTensor
from kcore.layers.options import BuiltinLayer, one_of, positive_int


def encode(indices, depth: int, output_mode: str, dtype: str, weights=None):
    """Integers `(..., n)` as `(..., n, depth)` (one_hot) or `(..., depth)` (multi_hot, count)."""
    hot = ops.one_hot(ops.cast(indices, "int32"), depth, dtype=dtype)
    if output_mode == "one_hot":
        return hot
    if weights is not None:
        hot = ops.multiply(hot, ops.expand_dims(ops.cast(weights, dtype), -1))
    return ops.max(hot, axis=-2) if output_mode == "multi_hot" else ops.sum(hot, axis=-2)


def encoded_shape(input_shape: tuple, depth: int, output_mode: str) -> tuple:
    """The shape `encode` gives; a last axis of size 1 is not kept for one_hot."""
    if output_mode == "one_hot":
        return (*input_shape[:-1], depth) if input_shape and input_shape[-1] == 1 else (*input_shape, depth)
    return (*input_shape[:-1], depth)


class CategoryEncoding(BuiltinLayer):
    """Encodes integers in [0, num_tokens).

    Args:
        num_tokens: number of categories.
        output_mode: `"one_hot"` (each number), `"multi_hot"` or `"count"` (all numbers of an example together).
        sparse: accepted if False: outputs are dense.

    Input shape: `(batch, n)` or `(n,)`. Output shape: `(batch, num_tokens)`, for `"one_hot"` `(batch, n, num_tokens)`
    if n > 1.

    >>> import numpy as np
    >>> CategoryEncoding(3)(np.array([[0, 2], [1, 1]])).numpy().tolist()
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """

    OPTIONS = ("num_tokens", "output_mode")

    def __init__(self, num_tokens=None, output_mode="multi_hot", sparse=False, **kwargs):
        super().__init__(**kwargs)
        if sparse:
            raise NotImplementedError(f"[CategoryEncoding] expected sparse=False (not supported), received {sparse!r}")
        self.output_mode = one_of(self, "output_mode", output_mode, ("count", "one_hot", "multi_hot"))
        self.num_tokens = positive_int(self, "num_tokens", num_tokens)
        self._allow_non_tensor_positional_args = True
        self.built = True

    def call(self, inputs, count_weights=None):
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                f"[CategoryEncoding] expected count_weights only with output_mode='count', received {self.output_mode!r}"
            )
        inputs = ops.convert_to_tensor(inputs)
        _check_range(inputs, self.num_tokens)
        if self.output_mode == "one_hot" and len(inputs.shape) > 1 and inputs.shape[-1] == 1:
            inputs = ops.squeeze(inputs, -1)
        return encode(inputs, self.num_tokens, self.output_mode, self.variable_dtype, count_weights)

    def compute_output_shape(self, input_shape):
        return encoded_shape(tuple(input_shape), self.num_tokens, self.output_mode)

    def compute_output_spec(self, inputs, count_weights=None):
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.variable_dtype)


def _check_range(inputs, depth: int) -> None:
    if not isinstance(inputs, Tensor) or getattr(inputs, "is_symbolic", False):
        return
    values = np.asarray(inputs)
    if values.size and (values.min() < 0 or values.max() >= depth):
        raise ValueError(
            f"[CategoryEncoding] expected integers in [0, {depth}), received values from {values.min()} to {values.max()}"
        )
