"""Weights by name: how variables are called in program files, and files of weights alone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from kcore import _core
from kcore.autograd import Tensor


def variables_of(model: Any) -> list:
    """The variables of a model and of its optimizer."""
    optimizer = getattr(model, "optimizer", None)
    return [*model.variables, *(optimizer.variables if optimizer is not None else ())]


def named_cells(variables: Iterable, further: Iterable = ()) -> list[tuple[_core.Cell, str]]:
    """The cells of variables and further cells, each once, with names that differ: their paths, numbered if need be."""
    names: dict[int, tuple[_core.Cell, str]] = {}
    used: dict[str, int] = {}
    for cell in [*(v._cell for v in variables), *further]:
        if id(cell) in names:
            continue
        name = cell.name
        count = used[name] = used.get(name, -1) + 1
        names[id(cell)] = cell, f"{name}:{count}" if count else name
    return list(names.values())


def save_weights(model: Any, filepath: str | os.PathLike) -> None:
    """Writes the variables of a model, and of its optimizer, as a safetensors file that `Context::load` reads.

    Args:
        model: a built model.
        filepath: the file.

    >>> import tempfile, os
    >>> model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2)])
    >>> path = os.path.join(tempfile.mkdtemp(), "weights.safetensors")
    >>> kcore.export.save_weights(model, path)
    >>> kcore.export.load_weights(model, path)
    """
    cells = named_cells(variables_of(model))
    _core.write_tensors(os.fspath(filepath), [(name, cell.value) for cell, name in cells])


def load_weights(model: Any, filepath: str | os.PathLike) -> None:
    """Puts what `Context::save` or `save_weights` wrote into the model that the program was exported from.

    Variables of the optimizer that the file does not have stay as they are. A program file is such a file too.

    Args:
        model: the model, or one that is built alike.
        filepath: the file.

    Raises:
        ValueError: the file is damaged, or lacks a variable of the model, or has one of another shape or dtype.
    """
    tensors = dict(_core.read_tensors(os.fspath(filepath)))
    variables = {id(v._cell): v for v in variables_of(model)}
    own = {id(v._cell) for v in model.variables}
    found = []
    for cell, name in named_cells(variables.values()):
        array = tensors.get(name)
        if array is None and id(cell) in own:
            raise ValueError(
                f"[load_weights] expected a tensor named {name!r} in {filepath}, received {sorted(tensors)}"
            )
        if array is None:
            continue
        if array.shape != tuple(cell.value.shape) or array.dtype != cell.value.dtype:
            raise ValueError(
                f"[load_weights] expected {name!r} of shape {tuple(cell.value.shape)} and dtype {cell.value.dtype}, "
                f"received {array.shape} {array.dtype}"
            )
        found.append((variables[id(cell)], array))
    for variable, array in found:
        variable.assign(Tensor(array))
