"""BatchNormalization: zero mean and unit variance over the batch."""

from __future__ import annotations

from kcore import ops
from kcore.autograd import config, result_type
from kcore.layers.input_spec import InputSpec
from kcore.layers.options import BuiltinLayer, add_weight
from kcore.ops.norm import batch_norm_train


class BatchNormalization(BuiltinLayer):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta`.

    In training, mean and variance are those of the batch (masked steps do not count), and the moving ones follow them:
    `moving = momentum * moving + (1 - momentum) * batch`. At inference, and when `trainable` is False, the moving
    ones are used.

    Args:
        axis: the axis that keeps its own statistics, usually the channels.
        momentum, epsilon: as in the formulas.
        center, scale: whether there are beta and gamma.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: how they start.
        beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint: on the trained ones.
        synchronized: whether replicas share their statistics; one process always does.

    Input shape and output shape: any. Weights: `gamma`, `beta`, `moving_mean`, `moving_variance`, each
    `(input_shape[axis],)`. Ioffe and Szegedy, arXiv 1502.03167.

    >>> import numpy as np
    >>> BatchNormalization()(np.ones((4, 3), "float32"), training=True).numpy().sum()
    np.float32(0.0)
    """

    OPTIONS = ("axis", "momentum", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer")
    OPTIONS += ("moving_mean_initializer", "moving_variance_initializer", "beta_regularizer", "gamma_regularizer")
    OPTIONS += ("beta_constraint", "gamma_constraint", "synchronized", "renorm", "renorm_clipping", "renorm_momentum")

    def __init__(
        self,
        axis=-1,
        momentum=0.99,
        epsilon=1e-3,
        center=True,
        scale=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        moving_mean_initializer="zeros",
        moving_variance_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        renorm=False,
        renorm_clipping=None,
        renorm_momentum=0.99,
        synchronized=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if renorm:
            raise NotImplementedError(
                f"[BatchNormalization] expected renorm=False (not supported), received {renorm!r}"
            )
        self.set_options(locals(), axis=int(axis))
        self.supports_masking = True

    def build(self, input_shape):
        axis = self.axis + len(input_shape) if self.axis < 0 else self.axis
        if not 0 <= axis < len(input_shape) or input_shape[axis] is None:
            raise ValueError(
                f"[BatchNormalization] expected a known size along axis {self.axis}, received shape {tuple(input_shape)}"
            )
        size = (input_shape[axis],)
        self.gamma = add_weight(self, "gamma", size, autocast=False) if self.scale else None
        self.beta = add_weight(self, "beta", size, autocast=False) if self.center else None
        self.moving_mean = add_weight(self, "moving_mean", size, trainable=False, autocast=False)
        self.moving_variance = add_weight(self, "moving_variance", size, trainable=False, autocast=False)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: input_shape[axis]})
        self._other_axes = tuple(i for i in range(len(input_shape)) if i != axis)
        self.built = True

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, inputs, training=None, mask=None):
        if mask is not None and len(mask.shape) != len(inputs.shape) - 1:
            raise ValueError(
                f"[BatchNormalization] expected a mask with one axis less than the input of shape {tuple(inputs.shape)}, "
                f"received shape {tuple(mask.shape)}"
            )
        if training and self.trainable and mask is None:
            y, mean, variance = batch_norm_train(inputs, self.gamma, self.beta, self.epsilon, self.axis)
            self._follow(mean, variance)
            return y
        if training and self.trainable:
            mean, variance = self._masked_moments(inputs, mask)
            self._follow(mean, variance)
        else:
            mean, variance = self.moving_mean, self.moving_variance
        return ops.batch_normalization(
            inputs, mean, variance, axis=self.axis, offset=self.beta, scale=self.gamma, epsilon=self.epsilon
        )

    def _follow(self, mean, variance):
        keep = self.momentum
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(ops.add(ops.multiply(moving, keep), ops.multiply(now, 1.0 - keep)))

    def _masked_moments(self, inputs, mask):
        """Mean and variance of the steps that the mask keeps, each `(input_shape[axis],)`."""
        inputs = ops.cast(inputs, result_type(inputs.dtype, "float32"))
        weights = ops.expand_dims(ops.cast(mask, inputs.dtype), -1)  # (batch, ..., 1)
        over = {"axis": self._other_axes, "keepdims": True}
        # epsilon: a batch that is masked altogether must not divide by zero
        count = ops.add(ops.sum(weights, **over), config.epsilon())
        mean = ops.divide(ops.sum(ops.multiply(weights, inputs), **over), count)
        squares = ops.square(ops.subtract(inputs, mean))
        variance = ops.divide(ops.sum(ops.multiply(weights, squares), **over), count)
        return ops.squeeze(mean, self._other_axes), ops.squeeze(variance, self._other_axes)
