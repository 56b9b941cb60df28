"""MultiHeadAttention: several attentions side by side on projections of the inputs."""

from __future__ import annotations

import math
import string

from kcore import ops
from kcore.graph import KerasTensor
from kcore.layers.activations.activation import Softmax
from kcore.layers.attention.attention import causal_mask
from kcore.layers.core.einsum_dense import EinsumDense
from kcore.layers.options import BuiltinLayer, positive_int, rate_of
from kcore.layers.regularization.dropout import Dropout

_PROJECTION_OPTIONS = ("kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer")
_PROJECTION_OPTIONS += ("kernel_constraint", "bias_constraint")


class MultiHeadAttention(BuiltinLayer):
    """Attention of `num_heads` heads, each on its own projections (Vaswani et al., arXiv 1706.03762).

    Args:
        num_heads: number of heads.
        key_dim: size of each head's queries and keys.
        value_dim: size of each head's values; None for `key_dim`.
        dropout: fraction of the attention weights dropped in training.
        use_bias: whether the projections have biases.
        output_shape: size or sizes of the output's last axes; None for the query's last size.
        attention_axes: the axes attended over; None for all but the batch and the last.
        sliding_window: a query sees only keys fewer than this many places away; None for all.
        flash_attention: accepted; the result is the same.
        kernel_..., bias_..., activity_regularizer: for the projections.
        use_gate: whether each head's output is multiplied by a sigmoid of one more projection of the query.
        seed: of the dropout.

    Call arguments: `query (batch, T, dim)`, `value (batch, S, dim)`, `key` (None: the value), `query_mask`,
    `value_mask (batch, S)`, `key_mask (batch, S)`, `attention_mask (batch, T, S)`, `return_attention_scores`,
    `training`, `use_causal_mask`. Output shape: `(batch, T, dim)`, with scores `(batch, num_heads, T, S)` if asked.

    >>> import numpy as np
    >>> x = np.ones((2, 5, 8), "float32")
    >>> MultiHeadAttention(2, 4)(x, x).shape
    (2, 5, 8)
    """

    OPTIONS = ("num_heads", "key_dim", "value_dim", "dropout", "use_bias", "use_gate", "output_shape", "attention_axes")
    OPTIONS += ("sliding_window", *_PROJECTION_OPTIONS[:4], "activity_regularizer", *_PROJECTION_OPTIONS[4:], "seed")

    def __init__(
        self,
        num_heads,
        key_dim,
        value_dim=None,
        dropout=0.0,
        use_bias=True,
        output_shape=None,
        attention_axes=None,
        sliding_window=None,
        flash_attention=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        use_gate=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.supports_masking = True
        self.set_options(
            {k: v for k, v in locals().items() if k not in ("output_shape", "activity_regularizer")},
            num_heads=positive_int(self, "num_heads", num_heads),
            key_dim=positive_int(self, "key_dim", key_dim),
            value_dim=positive_int(self, "value_dim", key_dim if value_dim is None else value_dim),
            dropout=rate_of(self, dropout, "dropout"),
            attention_axes=(attention_axes,) if isinstance(attention_axes, int) else attention_axes,
        )
        self._output_shape = (output_shape,) if isinstance(output_shape, int) else output_shape
        if sliding_window is not None:
            positive_int(self, "sliding_window", sliding_window)

    @property
    def output_shape(self):
        """The last sizes of the output given at construction, or None."""
        return self._output_shape

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        rank = len(query_shape)
        if self.attention_axes is None:
            self.attention_axes = list(range(1, rank - 1))
        self._axes = tuple(axis % rank for axis in self.attention_axes)
        self._query_dense = self._projection("query", query_shape, self.key_dim)
        self._key_dense = self._projection("key", key_shape, self.key_dim)
        if self.use_gate:
            self._gate_dense = self._projection("gate", query_shape, self.value_dim)
        self._value_dense = self._projection("value", value_shape, self.value_dim)
        self._softmax = Softmax(axis=-1, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, dtype=self.dtype_policy, seed=self.seed)
        self._output_dense = self._output_projection(query_shape)
        self.built = True

    @property
    def query_dense(self):
        """The projection of the query; files store it under this name, as they do the others."""
        return self._query_dense

    @property
    def key_dense(self):
        """The projection of the key."""
        return self._key_dense

    @property
    def value_dense(self):
        """The projection of the value."""
        return self._value_dense

    @property
    def output_dense(self):
        """The projection of what the heads found."""
        return self._output_dense

    def _projection(self, name: str, shape, size: int):
        """`(..., dim)` to `(..., num_heads, size)`."""
        free, (dim, heads, width) = (
            string.ascii_lowercase[: len(shape) - 1],
            string.ascii_lowercase[len(shape) - 1 :][:3],
        )
        equation = f"{free}{dim},{dim}{heads}{width}->{free}{heads}{width}"
        output_shape = (*[None] * (len(shape) - 2), self.num_heads, size)
        return self._dense(name, equation, output_shape, heads + width, shape)

    def _output_projection(self, query_shape):
        """`(..., num_heads, value_dim)` to the output."""
        rank = len(query_shape)
        sizes = tuple(self._output_shape or (query_shape[-1],))
        letters = string.ascii_lowercase
        free, inner, outer = letters[: rank - 1], letters[rank - 1 : rank + 1], letters[rank + 1 :][: len(sizes)]
        equation = f"{free}{inner},{inner}{outer}->{free}{outer}"
        input_shape = (*query_shape[:-1], self.num_heads, self.value_dim)
        return self._dense("attention_output", equation, (*[None] * (rank - 2), *sizes), outer, input_shape)

    def _dense(self, name: str, equation: str, output_shape: tuple, bias_axes: str, input_shape):
        dense = EinsumDense(
            equation,
            output_shape=output_shape,
            bias_axes=bias_axes if self.use_bias else None,
            name=name,
            dtype=self.dtype_policy,
            **{option: _copy(getattr(self, option)) for option in _PROJECTION_OPTIONS},
        )
        dense.build(tuple(input_shape))
        return dense

    def call(
        self,
        query,
        value,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        return_attention_scores=False,
        training=None,
        use_causal_mask=False,
    ):
        key = value if key is None else key
        q, k, v = self._query_dense(query), self._key_dense(key), self._value_dense(value)
        # Per head, the attended axes as one: (batch, other axes, heads, T or S, size).
        q_heads, k_heads, v_heads = (self._by_head(x) for x in (q, k, v))
        scores = ops.matmul(ops.multiply(q_heads, 1.0 / math.sqrt(self.key_dim)), ops.swapaxes(k_heads, -1, -2))
        mask = self._mask(scores.shape, value_mask, key_mask, attention_mask, use_causal_mask)
        weights = self._softmax(scores, mask=mask)
        outputs = ops.matmul(self._dropout_layer(weights, training=training), v_heads)
        outputs = self._from_heads(outputs, tuple(query.shape))
        if self.use_gate:
            outputs = ops.multiply(outputs, ops.sigmoid(self._gate_dense(query)))
        outputs = self._output_dense(outputs)
        if not return_attention_scores:
            return outputs
        sizes = [tuple(x.shape[axis] for axis in self._axes) for x in (query, key)]
        return outputs, ops.reshape(weights, (*weights.shape[:-2], *sizes[0], *sizes[1]))

    def _order(self, rank: int) -> list[int]:
        """The axes of `(batch, ..., heads, size)` so that heads, attended axes and size come last; rank counts the heads."""
        others = [axis for axis in range(1, rank - 2) if axis not in self._axes]
        return [0, *others, rank - 2, *self._axes, rank - 1]

    def _by_head(self, x):
        moved = ops.transpose(x, self._order(len(x.shape)))
        shape, attended = tuple(moved.shape), len(self._axes)
        split = len(shape) - 1 - attended
        return ops.reshape(moved, (*shape[:split], math.prod(shape[split:-1]), shape[-1]))

    def _from_heads(self, x, query_shape: tuple):
        rank = len(query_shape) + 1
        order = self._order(rank)
        sizes = (*query_shape[:-1], self.num_heads, self.value_dim)
        moved = ops.reshape(x, tuple(sizes[axis] for axis in order))
        return ops.transpose(moved, [order.index(axis) for axis in range(rank)])

    def _mask(self, shape, value_mask, key_mask, attention_mask, use_causal_mask: bool):
        """True where a query may see a key, broadcast to the scores `(batch, ..., heads, T, S)`; None for everywhere."""
        queries, keys = shape[-2], shape[-1]
        masks = []
        for mask in (value_mask, key_mask):
            if mask is not None:
                masks.append(ops.expand_dims(ops.cast(mask, "bool"), 1))  # (batch, 1, S)
        if use_causal_mask:
            masks.append(causal_mask(queries, keys))
        if self.sliding_window is not None:
            rows, columns = ops.expand_dims(ops.arange(queries, dtype="int32"), 1), ops.arange(keys, dtype="int32")
            distance = ops.absolute(ops.subtract(rows, columns))
            masks.append(ops.expand_dims(ops.less(distance, self.sliding_window), 0))
        if attention_mask is not None:
            mask = ops.cast(attention_mask, "bool")
            if len(mask.shape) < 2 * len(self._axes) + 1:
                mask = ops.expand_dims(mask, 0)
            lead = tuple(mask.shape)[: len(mask.shape) - 2 * len(self._axes)]
            masks.append(ops.reshape(mask, (*lead, queries, keys)))
        if not masks:
            return None
        allowed = masks[0]
        for mask in masks[1:]:
            allowed = ops.logical_and(allowed, mask)
        while len(allowed.shape) < len(shape):
            allowed = ops.expand_dims(allowed, -3)
        return ops.broadcast_to(allowed, tuple(shape))

    def compute_output_shape(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        if value_shape[1:-1] != key_shape[1:-1]:
            raise ValueError(
                f"[MultiHeadAttention] expected value and key of equal sizes, received {tuple(value_shape)} and "
                f"{tuple(key_shape)}"
            )
        return (*query_shape[:-1], *(self._output_shape or (query_shape[-1],)))

    def compute_output_spec(
        self,
        query,
        value,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        return_attention_scores=False,
        training=None,
        use_causal_mask=False,
    ):
        key = value if key is None else key
        shape = self.compute_output_shape(query.shape, value.shape, key.shape)
        outputs = KerasTensor(shape, dtype=self.compute_dtype)
        if not return_attention_scores:
            return outputs
        others = [query.shape[axis] for axis in range(1, len(query.shape) - 1) if axis not in self._axes]
        attended = [x.shape[axis] for x in (query, key) for axis in self._axes]
        scores = (query.shape[0], *others, self.num_heads, *attended)
        return outputs, KerasTensor(scores, dtype=self.compute_dtype)


def _copy(option):
    """An initializer, regularizer or constraint made anew, so that projections do not share random state."""
    return type(option).from_config(option.get_config()) if hasattr(option, "get_config") else option
