"""Dense: a matrix product over the last axis, a bias, an activation."""

from __future__ import annotations

from kcore.activations import fused_activation
from kcore.layers.input_spec import InputSpec
from kcore.layers.options import BuiltinLayer, add_weight, positive_int, refuse_adapters
from kcore.ops.matmul import linear


class Dense(BuiltinLayer):
    """`activation(x @ kernel + bias)`.

    Args:
        units: size of the output's last axis.
        activation: name or function applied at the end; None for none.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer: how the weights start.
        kernel_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, bias_constraint: applied to the weights after each update.

    Input shape: `(batch, ..., features)`, floating point. Output shape: `(batch, ..., units)`.
    Weights: `kernel (features, units)`, `bias (units,)`.

    Raises:
        ValueError: `units` is not a positive integer, or the input's last size is unknown.

    >>> import numpy as np
    >>> Dense(3, activation="relu")(np.ones((2, 5), "float32")).shape
    (2, 3)
    """

    OPTIONS = ("units", "activation", "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer")
    OPTIONS += ("bias_regularizer", "kernel_constraint", "bias_constraint", "quantization_config")

    def __init__(
        self,
        units,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        lora_rank=None,
        lora_alpha=None,
        quantization_config=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        refuse_adapters(self, lora_rank, quantization_config)
        self.set_options(locals(), units=positive_int(self, "units", units))
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape):
        features = input_shape[-1]
        if features is None:
            raise ValueError(f"[Dense] expected an input with a known last size, received shape {tuple(input_shape)}")
        self.kernel = add_weight(self, "kernel", (features, self.units))
        self.bias = add_weight(self, "bias", (self.units,)) if self.use_bias else None
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})
        self.built = True

    def call(self, inputs, training=None):
        fused = fused_activation(self.activation)
        y = linear(
            inputs, self.kernel, self.bias, fused or "linear"
        )  # (..., features) (features, units) -> (..., units)
        return y if fused else self.activation(y)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)
