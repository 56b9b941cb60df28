"""KerasTensor: a placeholder with a shape and a dtype and no values. Operators are added by `kcore.ops`."""

from __future__ import annotations

from typing import Any

from kcore import tree
from kcore.naming import auto_name

_NO_VALUE = (
    "A KerasTensor is symbolic: it stands for a shape and a dtype and has no value, so it cannot be converted to "
)


class KerasTensor:
    """What `keras.Input` and calls on it return.

    Args:
        shape: sizes, None where unknown.
        dtype: dtype name.
        name: automatic if None.

    Attributes:
        keras_history: (operation, node_index, tensor_index), where it came from; None before that is known.
        keras_mask: the KerasTensor of its mask, or None.

    Example:

    >>> KerasTensor((None, 3), name="x")
    <KerasTensor shape=(None, 3), dtype=float32, name=x>
    """

    __array_priority__ = 1000  # np.ndarray + KerasTensor is ours to compute
    is_symbolic = True  # as a Tensor without values

    def __init__(
        self,
        shape: tuple,
        dtype: str = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
    ):
        if sparse or ragged:
            raise ValueError("[KerasTensor] expected sparse=False and ragged=False: only dense tensors are supported")
        self.shape = tuple(None if size is None else int(size) for size in shape)
        self.dtype = str(dtype)
        self.sparse = False
        self.ragged = False
        self.name = name or auto_name("KerasTensor")
        self.record_history = record_history
        self.keras_history = None
        self.keras_mask = None

    @property
    def ndim(self) -> int:
        """The rank."""
        return len(self.shape)

    @property
    def _keras_history(self) -> Any:
        if self.keras_history is None:
            raise AttributeError("_keras_history")
        return self.keras_history

    @property
    def _keras_mask(self) -> Any:
        return self.keras_mask

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    def __bool__(self) -> bool:
        raise TypeError("A symbolic KerasTensor has no value, so it cannot be used as a boolean.")

    def __iter__(self) -> Any:
        raise NotImplementedError("Iterating over a symbolic KerasTensor is not supported.")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise ValueError(_NO_VALUE + "a NumPy array. Use kcore.ops functions, or a Lambda or custom layer.")

    def __float__(self) -> float:
        raise ValueError(_NO_VALUE + "a float.")

    def __int__(self) -> int:
        raise ValueError(_NO_VALUE + "an int.")

    def __index__(self) -> int:
        raise ValueError(_NO_VALUE + "an index.")

    # Identity, not value: `==` makes a node of the graph.
    __hash__ = object.__hash__


def is_keras_tensor(x: Any) -> bool:
    """True for a KerasTensor.

    >>> is_keras_tensor(KerasTensor((1,)))
    True
    """
    return isinstance(x, KerasTensor)


def any_keras_tensor(args: tuple = (), kwargs: dict | None = None) -> bool:
    """True if there is a KerasTensor among the (nested) arguments."""
    for value in args:
        if isinstance(value, KerasTensor) or (isinstance(value, (list, tuple, dict)) and _contains(value)):
            return True
    for value in (kwargs or {}).values():
        if isinstance(value, KerasTensor) or (isinstance(value, (list, tuple, dict)) and _contains(value)):
            return True
    return False


def _contains(value: Any) -> bool:
    return any(isinstance(leaf, KerasTensor) for leaf in tree.flatten(value))
