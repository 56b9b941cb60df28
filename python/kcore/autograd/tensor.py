"""Tensor: an immutable value over a core array. Operators are added by `kcore.ops`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kcore import _core
from kcore.autograd.dtype import _WIDENED, DTYPES, holds_numbers, is_floating, numpy_dtype, standardize_dtype


class Tensor:
    """An n-dimensional array that gradients can flow through. Its value never changes.

    Made by `kcore.ops.convert_to_tensor` and by every op. NumPy functions accept it; `numpy()` copies it out.

    >>> x = kcore.ops.convert_to_tensor([[1.0, 2.0]])
    >>> x.shape, x.dtype
    ((1, 2), 'float32')
    """

    __slots__ = ("__weakref__", "array", "keras_mask", "source")
    __array_priority__ = 100  # numpy_array * tensor calls Tensor.__rmul__

    def __init__(self, array: _core.Array, source: object = None):
        self.array = array
        self.keras_mask = None
        self.source = source  # shared with the Variable whose value this is or was

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> str:
        return self.array.dtype

    @property
    def ndim(self) -> int:
        return len(self.array.shape)

    @property
    def size(self) -> int:
        return math.prod(self.array.shape)

    @property
    def is_symbolic(self) -> bool:
        """Whether this tensor has a shape and a dtype but will have no values: a function is being traced for its shapes."""
        array = self.array
        return array.is_symbolic and not _core.Recorder.varies(array)  # which a loop's function does compute with

    def numpy(self) -> np.ndarray:
        """A NumPy copy of the values, free to be changed."""
        return self.array.numpy().copy()

    def item(self) -> Any:
        """The Python number in a tensor of one element."""
        return self.array.item()

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        view = self.array.numpy()
        return (view if view.dtype.kind in "biuf" else view.astype("float32")).tolist()  # Python knows no bfloat16

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        view = self.array.numpy()
        if dtype is not None and np.dtype(dtype) != view.dtype:
            if copy is False:
                raise ValueError(
                    f"[__array__] a {self.dtype} tensor cannot be viewed as {np.dtype(dtype)} without a copy"
                )
            return view.astype(dtype)
        return view.copy() if copy else view

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> Any:
        if copy:
            return _core.from_numpy(self.array.numpy()).dlpack()
        return self.array.dlpack()

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # kDLCPU

    def __len__(self) -> int:
        if not self.array.shape:
            raise TypeError("[len] a tensor of shape () has no length")
        return self.array.shape[0]

    def __iter__(self):
        if not self.array.shape:
            raise TypeError("[iter] a tensor of shape () cannot be iterated over")
        return (self[i] for i in range(self.array.shape[0]))

    def __bool__(self) -> bool:
        return bool(self.array.item())

    def __int__(self) -> int:
        return int(self.array.item())

    def __float__(self) -> float:
        return float(self.array.item())

    def __index__(self) -> int:
        if is_floating(self.dtype):
            raise TypeError(f"[index] expected an integer tensor, received {self.dtype}")
        return int(self.array.item())

    def __format__(self, spec: str) -> str:
        if spec and self.size == 1:
            return format(self.array.item(), spec)
        return format(str(self), spec)

    def __repr__(self) -> str:
        if self.array.is_symbolic:
            return f"<kcore.Tensor shape={self.shape} dtype={self.dtype} symbolic>"
        values = np.array2string(self.array.numpy(), separator=", ", prefix="  ")
        return f"<kcore.Tensor shape={self.shape} dtype={self.dtype}\n  {values}>"

    def __reduce__(self) -> Any:
        return (_from_numpy, (self.numpy(),))

    def __deepcopy__(self, memo: dict) -> Tensor:
        return self  # immutable

    # Identity, not value: tensors are keys of gradients. `==` compares elementwise.
    __hash__ = object.__hash__


# In this machine's order of bytes. The name of a dtype takes NumPy longer to say than a small array to copy.
_TAKEN = frozenset(np.dtype(name) for name in DTYPES if name != "bfloat16")


def _from_numpy(value: np.ndarray) -> Tensor:
    if value.dtype in _TAKEN:
        return Tensor(_core.from_numpy(value))
    name = value.dtype.name
    if name not in DTYPES:
        if name not in _WIDENED and not holds_numbers(value.dtype):
            raise TypeError(f"[convert_to_tensor] expected numbers, received a NumPy array of dtype {value.dtype}")
        value = value.astype(standardize_dtype(name))
    elif not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("="))
    return Tensor(_core.from_numpy(value))


def is_tensor(x: object) -> bool:
    """Whether `x` is a Tensor."""
    return isinstance(x, Tensor)


def convert_to_tensor(x: Any, dtype: Any = None, sparse: None = None, ragged: None = None) -> Tensor:
    """A Tensor of the values of `x`: a Tensor, Variable, NumPy array, DLPack array, number or nested list of numbers.

    Python floats become the default float, Python ints int32 (int64 where they do not fit). A Tensor of the right dtype
    is returned as it is; DLPack memory is shared, everything else is copied.

    Args:
        x: The values.
        dtype: Name of the dtype wanted; None keeps that of the values.

    Raises:
        TypeError: The values are not numbers.
        ValueError: A nested list is ragged.

    >>> kcore.ops.convert_to_tensor([1, 2]).dtype
    'int32'
    """
    if isinstance(x, Tensor):
        tensor = x
    elif hasattr(x, "__kcore_tensor__"):
        tensor = x.__kcore_tensor__()
    elif isinstance(x, (np.ndarray, np.generic)):  # before float, which np.float64 is
        tensor = _from_numpy(np.asarray(x))
    elif isinstance(x, (bool, int, float)):
        if dtype is None:
            dtype = "bool" if isinstance(x, bool) else None if isinstance(x, float) else _int_dtype(x)
        name = standardize_dtype(dtype)
        number = float(x) if is_floating(name) else int(x)
        return Tensor(_core.scalar(number, name))
    elif hasattr(x, "__dlpack__"):
        tensor = Tensor(_core.from_dlpack(x.__dlpack__()))
    else:
        return _from_nested(x, dtype)
    if dtype is not None:
        name = standardize_dtype(dtype)
        if tensor.dtype != name:
            from kcore.autograd.apply import apply  # apply needs Tensor

            return apply("cast", (tensor,), {"dtype": name})
    return tensor


def _int_dtype(x: int) -> str:
    return "int32" if -(2**31) <= x < 2**31 else "int64"


def _from_nested(x: Any, dtype: Any) -> Tensor:
    # Lists may hold tensors; NumPy reads those through __array__, and gradients do not flow through a list.
    try:
        value = np.asarray(x)
    except ValueError as e:
        raise ValueError(f"[convert_to_tensor] expected nested lists of equal lengths, received {x!r}") from e
    if not holds_numbers(value.dtype):
        raise TypeError(
            f"[convert_to_tensor] expected a tensor, a NumPy array, a number or nested lists of numbers, received {x!r} "
            f"of type {type(x).__name__}"
        )
    if dtype is None and not hasattr(x, "__array__"):
        dtype = {"f": None, "b": "bool", "V": "bfloat16"}.get(value.dtype.kind, "int32")
        if dtype == "int32" and value.size and _int_dtype(int(np.abs(value).max())) == "int64":
            dtype = "int64"
    name = standardize_dtype(dtype) if dtype is not None or not hasattr(x, "__array__") else value.dtype.name
    return _from_numpy(value.astype(numpy_dtype(name) if name in DTYPES else name))
