"""Random inputs of given shapes, with the dtypes and ranges of the op's first case in tests/op_cases."""

from __future__ import annotations

import functools
import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcore import _core
from op_cases import CASES
from op_cases.case import Case
from rows import SPATIAL, Row, as_list


@functools.cache
def template(op: str) -> Case:
    """The first case of an op: the dtypes and ranges of its inputs, the attributes that a row does not mention."""
    for case in CASES:
        if case.op == op:
            return case
    raise ValueError(f"no op is named {op!r} in tests/op_cases")


def attributes(row: Row) -> dict[str, Any]:
    """All attributes of a row's call."""
    kinds = dict(_core.op_schemas()[row.op][2])
    rank = len(row.shapes[0] or ()) - 2 if row.shapes else 0
    given = {k: as_list(k, v, rank) if kinds.get(k) == "list[int]" else v for k, v in row.attrs}
    attrs = {k: v for k, v in template(row.op).attrs.items() if k not in SPATIAL}  # of another number of dimensions
    return {**attrs, **given}


def names(op: str, count: int) -> list[str]:
    """The names of an op's inputs, without the mark of optional ones."""
    inputs = [name.rstrip("?") for name in _core.op_schemas()[op][0]]
    return [inputs[0].rstrip("*")] * count if inputs and inputs[0].endswith("*") else inputs


def _index_limits(op: str, shapes: Any, attrs: dict[str, Any]) -> dict[str, int]:
    """What the integers of an input stay below, where that follows from the call."""
    if op in ("take", "take_along_axis"):
        return {"indices": shapes[0][attrs["axis"]]}
    if op == "gather_nd" or op == "scatter_nd":
        return {"indices": min(shapes[0][: shapes[1][-1]])}
    if op == "one_hot":
        return {"indices": attrs["num_classes"]}
    if op == "in_top_k":
        return {"targets": shapes[1][-1]}
    return {"labels": shapes[0][-1]} if op.startswith("sparse_") else {}


@functools.lru_cache(maxsize=8)  # models apply several ops to the same tensor
def _uniform(shape: tuple[int, ...], low: float, high: float, key: str) -> np.ndarray:
    random = np.random.default_rng(zlib.crc32(key.encode()))
    return random.random(shape, np.float32) * np.float32(high - low) + np.float32(low)


@dataclass(frozen=True)
class Input:
    """What an input of a row has to be like.

    Attributes:
        name: In ops.def.
        shape: From the row.
        example: The same input in tests/op_cases; None if it is absent in all cases there.
        below: What its integers stay below; None if they are not indices.
        floats: The dtype of the row's floats.
    """

    name: str
    shape: tuple[int, ...]
    example: np.ndarray | None
    below: int | None
    floats: str = "float32"

    @property
    def dtype(self) -> str:
        """The row's where the table has floats."""
        if self.example is not None and self.example.dtype.kind != "f":
            return str(self.example.dtype)
        return "float32" if self.name in _PARAMETERS else self.floats

    def array(self, key: int) -> np.ndarray:
        """Random values."""
        random, x = np.random.default_rng(key), self.example
        if x is not None and ((not self.shape and self.below is None) or self.name in ("seed", "transforms")):
            return np.resize(x, self.shape).astype(_numpy(self.dtype))
        if self.dtype == "bool":
            return random.random(self.shape) < 0.5
        if self.dtype not in FLOATS:
            low, high = (int(x.min()), int(x.max()) + 1) if self.below is None else (0, self.below)
            return random.integers(low, high, self.shape).astype(self.dtype)
        low, high = (-1.0, 1.0) if x is None else (float(x.min()), float(x.max()))
        if "kernel" in self.name:  # as layers draw them: products neither vanish nor grow
            low, high = (v * math.sqrt(3 / math.prod(self.shape[:-1])) for v in (-1, 1))
        values = _uniform(self.shape, low, high, f"{self.name}{key}")
        return _SHAPED.get(self.name, np.asarray)(values).astype(_numpy(self.dtype), copy=False)


FLOATS = ("float32", "bfloat16")  # that a row may be of
# Of normalizations: float32 beside arrays of bfloat16.
_PARAMETERS = ("gamma", "beta", "mean", "variance")


def _numpy(dtype: str) -> np.dtype:
    if dtype == "bfloat16":
        from ml_dtypes import bfloat16 as dtype  # NumPy has none of its own
    return np.dtype(dtype)


# What some inputs have to be like beyond their range.
_SHAPED = {"sorted_sequence": np.sort, "counts": np.floor}


def inputs_of(row: Row) -> list[Input | None]:
    """The inputs of a row's call; None for those that are absent.

    Raises:
        ValueError: More or fewer shapes than the op has inputs.
    """
    declared, labels, shapes = _core.op_schemas()[row.op][0], names(row.op, len(row.shapes)), list(row.shapes)
    while len(shapes) < len(labels) and declared[len(shapes)].endswith("?"):
        shapes.append(None)
    if len(labels) != len(shapes):
        raise ValueError(f"{row.name}: expected a shape or - for each of {', '.join(labels)}")
    limits = _index_limits(row.op, row.shapes, attributes(row))
    examples: dict[str, np.ndarray] = {}
    for case in CASES:
        if case.op == row.op:
            for name, x in zip(names(row.op, len(case.inputs)), case.inputs):
                if x is not None:
                    examples.setdefault(name, x)
    return [
        None if shape is None else Input(name, shape, examples.get(name), limits.get(name), row.dtype)
        for name, shape in zip(labels, shapes)
    ]
