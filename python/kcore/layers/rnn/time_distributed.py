"""TimeDistributed: one layer applied to every step."""

from __future__ import annotations

import inspect

from kcore import ops
from kcore.layers.core.wrapper import Wrapper


class TimeDistributed(Wrapper):
    """Applies a layer to every step of a sequence.

    The steps of all examples go through the layer as one large batch, unless it is being trained and has state that
    follows the batch (BatchNormalization): then one step after the other.

    Args:
        layer: takes inputs `(batch, ...)`.

    Input shape: `(batch, time, ...)`. Output shape: `(batch, time, *output of the layer without its batch)`.
    A mask `(batch, time)` is passed to layers that take one.

    >>> import numpy as np
    >>> from kcore.layers import Conv2D
    >>> TimeDistributed(Conv2D(4, 3))(np.ones((2, 5, 8, 8, 3), "float32")).shape
    (2, 5, 6, 6, 4)
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def _child_shape(self, input_shape):
        if not isinstance(input_shape, (tuple, list)) or len(input_shape) < 3:
            raise ValueError(f"[TimeDistributed] expected an input of at least 3 axes, received shape {input_shape}")
        return (input_shape[0], *input_shape[2:])

    def build(self, input_shape):
        super().build(self._child_shape(input_shape))

    def compute_output_shape(self, input_shape):
        child = self.layer.compute_output_shape(self._child_shape(input_shape))
        return (child[0], input_shape[1], *child[1:])

    def call(self, inputs, training=None, mask=None):
        batch, steps, *rest = inputs.shape
        accepted = inspect.signature(self.layer.call).parameters
        extra = {"training": training} if "training" in accepted else {}
        takes_mask = mask is not None and "mask" in accepted
        if takes_mask and tuple(mask.shape[:2]) != (batch, steps):
            raise ValueError(
                f"[TimeDistributed] expected a mask of shape {(batch, steps)}, received shape {tuple(mask.shape)}"
            )
        if training and self.layer.non_trainable_variables and not inputs.is_symbolic:
            # State that follows the batch (moving statistics) sees one step after the other, as Keras has it.
            outputs = []
            for step in range(steps):
                masked = {"mask": mask[:, step]} if takes_mask else {}
                outputs.append(self.layer(inputs[:, step], **extra, **masked))
            return ops.stack(outputs, axis=1)
        if takes_mask:
            extra["mask"] = ops.reshape(mask, (batch * steps, *mask.shape[2:]))
        outputs = self.layer(ops.reshape(inputs, (batch * steps, *rest)), **extra)
        return ops.reshape(outputs, (batch, steps, *outputs.shape[1:]))
