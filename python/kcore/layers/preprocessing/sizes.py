"""Resizing, CenterCrop, RandomCrop: images of another height and width."""

from __future__ import annotations

from kcore import ops, random
from kcore.layers.options import positive_int
from kcore.layers.preprocessing.image_layer import ImageLayer, RandomImageLayer


class _Sized(ImageLayer):
    """An image layer whose outputs have the size `height`, `width`."""

    def compute_output_shape(self, input_shape):
        return self.with_sizes(input_shape, self.height, self.width)

    def crop(self, images, top: int, left: int):
        """The part of `height` by `width` pixels from (top, left) on."""
        starts = [0, 0, 0, 0]
        starts[self.height_axis], starts[self.width_axis] = top, left
        return ops.slice(images, starts, self.with_sizes(images.shape, self.height, self.width))

    def fits(self, images) -> bool:
        """Whether the images are at least as large as the outputs."""
        height, width = self.sizes(images.shape)
        return height >= self.height and width >= self.width


class Resizing(_Sized):
    """Images resized to `height` by `width`.

    Args:
        height, width: size of the outputs.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"area"`, `"lanczos3"`, `"lanczos5"`, ...
        crop_to_aspect_ratio: whether the middle is cut out first so that nothing is distorted.
        pad_to_aspect_ratio: whether borders are added first so that nothing is distorted.
        fill_mode: how the borders are filled, `"constant"`.
        fill_value: with what.
        antialias: whether high frequencies are removed when images shrink.
        data_format: `"channels_last"` or `"channels_first"`.

    Integers stay integers, rounded.

    >>> import numpy as np
    >>> Resizing(2, 3)(np.ones((1, 4, 4, 3), "float32")).shape
    (1, 2, 3, 3)
    """

    OPTIONS = ("height", "width", "interpolation", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "fill_mode")
    OPTIONS += ("fill_value", "antialias")

    def __init__(
        self,
        height,
        width,
        interpolation="bilinear",
        crop_to_aspect_ratio=False,
        pad_to_aspect_ratio=False,
        fill_mode="constant",
        fill_value=0.0,
        antialias=False,
        data_format=None,
        **kwargs,
    ):
        super().__init__(data_format, **kwargs)
        checked = {"height": positive_int(self, "height", height), "width": positive_int(self, "width", width)}
        values = {k: v for k, v in locals().items() if k != "data_format"}
        self.set_options(values, **checked)
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ValueError(
                "[Resizing] expected only one of crop_to_aspect_ratio and pad_to_aspect_ratio, received both"
            )

    def transform_images(self, images, transformation, training=True):
        return ops.image.resize(
            images,
            (self.height, self.width),
            interpolation=self.interpolation,
            antialias=self.antialias,
            crop_to_aspect_ratio=self.crop_to_aspect_ratio,
            pad_to_aspect_ratio=self.pad_to_aspect_ratio,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format=self.data_format,
        )


class CenterCrop(_Sized):
    """The middle of each image; an image that is too small is resized, the middle of it so that nothing is distorted.

    Args:
        height, width: size of the outputs.
        data_format: `"channels_last"` or `"channels_first"`.

    >>> import numpy as np
    >>> CenterCrop(2, 3)(np.ones((1, 4, 4, 3), "float32")).shape
    (1, 2, 3, 3)
    """

    OPTIONS = ("height", "width")

    def __init__(self, height, width, data_format=None, **kwargs):
        super().__init__(data_format, **kwargs)
        self.height = positive_int(self, "height", height)
        self.width = positive_int(self, "width", width)

    def transform_images(self, images, transformation, training=True):
        images = ops.cast(images, self.compute_dtype)
        if not self.fits(images):
            size = (self.height, self.width)
            return ops.image.resize(images, size, crop_to_aspect_ratio=True, data_format=self.data_format)
        height, width = self.sizes(images.shape)
        return self.crop(images, (height - self.height) // 2, (width - self.width) // 2)


class RandomCrop(_Sized, RandomImageLayer):
    """A part of each image of `height` by `width` pixels: in training at a random place, one for the batch, else the middle.

    Args:
        height, width: size of the outputs.
        seed: for the same places again.
        data_format: `"channels_last"` or `"channels_first"`.

    An image that is too small is resized.

    >>> import numpy as np
    >>> RandomCrop(2, 3)(np.ones((1, 4, 4, 3), "float32"), training=True).shape
    (1, 2, 3, 3)
    """

    OPTIONS = ("height", "width", "seed")

    def __init__(self, height, width, seed=None, data_format=None, name=None, **kwargs):
        seed = random.make_default_seed() if seed is None else seed
        super().__init__(seed=seed, data_format=data_format, name=name, **kwargs)
        self.height = positive_int(self, "height", height)
        self.width = positive_int(self, "width", width)

    def get_random_transformation(self, data, training=True, seed=None):
        height, width = self.sizes(data.shape)
        if not training or not self.fits(data):
            return None
        seed = self.generator if seed is None else seed
        top = random.randint((), 0, height - self.height + 1, seed=seed)
        left = random.randint((), 0, width - self.width + 1, seed=seed)
        return top, left

    def transform_images(self, images, transformation, training=True):
        images = ops.cast(images, self.compute_dtype)
        height, width = self.sizes(images.shape)
        if not self.fits(images):
            return ops.image.resize(images, (self.height, self.width), data_format=self.data_format)
        if not training or transformation is None:
            return self.crop(images, (height - self.height) // 2, (width - self.width) // 2)
        # The place is a tensor, so rows and columns are gathered: a recorded step draws a new place each time.
        top, left = transformation
        rows = ops.add(ops.arange(self.height, dtype="int32"), ops.cast(top, "int32"))
        columns = ops.add(ops.arange(self.width, dtype="int32"), ops.cast(left, "int32"))
        return ops.take(ops.take(images, rows, axis=self.height_axis), columns, axis=self.width_axis)
