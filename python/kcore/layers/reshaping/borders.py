"""ZeroPadding and Cropping: a border added or taken away."""

from __future__ import annotations

from kcore import ops
from kcore.layers.input_spec import InputSpec
from kcore.layers.options import BuiltinLayer, data_format_of, int_tuple, pairs


class _Borders(BuiltinLayer):
    """A layer that changes the size of `RANK` axes at both ends; subclasses hold how much in `borders`."""

    RANK = 0
    borders: tuple[tuple[int, int], ...]
    data_format = "channels_last"

    def _per_axis(self) -> list[tuple[int, int]]:
        middle = list(self.borders)
        return [(0, 0), *middle, (0, 0)] if self.data_format == "channels_last" else [(0, 0), (0, 0), *middle]


class _ZeroPadding(_Borders):
    OPTIONS = ("padding", "data_format")

    def __init__(self, padding, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_of(self, data_format)
        self.borders = pairs(self, "padding", padding, self.RANK)
        self.input_spec = InputSpec(ndim=self.RANK + 2)

    @property
    def padding(self):
        """How much is added: a pair per axis."""
        return self.borders

    def compute_output_shape(self, input_shape):
        return tuple(None if n is None else n + a + b for n, (a, b) in zip(input_shape, self._per_axis()))

    def call(self, inputs):
        return ops.pad(inputs, self._per_axis())


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after in time.

    Args:
        padding: how many, as an integer or a pair (before, after).
        data_format: `"channels_last"` or `"channels_first"`.

    Input shape: `(batch, steps, channels)`. Output shape: `(batch, before + steps + after, channels)`.

    >>> import numpy as np
    >>> ZeroPadding1D((2, 1))(np.ones((2, 3, 4), "float32")).shape
    (2, 6, 4)
    """

    RANK = 1

    def __init__(self, padding=1, data_format=None, **kwargs):
        super().__init__((int_tuple(self, "padding", padding, 2, minimum=0),), data_format, **kwargs)

    @property
    def padding(self):
        """How much is added: (before, after)."""
        return self.borders[0]


class ZeroPadding2D(_ZeroPadding):
    """Zeros around an image.

    Args:
        padding: an integer, two integers (height, width), or two pairs ((top, bottom), (left, right)).
        data_format: `"channels_last"` or `"channels_first"`.

    Input shape: `(batch, height, width, channels)`. Output shape: the same with the padding added.

    >>> import numpy as np
    >>> ZeroPadding2D(((1, 2), (0, 3)))(np.ones((2, 3, 4, 5), "float32")).shape
    (2, 6, 7, 5)
    """

    RANK = 2

    def __init__(self, padding=(1, 1), data_format=None, **kwargs):
        super().__init__(padding, data_format, **kwargs)


class ZeroPadding3D(_ZeroPadding):
    """Zeros around a volume.

    Args:
        padding: an integer, three integers, or three pairs.
        data_format: `"channels_last"` or `"channels_first"`.

    Input shape: `(batch, depth, height, width, channels)`. Output shape: the same with the padding added.

    >>> import numpy as np
    >>> ZeroPadding3D(1)(np.ones((1, 2, 3, 4, 5), "float32")).shape
    (1, 4, 5, 6, 5)
    """

    RANK = 3

    def __init__(self, padding=((1, 1), (1, 1), (1, 1)), data_format=None, **kwargs):
        super().__init__(padding, data_format, **kwargs)


class _Cropping(_Borders):
    def _crop_sizes(self, input_shape) -> tuple:
        sizes = []
        for n, (a, b) in zip(input_shape, self._per_axis()):
            if n is not None and (a or b) and a + b >= n:
                raise ValueError(
                    f"[{type(self).__name__}] expected cropping smaller than the input, received {self.cropping} "
                    f'for an input of shape {tuple(input_shape)} (layer "{self.name}")'
                )
            sizes.append(None if n is None else n - a - b)
        return tuple(sizes)

    def compute_output_shape(self, input_shape):
        return self._crop_sizes(input_shape)

    def call(self, inputs):
        sizes = self._crop_sizes(tuple(inputs.shape))
        return ops.slice(inputs, [before for before, _ in self._per_axis()], sizes)


class Cropping1D(_Cropping):
    """Steps taken away at both ends.

    Args:
        cropping: how many, as an integer or a pair (first, last).

    Input shape: `(batch, steps, channels)`. Output shape: `(batch, steps - first - last, channels)`.

    >>> import numpy as np
    >>> Cropping1D((2, 1))(np.ones((2, 5, 4), "float32")).shape
    (2, 2, 4)
    """

    OPTIONS = ("cropping",)
    RANK = 1

    def __init__(self, cropping=(1, 1), **kwargs):
        super().__init__(**kwargs)
        self.cropping = int_tuple(self, "cropping", cropping, 2, minimum=0)
        self.borders = (self.cropping,)
        self.input_spec = InputSpec(ndim=3)


class Cropping2D(_Cropping):
    """A border taken away from an image.

    Args:
        cropping: an integer, two integers (height, width), or two pairs ((top, bottom), (left, right)).
        data_format: `"channels_last"` or `"channels_first"`.

    Input shape: `(batch, height, width, channels)`. Output shape: the same without the border.

    >>> import numpy as np
    >>> Cropping2D(((1, 2), (0, 3)))(np.ones((2, 5, 6, 3), "float32")).shape
    (2, 2, 3, 3)
    """

    OPTIONS = ("cropping", "data_format")
    RANK = 2

    def __init__(self, cropping=((0, 0), (0, 0)), data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_of(self, data_format)
        self.cropping = self.borders = pairs(self, "cropping", cropping, 2)
        self.input_spec = InputSpec(ndim=4)


class Cropping3D(_Cropping):
    """A border taken away from a volume.

    Args:
        cropping: an integer, three integers, or three pairs.
        data_format: `"channels_last"` or `"channels_first"`.

    Input shape: `(batch, depth, height, width, channels)`. Output shape: the same without the border.

    >>> import numpy as np
    >>> Cropping3D(1)(np.ones((1, 4, 5, 6, 3), "float32")).shape
    (1, 2, 3, 4, 3)
    """

    OPTIONS = ("cropping", "data_format")
    RANK = 3

    def __init__(self, cropping=((1, 1), (1, 1), (1, 1)), data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_of(self, data_format)
        self.cropping = self.borders = pairs(self, "cropping", cropping, 3)
        self.input_spec = InputSpec(ndim=5)
