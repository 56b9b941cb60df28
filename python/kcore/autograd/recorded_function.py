"""kcore.function: records what a function of the user's does."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from kcore import _core, tree
from kcore.autograd.apply import tapes
from kcore.autograd.recorder import Recorded, argument_name
from kcore.autograd.tensor import convert_to_tensor


class function:
    """Records a function of tensors: it runs in Python once for each kind of arguments, and from C++ from then on.

    Small steps take a tenth to a fortieth of the time, because no Python runs between their ops, and large ones less
    memory. `kcore.jit` is another name. The results are those of the function as it is, bit for bit; so are Variables
    that it reads and assigns, and random numbers, which go on from call to call.

    Arguments may be nests (tuples, lists, dicts), positional or by keyword. Tensors and NumPy arrays are the inputs: other
    values of the same shape and dtype run what was recorded. All else is part of the kind of a call: a Python number,
    string, None, or any hashable object gives a recording for each value, so pass a number that changes as a tensor. The
    64 kinds used last are kept. The function returns nests of tensors; whatever else it returns is kept as it was.

    What Python does on the way, printing or counting or appending to a list, happens while it is recorded and not again.
    What it decides is decided then: `if` on a tensor's value, `.numpy()`, `float()` raise a RecordingError that names the
    way out, `ops.cond`, `ops.where`, `ops.while_loop`. Where `trainable` or an attribute of a layer is set, all is
    recorded anew. Variables (layers, optimizers) are made outside of the function, or in its first call.

    Under a GradientTape, or called by another recorded function, it runs op by op, so that the tape or that function hears
    its ops; put the tape inside to have the gradient recorded as well. `KCORE_LOG=program` tells what is recorded, and why
    again. Methods can be recorded; each instance has recordings of its own, which go when it goes.

    Attributes:
        programs: what was recorded so far; `print(f.programs[0])` lists its ops.

    Args:
        f: the function.

    Raises:
        TypeError: an argument that is neither array nor hashable.
        RecordingError: the function looks at a value, or makes a Variable each time.

    Example:

    >>> w = kcore.Variable(2.0)
    >>> @kcore.function
    ... def step(x, rate=0.25):
    ...     with kcore.GradientTape() as tape:
    ...         loss = (w * x - 1.0) ** 2
    ...     w.assign_sub(rate * tape.gradient(loss, w))
    ...     return loss
    >>> [float(step(np.float32(1.0))) for _ in range(3)]
    [1.0, 0.25, 0.0625]
    >>> len(step.programs)
    1
    """

    def __init__(self, f: Callable[..., Any]):
        if not callable(f):
            raise TypeError(f"[function] expected a function, received {f!r}")
        functools.update_wrapper(self, f)
        self._function = f
        self._recorded = _Strict(f)
        self._bound: dict[int, tuple[weakref.ref, function]] = {}  # by id of the instance

    @property
    def programs(self) -> list[_core.Program]:
        return self._recorded.programs

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if tapes.stack or _core.Recorder.active():
            return self._function(*args, **kwargs)
        if any(getattr(leaf, "is_symbolic", False) for leaf in tree.flatten((args, kwargs))):  # shapes are traced
            return self._function(*args, **kwargs)
        return self._recorded(*tree.map_structure(_as_input, (args, kwargs)))

    def __get__(self, instance: Any, owner: type | None = None) -> function:
        """The method of an instance."""
        if instance is None:
            return self
        key = id(instance)
        if key not in self._bound:
            this = weakref.ref(instance, lambda _: self._bound.pop(key, None))
            f = self._function

            @functools.wraps(f)
            def method(*args: Any, **kwargs: Any) -> Any:
                return f(this(), *args, **kwargs)

            self._bound[key] = this, function(method)
        return self._bound[key][1]

    def __deepcopy__(self, memo: dict) -> function:
        return type(self)(self._function)

    def __reduce__(self) -> tuple:
        return type(self), (self._function,)

    def __repr__(self) -> str:
        return f"<kcore.function {getattr(self, '__qualname__', self._function)}{inspect.signature(self._function)}>"


jit = function


class _Strict(Recorded):
    """Takes variables being made in every call for a mistake: nothing would ever be recorded."""

    def __init__(self, user: Callable[..., Any]):
        super().__init__(lambda args, kwargs: user(*args, **kwargs), name=getattr(user, "__qualname__", repr(user)))
        self._user = user
        self._made_before: set = set()

    def _argument(self, path: tuple) -> str:
        return argument_name(self._user, path[1:])  # the first part says whether it was given by keyword

    def _made(self, key: Any) -> None:
        if key in self._made_before:
            raise _core.RecordingError(
                f"[function] {self._name} made a Variable in its second call: it would be a new one in each. Make "
                "Variables, layers and optimizers once, outside of the function"
            )
        self._made_before.add(key)


def _as_input(leaf: Any) -> Any:
    """Arrays as tensors; anything else must be hashable."""
    if isinstance(leaf, (np.ndarray, np.generic)):
        return convert_to_tensor(leaf)
    try:
        hash(leaf)
    except TypeError:
        raise TypeError(
            f"[function] expected tensors, NumPy arrays and hashable values as arguments, received {leaf!r} of type "
            f"{type(leaf).__name__}"
        ) from None
    return leaf
