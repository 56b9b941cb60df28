"""Recorded: a function whose ops are written down once for each kind of arguments, then run again without Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore import _core, tree
from kcore.autograd.tensor import Tensor

RecordingError = _core.RecordingError


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

    Args:
        function: takes and returns nests of tensors, and anything hashable.
        arenas: working memory to share with functions that never run at the same time as this one.
    """

    def __init__(self, function: Callable[..., Any], arenas: _core.Arenas | None = None):
        self._function = function
        self._arenas = arenas or _core.Arenas()
        self._steps: dict[Any, _Step] = {}

    @property
    def programs(self) -> list[_core.Program]:
        """What was recorded so far."""
        return [step.program for step in self._steps.values()]

    def __call__(self, *args: Any) -> Any:
        leaves = tree.flatten(args)
        arrays = [leaf.array for leaf in leaves if isinstance(leaf, Tensor)]
        key = (
            _layout(args),
            *[(leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else (type(leaf), leaf) for leaf in leaves],
        )
        step = self._steps.get(key)
        return self._record(key, args, arrays) if step is None else step.run(arrays)

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
        if not made:
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
