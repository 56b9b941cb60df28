"""Recorded: a function whose ops are written down once for each kind of arguments, then run again without Python."""

from __future__ import annotations

import contextlib
import gc
import inspect
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

from kcore import _core, tree
from kcore.autograd.apply import tapes
from kcore.autograd.tensor import Tensor, convert_to_tensor

RecordingError = _core.RecordingError

# What was forgotten last: the number of the time, and why.
_forgotten: deque[tuple[int, str]] = deque([(0, "")], maxlen=16)
# Kinds of arguments that a function keeps programs for; the one that was not used for the longest goes first.
_KEPT = 64
# Bytes of working memory from which on a program is worth the page faults of those who share the allocator.
_LARGE = 1 << 26


def forget_recordings(reason: str) -> None:
    """Says that Python state on which recorded steps may depend has changed: what is trained, how a layer is set up."""
    _forgotten.append((_forgotten[-1][0] + 1, reason))


class _Recording(threading.local):
    """What the step that this thread records asks of Python before each of its runs."""

    guards: list | None = None  # of (counter, offset, function, what it gave); None while nothing is recorded
    feeds: list
    recorder: _core.Recorder


_now = _Recording()


def decided(counter: Any, function: Callable[[int], Hashable]) -> Any:
    """`function(int(counter))`, which may decide in Python what a step does, even while it is recorded.

    A recorded step runs again only where the function gives the same for the count before it; else another is recorded.

    Args:
        counter: a Variable, an integer scalar.
        function: of a Python int; gives something hashable.
    """
    if _now.guards is None:
        return function(int(counter))
    with _core.Unheard():
        count = _now.recorder.current(counter._cell)
        if count.is_symbolic:
            _now.recorder.need_values(f"{counter.path}, by which it is decided, is computed from its inputs")
            raise RecordingError(f"[cond] {counter.path} changes in a loop or a branch that a recorded step decides on")
        offset = count.item() - _now.recorder.before(counter._cell).item()
        given = function(count.item())
    _now.guards.append((counter, offset, function, given))
    return given


def fed(function: Callable[[], Any]) -> Any:
    """`function()`, a number; while a step is recorded a tensor, for which each run calls the function again, before it."""
    if _now.guards is None:
        return function()
    with _core.Unheard():
        cell = _core.Cell(getattr(function, "__name__", "fed"), convert_to_tensor(function()).array)
    _now.feeds.append((cell, function))
    return Tensor(cell.value)


class Arguments(tuple):
    """A tuple of tensors and nests of them that knows its kind: who makes many alike need not have each looked at.

    kind: `kind_of((x,))` of a plain tuple x of these items. arrays: the array of every tensor, in order.
    """

    kind: tuple
    arrays: list

    def __new__(cls, items: Iterable, kind: tuple, arrays: list) -> Arguments:
        self = super().__new__(cls, items)
        self.kind = kind
        self.arrays = arrays
        return self


class _Step:
    """A program, what it needs of Python before it runs, and what its outputs are put back into."""

    __slots__ = ("feeds", "guards", "leaves", "pack", "program")

    def __init__(self, program: _core.Program, structure: Any, leaves: list, guards: list, feeds: list):
        self.program = program
        self.pack = None if structure is None else _packer(structure)
        self.leaves = leaves  # None for each output of the program, else what the function returned there
        self.guards = guards
        self.feeds = feeds

    def holds(self) -> bool:
        return all(function(int(counter) + offset) == given for counter, offset, function, given in self.guards)

    def run(self, arrays: list) -> Any:
        for cell, function in self.feeds:
            cell.value = convert_to_tensor(function()).array
        return self.run_fed(arrays)

    def run_fed(self, arrays: list) -> Any:
        outputs = self.program.run(arrays)
        if self.pack is None:
            return Tensor(outputs[0]) if outputs else self.leaves[0][0]
        outputs = iter(outputs)
        return self.pack(iter([Tensor(next(outputs)) if leaf is None else leaf[0] for leaf in self.leaves]))


