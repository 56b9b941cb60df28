"""Input: where a model begins."""

from __future__ import annotations

import warnings
from typing import Any

from kcore.autograd.config import floatx
from kcore.autograd.dtype import standardize_dtype
from kcore.graph import KerasTensor, Node
from kcore.layers.layer import Layer


class InputLayer(Layer):
    """The layer behind `Input`: returns what it is given.

    Args:
        shape: Sizes without the batch, None where unknown.
        batch_size: Size of the batch, None if unknown.
        dtype: Name of the dtype; None for the default float type.
        sparse, ragged: Only False.
        batch_shape: `(batch_size, *shape)`, instead of both.
        input_tensor: A KerasTensor to use instead of a new one.
        optional: Whether None may be passed for it.
        name: Unique within a model, automatic if None.

    Example:

    >>> InputLayer((3,), name="x").output
    <KerasTensor shape=(None, 3), dtype=float32, name=x>
    """

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Any = None,
        input_tensor: KerasTensor | None = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name)
        if "input_shape" in kwargs:
            warnings.warn("Argument `input_shape` is deprecated. Use `shape` instead.", stacklevel=2)
            shape = kwargs.pop("input_shape")
        if "batch_input_shape" in kwargs:
            batch_shape = kwargs.pop("batch_input_shape")
        if kwargs:
            raise ValueError(f"[Input] expected known arguments, received {kwargs}")
        if sparse or ragged:
            raise ValueError("[Input] expected sparse=False and ragged=False: only dense tensors are supported")
        if input_tensor is not None:
            if not isinstance(input_tensor, KerasTensor):
                raise ValueError(f"[Input] expected input_tensor to be a KerasTensor, received {input_tensor!r}")
            batch_shape, dtype = input_tensor.shape, input_tensor.dtype if dtype is None else dtype
        elif shape is not None and batch_shape is not None:
            raise ValueError(f"[Input] expected shape or batch_shape, received both: {shape} and {batch_shape}")
        elif batch_shape is None:
            if shape is None:
                raise ValueError("[Input] expected a shape, received None")
            batch_shape = (batch_size, *_sizes(shape))
        elif batch_size is not None:
            raise ValueError(
                f"[Input] expected batch_shape without batch_size, received {batch_shape} and {batch_size}"
            )
        self._batch_shape = _sizes(batch_shape)
        self._dtype = standardize_dtype(floatx() if dtype is None else dtype)
        self.optional = bool(optional)
        self.built = True
        output = KerasTensor(self._batch_shape, self._dtype, name=self.name) if input_tensor is None else input_tensor
        Node(self, outputs=output)

    @property
    def batch_shape(self) -> tuple:
        """The shape with the batch."""
        return self._batch_shape

    @property
    def dtype(self) -> str:
        """The dtype of the input."""
        return self._dtype

    def call(self) -> None:
        """There is nothing to compute: a model puts its input here."""
        raise NotImplementedError("[InputLayer] expected to stand for an input of a model; it cannot be called")

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self._batch_shape,
            "dtype": self._dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": self.optional,
        }


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: KerasTensor | None = None,
    optional: bool = False,
    ragged: bool | None = None,
    **kwargs: Any,
) -> KerasTensor:
    """A placeholder to build a model from.

    Args:
        shape: Sizes without the batch, None where unknown.
        batch_size: Size of the batch, None if unknown.
        dtype: Name of the dtype; None for the default float type.
        sparse, ragged: Only False.
        batch_shape: `(batch_size, *shape)`, instead of both.
        name: Unique within a model, automatic if None.
        tensor: A KerasTensor to use instead of a new one.
        optional: Whether None may be passed for it.

    Example:

    >>> Input((28, 28, 1), name="image")
    <KerasTensor shape=(None, 28, 28, 1), dtype=float32, name=image>
    """
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        input_tensor=tensor,
        optional=optional,
        name=name,
        **kwargs,
    )
    return layer.output


def _sizes(shape: Any) -> tuple:
    """A shape as a tuple of int and None; one int stands for itself."""
    shape = (shape,) if isinstance(shape, int) else shape
    if not isinstance(shape, (list, tuple)) or not all(
        size is None or (hasattr(size, "__index__") and size >= 0) for size in shape
    ):
        raise ValueError(f"[Input] expected a tuple of sizes and None, received {shape!r}")
    return tuple(None if size is None else int(size) for size in shape)
