"""Embedding: rows of a table, looked up by integers."""

from __future__ import annotations

import numpy as np

from kcore import ops
from kcore.layers.options import BuiltinLayer, add_weight, positive_int, refuse_adapters


class Embedding(BuiltinLayer):
    """Turns integers into vectors: `embeddings[ids]`.

    Args:
        input_dim: number of rows: the largest id plus one.
        output_dim: size of each vector.
        embeddings_initializer, embeddings_regularizer, embeddings_constraint: for the table.
        mask_zero: whether id 0 is padding; the layers behind then skip those steps.
        weights: a table to start from (array, or list holding one).

    Input shape: any, integers. Output shape: `(*input_shape, output_dim)`. Weights: `embeddings (input_dim, output_dim)`.

    >>> import numpy as np
    >>> Embedding(10, 4)(np.array([[1, 2, 3]])).shape
    (1, 3, 4)
    """

    OPTIONS = ("input_dim", "output_dim", "embeddings_initializer", "embeddings_regularizer", "activity_regularizer")
    OPTIONS += ("embeddings_constraint", "mask_zero", "quantization_config")

    def __init__(
        self,
        input_dim,
        output_dim,
        embeddings_initializer="uniform",
        embeddings_regularizer=None,
        embeddings_constraint=None,
        mask_zero=False,
        weights=None,
        lora_rank=None,
        lora_alpha=None,
        quantization_config=None,
        **kwargs,
    ):
        kwargs.pop("input_length", None)  # Keras 2 scripts still pass it; it has no effect
        super().__init__(**kwargs)
        refuse_adapters(self, lora_rank, quantization_config)
        self.set_options(
            locals(),
            input_dim=positive_int(self, "input_dim", input_dim),
            output_dim=positive_int(self, "output_dim", output_dim),
        )
        self.supports_masking = mask_zero
        self.autocast = False
        if weights is not None:
            self.build()
            table = weights[0] if isinstance(weights, (list, tuple)) and np.ndim(weights) == 3 else weights
            if not isinstance(weights, (list, tuple)) and np.ndim(weights) == 3:
                table = weights[0]
            self.embeddings.assign(table)

    def build(self, input_shape=None):
        if self.built:
            return
        self.embeddings = add_weight(self, "embeddings", (self.input_dim, self.output_dim), trainable=True)
        self.built = True

    def call(self, inputs, training=None):
        if not str(inputs.dtype).startswith(("int", "uint")):
            inputs = ops.cast(inputs, "int32")
        outputs = ops.take(self.embeddings, inputs, axis=0)  # (input_dim, output_dim), (...) -> (..., output_dim)
        return ops.cast(outputs, self.compute_dtype)

    def compute_mask(self, inputs, mask=None):
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.output_dim)