def _packer(structure: Any) -> Callable[[Iterator], Any]:
    """`tree.pack_sequence_as` with the structure looked at once, for what is packed after every step."""
    if structure is None:
        return next
    if type(structure) in (list, tuple):
        kind, parts = type(structure), [_packer(part) for part in structure]
        return lambda leaves: kind([part(leaves) for part in parts])
    return lambda leaves: tree.pack_sequence_as(structure, [next(leaves) for _ in tree.flatten(structure)])


class Recorded:
    """Calls `function`, and records it on the way: further calls with arguments of the same kind run the recorded ops.

    Arguments are of the same kind if they are nested alike, have tensors of the same shapes and dtypes at the same places,
    and equal values elsewhere. What the function does besides ops (printing, counting in Python) happens while it is
    recorded and not again; Variables it assigns to are assigned to in every call.

    Attributes:
        off: whether the function is called as it is, and nothing is recorded.

    Args:
        function: takes and returns nests of tensors, and anything hashable.
        arenas: working memory to share with functions that never run at the same time as this one.
        name: what `KCORE_LOG=program` calls it.
        reason: why it is recorded if it was not before, for the same log.
        ahead: whether a step may be recorded before it runs, of symbolic tensors: then nothing is computed op by op, which
            takes the memory of a run. Where something wants values all the same, the function is called once more.
    """

    _inputs: tuple[type, ...] = (Tensor,)  # what is an input of the program

    def __init__(
        self,
        function: Callable[..., Any],
        arenas: _core.Arenas | None = None,
        name: str | None = None,
        reason: str = "first call",
        ahead: Callable[[], bool] | None = None,
    ):
        self._function = function
        self._arenas = arenas or _core.Arenas()
        self._steps: OrderedDict[Any, list[_Step]] = OrderedDict()  # by kind of arguments, the latest used last
        self._name = name or getattr(function, "__qualname__", type(function).__name__)
        self._reason = reason
        self._ahead = ahead
        self._version = _forgotten[-1][0]
        self.off = False

    @property
    def programs(self) -> list[_core.Program]:
        """What was recorded so far."""
        return [step.program for steps in self._steps.values() for step in steps]

    def __call__(self, *args: Any) -> Any:
        if self.off or tapes.stack or _core.Recorder.active():  # who listens already hears the ops one by one
            return self._function(*args)
        if self._version != _forgotten[-1][0]:
            self._forget()
        if len(args) == 1 and type(args[0]) is Arguments:
            key, arrays = args[0].kind, args[0].arrays
        else:
            key, arrays = kind_of(args), [leaf.array for leaf in tree.flatten(args) if isinstance(leaf, Tensor)]
        steps = self._steps.get(key)
        if steps is not None:
            with contextlib.suppress(KeyError):  # another thread may just have dropped it
                self._steps.move_to_end(key)
            for step in steps:
                if not step.guards or step.holds():
                    return step.run(arrays)
        return self._record(key, args, arrays)

    def _forget(self) -> None:
        reasons = [reason for number, reason in _forgotten if number > self._version]
        if self._steps:
            self._reason = "; ".join(dict.fromkeys(reasons[-3:]))
        self._steps.clear()
        self._version = _forgotten[-1][0]

    def _record(self, key: Any, args: tuple, arrays: list) -> Any:
        step = None
        if self._ahead is not None and self._ahead():
            try:
                recorder, step, result = self._foreseen(key, args, arrays)
            except RecordingError:
                raise
            except (
                Exception
            ) as error:  # if it is one of the function's own, the next call raises it, with its traceback
                self._log(f"recorded as it runs: {error}")
        if step is None:
            recorder = _core.Recorder(arrays)
            step, result = self._listen(key, args, recorder)
            if step.program.arena_bytes > _LARGE:  # what the ops took one by one, later runs do not take
                _core.release_cached_memory()
        if recorder.has_made:  # where variables were made, the next call will do something else
            self._log("not recorded yet: this call made variables")
        elif self._version == _forgotten[-1][0]:
            self._log(f"recorded {step.program.summary()}: {self._why(key, args)}")
            if len(self._steps) >= _KEPT:
                self._steps.popitem(last=False)
            known = self._steps.setdefault(key, [])
            if step.guards or not known:  # else another thread was faster
                known.append(step)
        return result

    def _foreseen(self, key: Any, args: tuple, arrays: list) -> tuple[_core.Recorder, _Step, Any]:
        """Records without computing, then runs what was recorded."""
        recorder = _core.Recorder(arrays, symbolic=True)
        step, _ = self._listen(key, args, recorder)
        _ = None
        if recorder.has_leaked:
            gc.collect()  # it may be garbage, in a cycle
            if recorder.has_leaked:
                raise _core.NeedsValues("a tensor of it is kept after it")
        return recorder, step, step.run_fed(arrays)

    def _listen(self, key: Any, args: tuple, recorder: _core.Recorder) -> tuple[_Step, Any]:
        """Calls the function while the recorder listens; gives the step and the result."""
        own = iter(recorder.inputs)
        given = tree.map_structure(lambda leaf: Tensor(next(own)) if isinstance(leaf, self._inputs) else leaf, args)
        guards, feeds = [], []
        _now.guards, _now.feeds, _now.recorder = guards, feeds, recorder
        try:
            result = self._function(*given)
            leaves = tree.flatten(result)
            outputs = [leaf.array for leaf in leaves if isinstance(leaf, Tensor)]
            if recorder.has_made:
                self._made(key)
            program = recorder.finish(outputs, self._arenas)
        except BaseException:
            recorder.abort()
            raise
        finally:
            _now.guards = None
        kept = [None if isinstance(leaf, Tensor) else (leaf,) for leaf in leaves]
        return _Step(program, tree.map_structure(lambda _: None, result), kept, guards, feeds), result

    def _made(self, key: Any) -> None:
        """Called before a recording ends that has made variables."""

    def _log(self, message: str) -> None:
        _core.log("program", f"{self._name}: {message}")

    def _why(self, key: Any, args: Any) -> str:
        """In what this kind of arguments differs from the one recorded before that is most like it."""
        if not self._steps:
            return self._reason
        if key in self._steps:
            return "what Python decides by a count (accumulate or update, say) is something else now"
        alike = [known for known in self._steps if known[0] == key[0]]
        if not alike:
            return "the arguments are nested in another way than before"
        names = [self._argument(path) for path, _ in tree.flatten_with_path(args)]
        changes = [
            [
                f"{name} is {_kind(new)}, was {_kind(old)}"
                for name, new, old in zip(names, key[1:], known[1:])
                if new != old
            ]
            for known in reversed(alike)
        ]
        return "; ".join(min(changes, key=len))

    def _argument(self, path: tuple) -> str:
        """The name of an argument, or of the part of it that `path` leads to."""
        return argument_name(self._function, path)


