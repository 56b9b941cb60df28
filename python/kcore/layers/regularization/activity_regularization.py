"""ActivityRegularization: a penalty on what flows through."""

from __future__ import annotations

from kcore import regularizers
from kcore.layers.layer import Layer


class ActivityRegularization(Layer):
    """Adds `l1 * sum|x| + l2 * sum x^2` to the loss (divided by the batch size) and returns its input.

    >>> import numpy as np
    >>> layer = ActivityRegularization(l1=0.5)
    >>> _ = layer(np.ones((1, 4), "float32"))
    >>> len(layer.losses)
    1
    """

    def __init__(self, l1=0.0, l2=0.0, **kwargs):
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.supports_masking = True
        self.l1 = l1
        self.l2 = l2
        self.built = True

    def call(self, inputs):
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return {**config, "l1": self.l1, "l2": self.l2}
