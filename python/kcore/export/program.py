"""Programs read back into Python: what an application computes, computed here."""

from __future__ import annotations

import os
from typing import Any

from kcore import _core
from kcore.autograd import Tensor, convert_to_tensor


class Program:
    """A program of a file as a function of tensors. Its variables are its own, and go on from call to call.

    Attributes:
        inputs, outputs: (name, dtype, shape) of each; None in a shape is the size of the batch, which may be any.
        variables: by name, the tensors that it reads and writes: weights, states.

    Args:
        path: a file that `model.export`, `training_program` or `ExportArchive` wrote.
        name: which of its programs; the first one if None.
    """

    def __init__(self, path: str | os.PathLike, name: str | None = None):
        self._file = _core.ProgramFile(os.fspath(path))
        self._name = self._file.names[0] if name is None else name
        self._file.check(self._name)
        self._arenas = _core.Arenas()
        self._programs: dict[int, _core.Program] = {}
        _, self.inputs, self.outputs = self._load(1)

    @property
    def variables(self) -> dict[str, Tensor]:
        return {cell.name: Tensor(cell.value) for cell in self._file.variables}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the program.

        Args:
            args, kwargs: the inputs, in order or by name: tensors or arrays of their dtypes and shapes.

        Returns:
            The output, a tuple of several.

        Raises:
            ValueError: an input is missing, or does not have its shape.
        """
        names = [name for name, _, _ in self.inputs]
        given = {**dict(zip(names, args)), **kwargs}
        if sorted(given) != sorted(names) or len(args) + len(kwargs) != len(names):
            raise ValueError(f"[program] expected inputs {names}, received {len(args)} and {sorted(kwargs)}")
        tensors = [convert_to_tensor(given[name], dtype) for name, dtype, _ in self.inputs]
        program = self._programs.get(batch := self._batch(tensors))
        if program is None:
            program, _, _ = self._load(batch)
        outputs = [Tensor(array) for array in program.run([tensor.array for tensor in tensors])]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _load(self, batch: int) -> tuple:
        loaded = self._file.load(self._name, batch, self._arenas)
        self._programs[batch] = loaded[0]
        return loaded

    def _batch(self, tensors: list) -> int:
        for tensor, (name, _, shape) in zip(tensors, self.inputs):
            if len(tensor.shape) != len(shape):
                raise ValueError(f"[program] expected {name} of shape {shape}, received {tensor.shape}")
            if None in shape:
                return tensor.shape[shape.index(None)]
        return 1

    def __str__(self) -> str:
        return str(self._programs[1])


def load(path: str | os.PathLike, name: str | None = None) -> Program:
    """Reads a program, checks all of it and runs the self-test in the file.

    Args:
        path: a file that `model.export`, `training_program` or `ExportArchive` wrote.
        name: which of its programs; the first one if None.

    Raises:
        ValueError: the file is not a program file, is damaged, or computes something else here than where it was made.

    >>> import tempfile, os
    >>> model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2)])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.kcore")
    >>> model.export(path)
    >>> program = kcore.export.load(path)
    >>> x = np.ones((5, 3), "float32")
    >>> bool(np.allclose(program(x), model.predict(x, verbose=0)))
    True
    """
    return Program(path, name)
