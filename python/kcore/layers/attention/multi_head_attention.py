"""MultiHeadAttention: several attentions side by side on projections of the inputs."""

from __future__ import annotations

import math
import string

from kcore import ops
from kcore.graph import KerasTensor
from kcore.layers.activations.activation import Softmax
from kcore.layers.attention.projected_attention import PROJECTION_OPTIONS, ProjectedAttention
from kcore.layers.options import positive_int, rate_of
from kcore.layers.regularization.dropout import Dropout


class MultiHeadAttention(ProjectedAttention):
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
    OPTIONS += ("sliding_window", *PROJECTION_OPTIONS[:4], "activity_regularizer", *PROJECTION_OPTIONS[4:], "seed")

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
        query_mask = getattr(query, "keras_mask", None)  # as in Keras, whatever was passed
        key = value if key is None else key
        for x in (query, key, value):  # as in Keras, where nobody who gets them later sees these masks
            if getattr(x, "keras_mask", None) is not None:
                x.keras_mask = None
        q, k, v = self._query_dense(query), self._key_dense(key), self._value_dense(value)
        scale, attended = 1 / math.sqrt(self.key_dim), len(self._axes)
        queries, keys = (math.prod(x.shape[axis] for axis in self._axes) for x in (query, key))
        mask = self._mask(query_mask, value_mask, key_mask, attention_mask, queries, keys, len(q.shape), attended)
        weights = None
        if len(q.shape) == 4 and self._without_scores(mask, return_attention_scores, training):
            outputs = ops.dot_product_attention(q, k, v, mask=mask, scale=scale, is_causal=use_causal_mask)
        else:
            # Per head, the attended axes as one: (batch, other axes, heads, T or S, size).
            by_head = (self._by_head(x) for x in (q, k, v))
            outputs, weights = self._with_scores(*by_head, scale, mask, use_causal_mask, training)
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
