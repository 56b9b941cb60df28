"""RandomRotation, RandomZoom, RandomTranslation: images resampled under a random affine map, each under its own."""

from __future__ import annotations

import math

from kcore import ops
from kcore.layers.options import one_of
from kcore.layers.preprocessing.image_layer import RandomImageLayer, factor_bounds


class _RandomAffine(RandomImageLayer):
    """Checks how pixels from outside are made up and how values between pixels are found."""

    def __init__(self, seed, data_format, fill_mode, interpolation, fill_value, **kwargs):
        super().__init__(seed, data_format, **kwargs)
        self.fill_mode = one_of(self, "fill_mode", fill_mode, ("reflect", "wrap", "constant", "nearest"))
        self.interpolation = one_of(self, "interpolation", interpolation, ("nearest", "bilinear"))
        self.fill_value = fill_value

    def matrices(self, images, transformation):
        """The maps from output to input coordinates, `(batch, 8)`."""
        raise NotImplementedError

    def transform_images(self, images, transformation, training=True):
        images = ops.cast(images, self.compute_dtype)
        if not training or transformation is None:
            return images
        return self.warp(images, self.matrices(images, transformation))


def _rows(*entries):
    """Columns `(batch, 1)` or numbers as matrices `(batch, 8)`; at least one is a column."""
    column = next(e for e in entries if not isinstance(e, (int, float)))
    zero = ops.zeros_like(column)
    return ops.concatenate([ops.add(zero, e) if isinstance(e, (int, float)) else e for e in entries], axis=1)


class RandomRotation(_RandomAffine):
    """Turns each image by a random angle around its centre, in training.

    Args:
        factor: bounds of the angle as fractions of a full turn: two numbers in [-1, 1], or one for both directions.
        fill_mode: `"reflect"`, `"wrap"`, `"constant"` or `"nearest"`: what lies outside.
        interpolation: `"nearest"` or `"bilinear"`.
        seed: for the same angles again.
        fill_value: the constant outside.
        data_format: `"channels_last"` or `"channels_first"`.

    >>> import numpy as np
    >>> RandomRotation(0.1)(np.ones((2, 4, 4, 3), "float32"), training=True).shape
    (2, 4, 4, 3)
    """

    OPTIONS = ("factor", "fill_mode", "fill_value", "interpolation", "seed")

    def __init__(
        self,
        factor,
        fill_mode="reflect",
        interpolation="bilinear",
        seed=None,
        fill_value=0.0,
        data_format=None,
        **kwargs,
    ):
        super().__init__(seed, data_format, fill_mode, interpolation, fill_value, **kwargs)
        self.factor = factor_bounds(self, "factor", factor, -1, 1)

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        height, width = self.sizes(data.shape)
        angle = self.draw(data, tuple(360.0 * f for f in self.factor), seed, ())  # degrees, (batch,)
        radians = ops.expand_dims(ops.multiply(angle, math.pi / 180.0), 1)
        c, s = ops.cos(radians), ops.sin(radians)
        negative_s = ops.negative(s)
        # The centre ((width - 1) / 2, (height - 1) / 2) stays where it is.
        x, y = (width - 1) / 2, (height - 1) / 2
        move_x = ops.subtract(x, ops.add(ops.multiply(c, x), ops.multiply(negative_s, y)))
        move_y = ops.subtract(y, ops.add(ops.multiply(s, x), ops.multiply(c, y)))
        matrix = _rows(c, negative_s, move_x, s, c, move_y, 0.0, 0.0)
        sizes = {"image_height": height, "image_width": width, "batch_size": data.shape[0]}
        return {"angle": angle, "rotation_matrix": matrix, **sizes}

    def matrices(self, images, transformation):
        return transformation["rotation_matrix"]


class RandomZoom(_RandomAffine):
    """Zooms each image by random factors, in training.

    Args:
        height_factor: bounds of the change of height: two numbers in [-1, 1], or one for both signs; 0.2 shows 20 % more.
        width_factor: the same for the width; None for the height's factor.
        fill_mode, interpolation, seed, fill_value, data_format: as in `RandomRotation`.

    >>> import numpy as np
    >>> RandomZoom(0.2)(np.ones((2, 4, 4, 3), "float32"), training=True).shape
    (2, 4, 4, 3)
    """

    OPTIONS = ("height_factor", "width_factor", "fill_mode", "interpolation", "seed", "fill_value")

    def __init__(
        self,
        height_factor,
        width_factor=None,
        fill_mode="reflect",
        interpolation="bilinear",
        seed=None,
        fill_value=0.0,
        data_format=None,
        **kwargs,
    ):
        super().__init__(seed, data_format, fill_mode, interpolation, fill_value, **kwargs)
        self.height_factor = height_factor
        self.width_factor = width_factor
        self.height_lower, self.height_upper = factor_bounds(self, "height_factor", height_factor, -1, 1)
        if width_factor is not None:
            self.width_lower, self.width_upper = factor_bounds(self, "width_factor", width_factor, -1, 1)

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        height = self.draw(data, (1.0 + self.height_lower, 1.0 + self.height_upper), seed)
        width = height
        if self.width_factor is not None:
            width = self.draw(data, (1.0 + self.width_lower, 1.0 + self.width_upper), seed)
        return {"height_zoom": height, "width_zoom": width, "input_shape": tuple(data.shape)}

    def matrices(self, images, transformation):
        height, width = self.sizes(images.shape)
        h, w = transformation["height_zoom"], transformation["width_zoom"]
        move_x = ops.multiply(ops.subtract(1.0, w), (width - 1) / 2)
        move_y = ops.multiply(ops.subtract(1.0, h), (height - 1) / 2)
        return _rows(w, 0.0, move_x, 0.0, h, move_y, 0.0, 0.0)


class RandomTranslation(_RandomAffine):
    """Moves each image by random distances, in training.

    Args:
        height_factor: bounds of the way down as fractions of the height: two numbers in [-1, 1], or one for both directions.
        width_factor: bounds of the way to the right as fractions of the width.
        fill_mode, interpolation, seed, fill_value, data_format: as in `RandomRotation`.

    >>> import numpy as np
    >>> RandomTranslation(0.2, 0.2)(np.ones((2, 4, 4, 3), "float32"), training=True).shape
    (2, 4, 4, 3)
    """

    OPTIONS = ("height_factor", "width_factor", "fill_mode", "interpolation", "seed", "fill_value")

    def __init__(
        self,
        height_factor,
        width_factor,
        fill_mode="reflect",
        interpolation="bilinear",
        seed=None,
        fill_value=0.0,
        data_format=None,
        **kwargs,
    ):
        super().__init__(seed, data_format, fill_mode, interpolation, fill_value, **kwargs)
        self.height_factor = height_factor
        self.width_factor = width_factor
        self.height_lower, self.height_upper = factor_bounds(self, "height_factor", height_factor, -1, 1)
        self.width_lower, self.width_upper = factor_bounds(self, "width_factor", width_factor, -1, 1)

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        height, width = self.sizes(data.shape)
        down = self.draw(data, (self.height_lower * height, self.height_upper * height), seed)
        right = self.draw(data, (self.width_lower * width, self.width_upper * width), seed)
        return {"translations": ops.concatenate([right, down], axis=1), "input_shape": tuple(data.shape)}

    def matrices(self, images, transformation):
        right, down = ops.split(ops.convert_to_tensor(transformation["translations"]), 2, axis=1)
        return _rows(1.0, 0.0, ops.negative(right), 0.0, 1.0, ops.negative(down), 0.0, 0.0)
