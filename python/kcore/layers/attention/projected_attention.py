"""What MultiHeadAttention and GroupQueryAttention share: projections, masks, and when scores stay out of memory."""

from __future__ import annotations

from kcore import ops
from kcore.layers.attention.attention import causal_mask
from kcore.layers.core.einsum_dense import EinsumDense
from kcore.layers.options import BuiltinLayer

PROJECTION_OPTIONS = ("kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer")
PROJECTION_OPTIONS += ("kernel_constraint", "bias_constraint")


class ProjectedAttention(BuiltinLayer):
    """Base; layers have `use_bias`, `dropout`, `sliding_window`, `_softmax`, `_dropout_layer`, `PROJECTION_OPTIONS`."""

    def _dense(self, name: str, equation: str, output_shape: tuple, bias_axes: str, input_shape) -> EinsumDense:
        dense = EinsumDense(
            equation,
            output_shape=output_shape,
            bias_axes=bias_axes if self.use_bias else None,
            name=name,
            dtype=self.dtype_policy,
            **{option: _copy(getattr(self, option)) for option in PROJECTION_OPTIONS},
        )
        dense.build(tuple(input_shape))
        return dense

    def _mask(
        self, query_mask, value_mask, key_mask, attention_mask, queries: int, keys: int, rank: int, attended: int = 1
    ):
        """True where a query may see a key, causality aside; None for everywhere.

        Broadcasts to scores of `rank` dimensions `(batch, ..., heads, T, S)`, where T and S stand for `attended` axes each
        in `attention_mask`.
        """
        masks = []
        if query_mask is not None:
            masks.append(ops.expand_dims(ops.cast(query_mask, "bool"), -1))  # (batch, T, 1)
        for mask in (value_mask, key_mask):
            if mask is not None:
                masks.append(ops.expand_dims(ops.cast(mask, "bool"), 1))  # (batch, 1, S)
        if self.sliding_window is not None:
            rows, columns = ops.expand_dims(ops.arange(queries, dtype="int32"), 1), ops.arange(keys, dtype="int32")
            distance = ops.absolute(ops.subtract(rows, columns))
            masks.append(ops.expand_dims(ops.less(distance, self.sliding_window), 0))
        if attention_mask is not None:
            mask = ops.cast(attention_mask, "bool")
            if len(mask.shape) < 2 * attended + 1:
                mask = ops.expand_dims(mask, 0)
            lead = tuple(mask.shape)[: len(mask.shape) - 2 * attended]
            masks.append(ops.reshape(mask, (*lead, queries, keys)))
        if not masks:
            return None
        allowed = masks[0]
        for mask in masks[1:]:
            while len(mask.shape) < len(allowed.shape):
                mask = ops.expand_dims(mask, -3)
            while len(allowed.shape) < len(mask.shape):
                allowed = ops.expand_dims(allowed, -3)
            allowed = ops.logical_and(allowed, mask)
        while len(allowed.shape) < rank:
            allowed = ops.expand_dims(allowed, -3)
        return allowed

    def _without_scores(self, mask, return_attention_scores: bool, training) -> bool:
        """Whether `dot_product_attention` computes what Keras does here.

        With dropout Keras has all scores in memory, and gives zeros, not the mean of the values, to a query without any key.
        """
        return not return_attention_scores and (self.dropout == 0 or (not training and mask is None))

    def _with_scores(self, q, k, v, scale: float, mask, causal: bool, training):
        """Outputs and weights from `(batch, ..., heads, T or S, size)`."""
        scores = ops.matmul(ops.multiply(q, scale), ops.swapaxes(k, -1, -2))
        if causal:
            before = causal_mask(*scores.shape[-2:])
            mask = before if mask is None else ops.logical_and(mask, before)
        weights = self._softmax(scores, mask=mask)
        return ops.matmul(self._dropout_layer(weights, training=training), v), weights


def without_mask(x):
    """The same values: projections know nothing of masks, and would warn that they drop one."""
    return x if getattr(x, "keras_mask", None) is None else ops.reshape(x, x.shape)


def _copy(option):
    """An initializer, regularizer or constraint made anew, so that projections do not share random state."""
    return type(option).from_config(option.get_config()) if hasattr(option, "get_config") else option
