"""GroupNormalization: the channels of every example in groups, each scaled by its own statistics."""

from __future__ import annotations

import math

from kcore import ops
from kcore.autograd import result_type
from kcore.layers.input_spec import InputSpec
from kcore.layers.options import BuiltinLayer, add_weight


class GroupNormalization(BuiltinLayer):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta`, statistics over all positions and a group of channels.

    Args:
        groups: number of groups; -1 for one per channel (instance normalization). Must divide the channels.
        axis: the channels.
        epsilon, center, scale and the options of gamma and beta: as in `LayerNormalization`.

    Input shape and output shape: any. Weights: `gamma (channels,)`, `beta (channels,)`. Wu and He, arXiv 1803.08494.

    >>> import numpy as np
    >>> GroupNormalization(2)(np.ones((1, 3, 4), "float32")).shape
    (1, 3, 4)
    """

    OPTIONS = ("groups", "axis", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer")
    OPTIONS += ("beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint")

    def __init__(
        self,
        groups=32,
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
        super().__init__(**kwargs)
        self.autocast = False  # computes in float32 or more
        self.set_options(locals())
        self.supports_masking = True

    def build(self, input_shape):
        channels = input_shape[self.axis]
        if channels is None:
            raise ValueError(
                f"[GroupNormalization] expected a known size along axis {self.axis}, received shape {tuple(input_shape)}"
            )
        if self.groups == -1:
            self.groups = channels
        if not isinstance(self.groups, int) or self.groups < 1 or channels % self.groups:
            raise ValueError(
                f"[GroupNormalization] expected groups to be -1 or to divide the {channels} channels, received {self.groups}"
            )
        self.gamma = add_weight(self, "gamma", (channels,), autocast=False) if self.scale else None
        self.beta = add_weight(self, "beta", (channels,), autocast=False) if self.center else None
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})
        self.built = True

    def call(self, inputs):
        rank = len(inputs.shape)
        axis = self.axis % rank
        last = axis == rank - 1
        x = inputs if last else ops.moveaxis(inputs, axis, -1)
        x = ops.cast(x, result_type(x.dtype, "float32"))
        shape = tuple(x.shape)  # (batch, ..., channels)
        group = shape[-1] // self.groups
        x = ops.reshape(x, (shape[0], math.prod(shape[1:-1]), self.groups, group))
        mean, variance = ops.moments(x, axes=(1, 3), keepdims=True)
        x = ops.multiply(ops.subtract(x, mean), ops.rsqrt(ops.add(variance, self.epsilon)))
        x = ops.reshape(x, shape)
        if self.gamma is not None:
            x = ops.multiply(x, self.gamma)
        if self.beta is not None:
            x = ops.add(x, self.beta)
        x = ops.cast(x, self.compute_dtype)
        return x if last else ops.moveaxis(x, -1, axis)

    def compute_output_shape(self, input_shape):
        return input_shape
