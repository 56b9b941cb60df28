"""RandomFlip: mirrored images."""

from __future__ import annotations

from kcore import ops
from kcore.layers.options import one_of
from kcore.layers.preprocessing.image_layer import RandomImageLayer


class RandomFlip(RandomImageLayer):
    """Flips each image with probability one half, in training.

    Args:
        mode: `"horizontal"`, `"vertical"`, or `"horizontal_and_vertical"` (both at once).
        seed: for the same flips again.
        data_format: `"channels_last"` or `"channels_first"`.

    Input shape and output shape: images or batches of images. Integers come out as floats.

    >>> import numpy as np
    >>> RandomFlip("horizontal")(np.ones((2, 4, 4, 3), "uint8"), training=True).shape
    (2, 4, 4, 3)
    """

    OPTIONS = ("seed", "mode")

    def __init__(self, mode="horizontal_and_vertical", seed=None, data_format=None, **kwargs):
        super().__init__(seed, data_format, **kwargs)
        self.mode = one_of(self, "mode", mode, ("horizontal", "vertical", "horizontal_and_vertical"))

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        flips = ops.less_equal(self.draw(data, (0.0, 1.0), seed, (1, 1, 1)), 0.5)
        return {"flips": flips, "input_shape": tuple(data.shape)}

    def transform_images(self, images, transformation, training=True):
        images = ops.cast(images, self.compute_dtype)
        if not training or transformation is None:
            return images
        axes = {"horizontal": [self.width_axis], "vertical": [self.height_axis]}
        axes = axes.get(self.mode, [self.height_axis, self.width_axis])
        flipped = images
        for axis in axes:
            flipped = ops.flip(flipped, axis=axis)
        return ops.where(transformation["flips"], flipped, images)
