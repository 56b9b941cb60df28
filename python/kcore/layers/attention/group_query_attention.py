"""GroupQueryAttention: attention whose query heads share keys and values in groups."""

from __future__ import annotations

import math

from kcore import ops
from kcore.graph import KerasTensor
from kcore.layers.activations.activation import Softmax
from kcore.layers.attention.projected_attention import PROJECTION_OPTIONS, ProjectedAttention, without_mask
from kcore.layers.options import positive_int, rate_of
from kcore.layers.regularization.dropout import Dropout
from kcore.naming import auto_name


class GroupQueryAttention(ProjectedAttention):
    """Attention of `num_query_heads` heads on `num_key_value_heads` keys and values (Ainslie et al., arXiv 2305.13245).

    Args:
        head_dim: size of each head.
        num_query_heads: number of query heads, a multiple of the next.
        num_key_value_heads: number of heads of keys and values.
        dropout: fraction of the attention weights dropped in training.
        use_bias: whether the projections have biases.
        sliding_window: a query sees only keys fewer than this many places away; None for all.
        flash_attention: accepted; the result is the same.
        kernel_..., bias_..., activity_regularizer: for the projections.
        use_gate: whether each head's output is multiplied by a sigmoid of one more projection of the query.
        seed: of the dropout.

    Call arguments: `query (batch, T, dim)`, `value (batch, S, dim)`, `key` (None: the value), `query_mask`,
    `value_mask (batch, S)`, `key_mask (batch, S)`, `attention_mask (batch, T, S)`, `return_attention_scores`,
    `training`, `use_causal_mask`. Output shape: `(batch, T, dim)`, with scores `(batch, num_query_heads, T, S)` if asked.

    >>> import numpy as np
    >>> x = np.ones((2, 5, 8), "float32")
    >>> GroupQueryAttention(4, 6, 2)(x, x).shape
    (2, 5, 8)
    """

    OPTIONS = (
        "head_dim",
        "num_query_heads",
        "num_key_value_heads",
        "use_bias",
        "use_gate",
        "sliding_window",
        "dropout",
    )
    OPTIONS += (*PROJECTION_OPTIONS[:4], "activity_regularizer", *PROJECTION_OPTIONS[4:], "seed")

    def __init__(
        self,
        head_dim,
        num_query_heads,
        num_key_value_heads,
        dropout=0.0,
        use_bias=True,
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
        if kwargs.get("name") is None:  # Keras's class is named otherwise than its export
            kwargs["name"] = auto_name("GroupedQueryAttention")
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.supports_masking = True
        self.set_options(
            {k: v for k, v in locals().items() if k != "activity_regularizer"},
            head_dim=positive_int(self, "head_dim", head_dim),
            num_query_heads=positive_int(self, "num_query_heads", num_query_heads),
            num_key_value_heads=positive_int(self, "num_key_value_heads", num_key_value_heads),
            dropout=rate_of(self, dropout, "dropout"),
        )
        if num_query_heads % num_key_value_heads:
            raise ValueError(
                f"[GroupQueryAttention] expected num_query_heads to be a multiple of num_key_value_heads, received "
                f"{num_query_heads} and {num_key_value_heads}"
            )
        if sliding_window is not None:
            positive_int(self, "sliding_window", sliding_window)

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        queries, shared = (None, self.num_query_heads, self.head_dim), (None, self.num_key_value_heads, self.head_dim)
        self._query_dense = self._dense("query", "bqm,muh->bquh", queries, "uh", query_shape)
        self._key_dense = self._dense("key", "bkm,mvh->bkvh", shared, "vh", key_shape)
        if self.use_gate:
            self._gate_dense = self._dense("gate", "bqm,muh->bquh", queries, "uh", query_shape)
        self._value_dense = self._dense("value", "bkm,mvh->bkvh", shared, "vh", value_shape)
        self._softmax = Softmax(axis=-1, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, dtype=self.dtype_policy, seed=self.seed)
        self._output_dense = self._dense(
            "attention_output", "bquh,uhm->bqm", (None, query_shape[-1]), "m", (None, *queries)
        )
        self.built = True

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
        query, value, key = map(without_mask, (query, value, value if key is None else key))
        q, k, v = self._query_dense(query), self._key_dense(key), self._value_dense(value)
        scale, weights = 1 / math.sqrt(self.head_dim), None
        mask = self._mask(query_mask, value_mask, key_mask, attention_mask, query.shape[1], key.shape[1], rank=4)
        if self._without_scores(mask, return_attention_scores, training):
            outputs = ops.dot_product_attention(q, k, v, mask=mask, scale=scale, is_causal=use_causal_mask)
        else:
            group = self.num_query_heads // self.num_key_value_heads
            by_head = (
                ops.transpose(x, (0, 2, 1, 3)) for x in (q, ops.repeat(k, group, axis=2), ops.repeat(v, group, axis=2))
            )
            outputs, weights = self._with_scores(*by_head, scale, mask, use_causal_mask, training)
            outputs = ops.transpose(outputs, (0, 2, 1, 3))
        if self.use_gate:
            outputs = ops.multiply(outputs, ops.sigmoid(self._gate_dense(query)))
        outputs = self._output_dense(outputs)
        return (outputs, weights) if return_attention_scores else outputs

    def compute_output_shape(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        if query_shape[-1] != value_shape[-1]:
            raise ValueError(
                f"[GroupQueryAttention] expected query and value of the same last size, received {tuple(query_shape)} "
                f"and {tuple(value_shape)}"
            )
        if value_shape[1:-1] != key_shape[1:-1]:
            raise ValueError(
                f"[GroupQueryAttention] expected value and key of equal sizes, received {tuple(value_shape)} and "
                f"{tuple(key_shape)}"
            )
        return tuple(query_shape)

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
        outputs = KerasTensor(self.compute_output_shape(query.shape, value.shape, key.shape), dtype=self.compute_dtype)
        if not return_attention_scores:
            return outputs
        scores = (query.shape[0], self.num_query_heads, query.shape[1], key.shape[1])
        return outputs, KerasTensor(scores, dtype=self.compute_dtype)
