"""RandomContrast, RandomBrightness: the values of each image changed by a random amount."""

from __future__ import annotations

from kcore import ops
from kcore.layers.preprocessing.image_layer import RandomImageLayer, factor_bounds


class RandomContrast(RandomImageLayer):
    """Moves each image's values away from or towards the mean of their channel, in training: `(x - mean) * f + mean`.

    Args:
        factor: two numbers in [0, 1]: f is drawn from [1 - lower, 1 + upper]; one number is the upper one.
        value_range: what the results are clipped to.
        seed: for the same changes again.

    >>> import numpy as np
    >>> RandomContrast(0.2)(np.ones((2, 4, 4, 3), "float32"), training=True).shape
    (2, 4, 4, 3)
    """

    OPTIONS = ("factor", "value_range", "seed")

    def __init__(self, factor, value_range=(0, 255), seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        self.factor = factor_bounds(
            self, "factor", factor, -1 if isinstance(factor, (list, tuple)) else 0, 1, symmetric=False
        )
        self.value_range = value_range

    def get_random_transformation(self, data, training=True, seed=None):
        lower, upper = self.factor
        return {"contrast_factor": self.draw(data, (1.0 - lower, 1.0 + upper), seed, (1, 1, 1))} if training else None

    def transform_images(self, images, transformation, training=True):
        if not training or transformation is None:
            return images
        images = ops.cast(images, self.compute_dtype)
        mean = ops.mean(images, axis=(self.height_axis, self.width_axis), keepdims=True)
        changed = ops.add(ops.multiply(ops.subtract(images, mean), transformation["contrast_factor"]), mean)
        return ops.clip(changed, *self.value_range)


class RandomBrightness(RandomImageLayer):
    """Adds a random number to each image, in training.

    Args:
        factor: bounds as fractions of the value range: two numbers in [-1, 1], or one for both signs.
        value_range: the lowest and highest value, to which the results are clipped.
        seed: for the same changes again.

    Integer images stay integers.

    >>> import numpy as np
    >>> RandomBrightness(0.2)(np.ones((2, 4, 4, 3), "uint8"), training=True).dtype
    'uint8'
    """

    OPTIONS = ("factor", "value_range", "seed")

    def __init__(self, factor, value_range=(0, 255), seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        self.factor = factor_bounds(self, "factor", factor, -1, 1)
        if not isinstance(value_range, (list, tuple)) or len(value_range) != 2 or value_range[0] >= value_range[1]:
            raise ValueError(
                f"[RandomBrightness] expected value_range to be two ascending numbers, received {value_range!r}"
            )
        self.value_range = sorted(value_range)

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        span = self.value_range[1] - self.value_range[0]
        return {"rgb_delta": self.draw(data, tuple(span * f for f in self.factor), seed, (1, 1, 1))}

    def transform_images(self, images, transformation, training=True):
        if not training or transformation is None:
            return images
        changed = ops.add(ops.cast(images, self.compute_dtype), transformation["rgb_delta"])
        return ops.cast(ops.clip(changed, *self.value_range), images.dtype)
