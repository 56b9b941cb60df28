"""Attention and AdditiveAttention: values weighted by how well their keys fit a query."""

from __future__ import annotations

from kcore import ops, random
from kcore.layers.options import BuiltinLayer, one_of, rate_of


class Attention(BuiltinLayer):
    """`softmax(score(query, key)) @ value` (Luong et al., arXiv 1508.04025).

    Args:
        use_scale: whether the scores are multiplied by a trained number.
        score_mode: `"dot"` (products) or `"concat"` (a trained number times the sum of tanh of the sums).
        dropout: fraction of the weights dropped in training.
        seed: of the dropout.

    Call arguments: `inputs`, a list of query `(batch, Tq, dim)`, value `(batch, Tv, dim_v)` and, if it is not the value, key
    `(batch, Tv, dim)`; `mask`, a list of masks of query and value; `return_attention_scores`; `use_causal_mask`: whether a
    query sees only values up to its own place. Output shape: `(batch, Tq, dim_v)`, with the scores `(batch, Tq, Tv)`
    if asked.

    >>> import numpy as np
    >>> Attention()([np.ones((2, 3, 4), "float32"), np.ones((2, 5, 4), "float32")]).shape
    (2, 3, 4)
    """

    OPTIONS = ("use_scale", "score_mode", "dropout", "seed")

    def __init__(self, use_scale=False, score_mode="dot", dropout=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        one_of(self, "score_mode", score_mode, ("dot", "concat"))
        rate_of(self, dropout, "dropout")
        self.set_options(locals())
        self.supports_masking = True
        if dropout > 0:
            self.seed_generator = random.SeedGenerator(seed)

    def build(self, input_shape):
        self._check(input_shape)
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones") if self.use_scale else None
        self.concat_score_weight = None
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight(name="concat_score_weight", shape=(), initializer="ones")
        self.built = True

    def _check(self, inputs) -> None:
        if not isinstance(inputs, (list, tuple)) or len(inputs) not in (2, 3):
            raise ValueError(
                f"[{type(self).__name__}] expected a list of query, value and perhaps key, received {inputs!r}"
            )

    def _calculate_scores(self, query, key):
        """How well each key fits each query: `(batch, Tq, Tv)`."""
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.transpose(key, (0, 2, 1)))
            return scores if self.scale is None else ops.multiply(scores, self.scale)
        total = ops.add(ops.expand_dims(query, 2), ops.expand_dims(key, 1))  # (batch, Tq, Tv, dim)
        if self.scale is not None:
            total = ops.multiply(total, self.scale)
        return ops.multiply(ops.sum(ops.tanh(total), axis=-1), self.concat_score_weight)

    def call(self, inputs, mask=None, training=False, return_attention_scores=False, use_causal_mask=False):
        self._check(inputs)
        query, value, key = inputs[0], inputs[1], inputs[-1]
        masks = list(mask) if isinstance(mask, (list, tuple)) else [mask, None]
        visible = None if len(masks) < 2 or masks[1] is None else ops.cast(masks[1], "bool")  # (batch, Tv)
        if return_attention_scores or not self._fits_dot_product_attention(query, visible, training):
            outputs, weights = self._with_scores(query, key, value, visible, use_causal_mask, training)
        else:
            weights, scale = None, self.scale
            query, key, value = (ops.expand_dims(x, 2) for x in (query if scale is None else query * scale, key, value))
            mask = None if visible is None else ops.expand_dims(visible, (1, 2))
            outputs = ops.dot_product_attention(query, key, value, mask=mask, scale=1.0, is_causal=use_causal_mask)
            outputs = ops.squeeze(outputs, 2)
        if masks[0] is not None:
            outputs = ops.multiply(outputs, ops.expand_dims(ops.cast(masks[0], outputs.dtype), -1))
        return (outputs, weights) if return_attention_scores else outputs

    def _fits_dot_product_attention(self, query, visible, training) -> bool:
        """Whether it computes what Keras does here, without the scores in memory.

        Keras subtracts 1e9 from masked scores. That leaves nothing of them in float32; in float64 it would tell
        apart the values of a query without any key.
        """
        own = type(self)._calculate_scores is Attention._calculate_scores
        absorbed = visible is None or query.dtype != "float64"
        return own and self.score_mode == "dot" and absorbed and not (training and self.dropout > 0)

    def _with_scores(self, query, key, value, visible, use_causal_mask, training):
        scores = self._calculate_scores(query, key)
        allowed = None if visible is None else ops.expand_dims(visible, 1)
        if use_causal_mask:
            before = causal_mask(scores.shape[-2], scores.shape[-1])
            allowed = before if allowed is None else ops.logical_and(allowed, before)
        if allowed is not None:
            scores = ops.where(allowed, scores, ops.subtract(scores, 65504.0 if scores.dtype == "float16" else 1e9))
        weights = ops.softmax(scores, axis=-1)
        if training and self.dropout > 0:
            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        return ops.matmul(weights, value), weights

    def compute_mask(self, inputs, mask=None):
        return mask[0] if isinstance(mask, (list, tuple)) and mask and mask[0] is not None else None

    def compute_output_shape(self, input_shape):
        return (*input_shape[0][:-1], input_shape[1][-1])

    def compute_output_spec(
        self, inputs, mask=None, return_attention_scores=False, training=None, use_causal_mask=False
    ):
        from kcore.graph import KerasTensor

        self._check(inputs)
        query, key = inputs[0], inputs[-1]
        outputs = KerasTensor(self.compute_output_shape([x.shape for x in inputs]), dtype=self.compute_dtype)
        scores = KerasTensor((*query.shape[:-1], key.shape[1]), dtype=self.compute_dtype)
        return (outputs, scores) if return_attention_scores else outputs


class AdditiveAttention(Attention):
    """Attention whose score is `sum(scale * tanh(query + key))` (Bahdanau et al., arXiv 1409.0473).

    Args:
        use_scale: whether there is a trained `scale (dim,)`.
        dropout: fraction of the weights dropped in training.

    Call arguments and output shape: as for `Attention`.

    >>> import numpy as np
    >>> AdditiveAttention()([np.ones((2, 3, 4), "float32"), np.ones((2, 5, 4), "float32")]).shape
    (2, 3, 4)
    """

    def __init__(self, use_scale=True, dropout=0.0, **kwargs):
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape):
        self._check(input_shape)
        self.scale = None
        if self.use_scale:
            shape = (input_shape[0][-1],)
            self.scale = self.add_weight(name="scale", shape=shape, initializer="glorot_uniform")
        self.built = True

    def _calculate_scores(self, query, key):
        features = ops.tanh(ops.add(ops.expand_dims(query, 2), ops.expand_dims(key, 1)))  # (batch, Tq, Tv, dim)
        return ops.sum(features if self.scale is None else ops.multiply(features, self.scale), axis=-1)

    def get_config(self):
        config = super().get_config()
        config.pop("score_mode")
        return config


def causal_mask(queries: int, keys: int):
    """`(1, queries, keys)` bool: True where a key is not behind its query."""
    rows = ops.expand_dims(ops.arange(queries, dtype="int32"), 1)
    return ops.expand_dims(ops.greater_equal(rows, ops.arange(keys, dtype="int32")), 0)
