"""ImageLayer: what layers of images share: single images and batches, both data formats, random numbers per image."""

from __future__ import annotations

from typing import Any

from kcore import ops, random
from kcore.graph import KerasTensor
from kcore.layers.options import BuiltinLayer, data_format_of


class ImageLayer(BuiltinLayer):
    """A layer of images `(height, width, channels)` or `(batch, height, width, channels)`, or channels_first.

    A subclass defines `transform_images(images, transformation, training)`, which gets a float batch, and if it is
    random `get_random_transformation(images, training, seed)`, whose result it gets as `transformation`.
    """

    OPTIONS: tuple[str, ...] = ("data_format",)

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_of(self, data_format)
        self.built = True

    @property
    def height_axis(self) -> int:
        """Counted from the end, so it holds for single images too."""
        return -3 if self.data_format == "channels_last" else -2

    @property
    def width_axis(self) -> int:
        """Counted from the end."""
        return self.height_axis + 1

    def sizes(self, shape) -> tuple[int, int]:
        """Height and width."""
        return shape[self.height_axis], shape[self.width_axis]

    def with_sizes(self, shape, height: int, width: int) -> tuple:
        """`shape` with another height and width."""
        shape = list(shape)
        shape[self.height_axis], shape[self.width_axis] = height, width
        return tuple(shape)

    def get_random_transformation(self, data, training=True, seed=None) -> Any:
        """What is to be done to each image of a batch; None for nothing random."""
        return None

    def transform_images(self, images, transformation, training=True):
        """The images `(batch, ...)` transformed."""
        raise NotImplementedError(f"[{type(self).__name__}] expected a transform_images method")

    def call(self, data, training=True):
        if len(data.shape) not in (3, 4):
            raise ValueError(
                f"[{type(self).__name__}] expected images of 3 or 4 axes, received shape {tuple(data.shape)}"
            )
        images = ops.expand_dims(data, 0) if len(data.shape) == 3 else data
        if not training:
            outputs = self.transform_images(images, None, training=False)
        else:
            outputs = self.transform_images(images, self.get_random_transformation(images), training=True)
        return ops.squeeze(outputs, 0) if len(data.shape) == 3 else outputs

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def compute_output_spec(self, data, training=True):
        return KerasTensor(self.compute_output_shape(data.shape), dtype=self.compute_dtype)


class RandomImageLayer(ImageLayer):
    """An image layer that draws random numbers in training and changes nothing at inference."""

    def __init__(self, seed=None, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.seed = seed
        self.generator = random.SeedGenerator(seed)

    def draw(self, images, bounds: tuple[float, float], seed, shape: tuple[int, ...] = (1,)):
        """Uniform numbers within `bounds`, `(batch, *shape)`."""
        low, high = bounds
        seed = self.generator if seed is None else seed
        return random.uniform((images.shape[0], *shape), minval=low, maxval=high, dtype=self.compute_dtype, seed=seed)

    def warp(self, images, matrices):
        """The images resampled under affine `matrices (batch, 8)`, with the layer's fill mode and interpolation."""
        return ops.image.affine_transform(
            ops.cast(images, self.compute_dtype),
            matrices,
            interpolation=self.interpolation,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format=self.data_format,
        )


def factor_bounds(layer, name: str, value: Any, low: float, high: float, symmetric: bool = True) -> tuple[float, float]:
    """`value` as bounds in [low, high]: two numbers, or one number for (-value, value), or (0, value) if not `symmetric`."""
    numbers = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(numbers) not in (1, 2) or not all(isinstance(n, (int, float)) and low <= n <= high for n in numbers):
        raise ValueError(
            f"[{type(layer).__name__}] expected {name} to be a number or two in [{low}, {high}], received {value!r}"
        )
    if len(numbers) == 2:
        return tuple(sorted(numbers))
    return (-abs(numbers[0]), abs(numbers[0])) if symmetric else (0, numbers[0])