def argument_name(function: Callable, path: tuple) -> str:
    """`data[0]['x']` for the path (0, 0, 'x') into the arguments of `f(data)`."""
    first, *rest = path
    if isinstance(first, int):
        names = list(inspect.signature(function).parameters)
        first = names[first] if first < len(names) else f"argument {first}"
    return first + "".join(f"[{part!r}]" for part in rest)


def kind_of(args: tuple) -> tuple:
    """What arguments must have in common with recorded ones, something hashable."""
    return (_layout(args), *map(spec_of, tree.flatten(args)))


def _layout(args: Any) -> Any:
    """How arguments are nested, as something hashable."""
    if isinstance(args, dict):
        return (type(args), *[(name, _layout(args[name])) for name in sorted(args)])
    if isinstance(args, (list, tuple)):
        return (type(args), *map(_layout, args))
    return None


def spec_of(leaf: Any) -> tuple:
    if isinstance(leaf, Tensor):
        return leaf.shape, leaf.dtype
    # 0.0 and -0.0 are equal and not the same; NaN is not equal to itself.
    return type(leaf), leaf.hex() if type(leaf) is float else leaf


def _kind(spec: tuple) -> str:
    kind, value = spec
    if isinstance(kind, tuple):
        return f"{kind} {value}"
    return repr(float.fromhex(value) if kind is float else value)
