"""Variable: a named value that changes; weights, optimizer state, metric state and counters are Variables."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from kcore._core import Cell
from kcore.autograd.apply import apply
from kcore.autograd.dtype import is_floating, standardize_dtype
from kcore.autograd.recorder import forget_recordings
from kcore.autograd.surroundings import surroundings
from kcore.autograd.tensor import Tensor, convert_to_tensor
from kcore.naming import auto_name, current_path


class _Autocast(threading.local):
    """In which dtype float variables give their values while a layer of a mixed policy runs, in this thread.

    `False`: no such layer runs. `None`: one runs, and inside it a layer that wants variables as they are.
    """

    dtype: str | bool | None = False


autocast = _Autocast()


def _capture_autocast() -> Callable[[], AbstractContextManager]:
    dtype = autocast.dtype

    @contextmanager
    def brought_back() -> Iterator[None]:
        outer, autocast.dtype = autocast.dtype, dtype
        try:
            yield
        finally:
            autocast.dtype = outer

    return brought_back


surroundings.append(_capture_autocast)


class Source:
    """What a variable and all the values it ever had share; a value does not keep its variable alive."""

    __slots__ = ("trainable",)

    def __init__(self, trainable: bool):
        self.trainable = trainable


class Variable:
    """A tensor that can be assigned to. Ops take it as they take a Tensor.

    Args:
        initializer: The first value, or a function `(shape, dtype=...)` that makes it.
        shape: Shape for an initializer function.
        dtype: Name of the dtype; None is that of the value, or the default float for an initializer function.
        trainable: Whether gradient tapes watch it by themselves and optimizers change it.
        autocast: Whether it gives its value in the compute dtype of the layer that runs, if that is mixed.
        aggregation: How distributed training combines it: `"none"`, `"mean"`, `"sum"` or `"only_first_replica"`.
        name: Name in files and messages.

    >>> v = kcore.Variable([1.0, 2.0], name="v")
    >>> v.assign_add([1.0, 1.0]).numpy()
    array([2., 3.], dtype=float32)
    """

    def __init__(
        self,
        initializer: Any,
        shape: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = None,
        synchronization: str = "auto",
        name: str | None = None,
    ):
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(f"[Variable] expected a name without '/', received {name!r}")
        self.name = auto_name(type(self).__name__) if name is None else name
        scope = current_path()
        self.path = f"{scope}/{self.name}" if scope else self.name
        self.source = Source(bool(trainable))
        self.autocast = autocast
        self.aggregation = aggregation if aggregation is not None else ("mean" if trainable else "none")
        self.synchronization = synchronization
        self.regularizer: Callable[[Any], Tensor] | None = None
        self.constraint: Callable[[Any], Tensor] | None = None
        self.overwrite_with_gradient = False
        if callable(initializer) and not isinstance(initializer, (Tensor, Variable)):
            if shape is None:
                raise ValueError(f"[Variable] {self.name}: an initializer function needs a shape")
            dims = tuple(int(d) for d in shape)
            initializer = initializer(dims, dtype=standardize_dtype(dtype))
            dtype = standardize_dtype(dtype)
        value = convert_to_tensor(initializer, dtype=dtype)
        if shape is not None and value.shape != tuple(shape):
            raise ValueError(
                f"[Variable] {self.name}: expected an initial value of shape {tuple(shape)}, received {value.shape}"
            )
        self._dtype = value.dtype
        self._shape = value.shape
        self._cell = Cell(self.path, value.array)

    @property
    def _value(self) -> Tensor:
        # A tensor of its own, whose `source` tells tapes that its gradient is this variable's.
        return Tensor(self._cell.value, source=self.source)

    @property
    def trainable(self) -> bool:
        """Whether gradient tapes watch this variable by themselves and optimizers change it."""
        return self.source.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if self.source.trainable != bool(value):
            forget_recordings(f"trainable of {self.path} was set to {bool(value)}")
        self.source.trainable = bool(value)

    @property
    def value(self) -> Tensor:
        """The current value: a Tensor that later assignments do not change. Cast while a mixed layer runs."""
        dtype = autocast.dtype
        if not dtype or dtype == self._dtype or not self.autocast or not is_floating(self._dtype):
            return self._value
        return apply("cast", (self._value,), {"dtype": dtype})

    def __kcore_tensor__(self) -> Tensor:
        return self.value

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def dtype(self) -> str:
        """The dtype of `value`."""
        dtype = autocast.dtype
        return dtype if dtype and self.autocast and is_floating(self._dtype) else self._dtype

    @property
    def ndim(self) -> int:
        return len(self._shape)

    @property
    def size(self) -> int:
        return self._value.size

    def assign(self, value: Any) -> Variable:
        """Replaces the value by one of the same shape, cast to the variable's dtype.

        While shapes are traced with symbolic tensors nothing is assigned.
        """
        value = convert_to_tensor(value, dtype=self._dtype)
        if value.shape != self._shape:
            raise ValueError(
                f"[Variable.assign] {self.path}: expected a value of shape {self._shape}, received {value.shape}"
            )
        if not value.is_symbolic:
            self._cell.value = value.array
        return self

    def assign_add(self, value: Any) -> Variable:
        """Adds to the value."""
        return self.assign(self._value + convert_to_tensor(value, dtype=self._dtype))

    def assign_sub(self, value: Any) -> Variable:
        """Subtracts from the value."""
        return self.assign(self._value - convert_to_tensor(value, dtype=self._dtype))

    def numpy(self) -> np.ndarray:
        """A NumPy copy of the value."""
        return self._value.numpy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.value.__array__(dtype, copy)

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self._value.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._value.__dlpack_device__()

    def __bool__(self) -> bool:
        return bool(self._value)

    def __int__(self) -> int:
        return int(self._value)

    def __float__(self) -> float:
        return float(self._value)

    def __index__(self) -> int:
        return self._value.__index__()

    def __len__(self) -> int:
        return len(self._value)

    def __iter__(self):
        return iter(self.value)

    def __format__(self, spec: str) -> str:
        return format(self._value, spec) if spec else str(self)

    def __repr__(self) -> str:
        values = np.array2string(self._value.array.numpy(), separator=", ", prefix="  ")
        return f"<kcore.Variable {self.path} shape={self.shape} dtype={self._dtype}\n  {values}>"

    def __deepcopy__(self, memo: dict) -> Variable:
        copy = self.__class__.__new__(self.__class__)
        memo[id(self)] = copy
        copy.__dict__.update(self.__dict__)
        copy.source = Source(self.trainable)
        copy._cell = Cell(self.path, self._cell.value)
        return copy

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cell": self.numpy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._cell = Cell(self.path, convert_to_tensor(state["_cell"]).array)

    __hash__ = object.__hash__
    __array_priority__ = 100
