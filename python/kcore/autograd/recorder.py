"""Recorded: a function whose ops are written down once for each kind of arguments, then run again without Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore import _core, tree
from kcore.autograd.apply import tapes
from kcore.autograd.tensor import Tensor

RecordingError = _core.RecordingError

_version = 0
# Kinds of arguments that a function keeps programs for; the one that was not used for the longest goes first.
_KEPT = 64


def forget_recordings() -> None:
    """Says that Python state on which recorded steps may depend has changed: what is trained, how a layer is set up."""
    global _version
    _version += 1


class _Step:
    """A program and what its outputs are put back into."""

    __slots__ = ("leaves", "program", "structure")

    def __init__(self, program: _core.Program, structure: Any, leaves: list):
        self.program = program
        self.structure = structure
        self.leaves = leaves  # None for each output of the program, else what the function returned there

    def run(self, arrays: list) -> Any:
        outputs = iter(self.program.run(arrays))
        leaves = [Tensor(next(outputs)) if leaf is None else leaf[0] for leaf in self.leaves]
        return tree.pack_sequence_as(self.structure, leaves)


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
    """

    def __init__(self, function: Callable[..., Any], arenas: _core.Arenas | None = None):
        self._function = function
        self._arenas = arenas or _core.Arenas()
        self._steps: dict[Any, _Step] = {}  # by kind of arguments, the latest used last
        self._version = _version
        self.off = False

    @property
    def programs(self) -> list[_core.Program]:
        """What was recorded so far."""
        return [step.program for step in self._steps.values()]

    def __call__(self, *args: Any) -> Any:
        if self.off or tapes.stack or _core.Recorder.active():  # who listens already hears the ops one by one
            return self._function(*args)
        if self._version != _version:
            self._steps.clear()
            self._version = _version
        leaves = tree.flatten(args)
        arrays = [leaf.array for leaf in leaves if isinstance(leaf, Tensor)]
        key = (
            _layout(args),
            *[(leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else (type(leaf), leaf) for leaf in leaves],
        )
        step = self._steps.pop(key, None)
        if step is None:
            return self._record(key, args, arrays)
        self._steps[key] = step
        return step.run(arrays)

    def _record(self, key: Any, args: tuple, arrays: list) -> Any:
        recorder = _core.Recorder(arrays)
        own = iter(recorder.inputs)
        args = tree.map_structure(lambda leaf: Tensor(next(own)) if isinstance(leaf, Tensor) else leaf, args)
        try:
            result = self._function(*args)
        except BaseException:
            recorder.abort()
            raise
        leaves = tree.flatten(result)
        outputs = [leaf.array for leaf in leaves if isinstance(leaf, Tensor)]
        # Where variables were made, the next call will do something else.
        made = recorder.has_made
        program = recorder.finish(outputs, self._arenas)
        if not made and self._version == _version:
            if len(self._steps) >= _KEPT:
                del self._steps[next(iter(self._steps))]
            kept = [None if isinstance(leaf, Tensor) else (leaf,) for leaf in leaves]
            self._steps[key] = _Step(program, tree.map_structure(lambda _: None, result), kept)
        return result


def _layout(args: Any) -> Any:
    """How arguments are nested, as something hashable."""
    if isinstance(args, dict):
        return (type(args), *[(name, _layout(args[name])) for name in sorted(args)])
    if isinstance(args, (list, tuple)):
        return (type(args), *map(_layout, args))
    return None
