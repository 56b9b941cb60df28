"""kcore.function: records what a function of the user's does."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from kcore import _core
from kcore.autograd.apply import tapes
from kcore.autograd.recorder import Arguments, Recorded, argument_name, spec_of
from kcore.autograd.tensor import Tensor, convert_to_tensor


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
        specs: list[tuple] = []
        arrays: list[_core.Array] = []
        layout = _look(args, specs, arrays), _look(kwargs, specs, arrays)
        if any(array.is_symbolic for array in arrays):  # shapes are traced
            return self._function(*args, **kwargs)
        return self._recorded(Arguments((args, kwargs), (layout, *specs), arrays))

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

    _inputs = (Tensor, np.ndarray, np.generic)

    def __init__(self, user: Callable[..., Any]):
        super().__init__(lambda given: user(*given[0], **given[1]), name=getattr(user, "__qualname__", repr(user)))
        self._user = user
        self._made_before: set = set()

    def _argument(self, path: tuple) -> str:
        return argument_name(self._user, path[2:])  # the second part says whether it was given by keyword

    def _made(self, key: Any) -> None:
        if key in self._made_before:
            raise _core.RecordingError(
                f"[function] {self._name} made a Variable in its second call: it would be a new one in each. Make "
                "Variables, layers and optimizers once, outside of the function"
            )
        self._made_before.add(key)


_PLAIN = {int, float, bool, str, bytes, type(None)}


def _look(value: Any, specs: list[tuple], arrays: list[_core.Array]) -> Any:
    """Adds what the tensors, arrays and other leaves of an argument are, and the arrays; gives how they are nested."""
    kind = type(value)
    if kind is Tensor:
        arrays.append(value.array)
        specs.append((value.array.shape, value.array.dtype))
    elif kind in _PLAIN:
        specs.append(spec_of(value))
    elif isinstance(value, (list, tuple)):
        return (kind, *[_look(item, specs, arrays) for item in value])
    elif isinstance(value, dict):
        keys = list(value) if isinstance(value, OrderedDict) else sorted(value)
        return (kind, *[(key, _look(value[key], specs, arrays)) for key in keys])
    elif isinstance(value, (np.ndarray, np.generic)):
        _look(convert_to_tensor(value), specs, arrays)
    elif getattr(value, "is_symbolic", False):  # a placeholder of a model that is being built
        arrays.append(_core.symbolic((), "bool"))
    else:
        try:
            hash(value)
        except TypeError:
            raise TypeError(
                "[function] expected tensors, NumPy arrays and hashable values as arguments, received "
                f"{value!r} of type {kind.__name__}"
            ) from None
        specs.append(spec_of(value))
    return None
