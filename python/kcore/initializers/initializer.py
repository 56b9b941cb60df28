"""What an initializer is."""

from __future__ import annotations

from kcore.autograd import Tensor


class Initializer:
    """A function from a shape to a tensor of starting values, with a config. Subclasses write `__call__`.

    >>> class Sevens(Initializer):
    ...     def __call__(self, shape, dtype=None, **kwargs):
    ...         return ops.full(shape, 7, dtype=dtype)
    """

    def __call__(self, shape, dtype=None, **kwargs) -> Tensor:
        """Values of `shape` and `dtype` (None: the default float)."""
        raise NotImplementedError(f"[{type(self).__name__}] expected a __call__ method")

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict) -> Initializer:
        """An initializer with these arguments."""
        return cls(**config)

    def clone(self) -> Initializer:
        """Another with the same config."""
        return type(self).from_config(self.get_config())


def check_shape(name: str, shape) -> tuple[int, ...]:
    """The shape as a tuple of ints >= 0; ValueError otherwise."""
    try:
        dims = (shape,) if isinstance(shape, int) else tuple(int(dim) for dim in shape)
    except (TypeError, ValueError):
        raise ValueError(f"[{name}] expected a shape of integers, received {shape!r}") from None
    if any(dim < 0 for dim in dims):
        raise ValueError(f"[{name}] expected a shape of integers >= 0, received {shape!r}")
    return dims
