"""What a row of the op table holds, and helpers that make its inputs."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

# Units in the last place of float32 and float64.
ULP = {"float32": 2.0**-23, "float64": 2.0**-52}
# The error of rounding to bfloat16, which keeps 8 bits, relative to the value. Everything before is float32's.
BFLOAT16_ROUNDING = 2.0**-8


@dataclass(frozen=True)
class Case:
    """One call of an op.

    Attributes:
        op: Name in ops.def.
        inputs: float64 or integer arrays; None for an optional input that is absent. Floats are tested as float32 and
            as float64.
        attrs: Attributes.
        oracle: `oracle(*inputs, **attrs)` in float64: an array, or a tuple of them. None in the tuple skips an output.
        ulps: Allowed error in units of the last place, relative to `scale`.
        why: Where that error comes from.
        scale: What the error is relative to: a function of the inputs (for a sum, the sum of absolute
            values); None is the largest absolute value of the result.
        flops: `flops(inputs, outputs, attrs)`, floating-point operations of a call, where they may be what limits its
            speed. Only shapes are looked at; the first case of an op that has it serves the benchmark.
        grad: Whether gradients are checked along a random direction; inputs must keep clear of kinks.
        wide: Inputs that are float32 beside bfloat16 ones: parameters and statistics.
        cached: Roundings to bfloat16, relative to `scale`, allowed where inputs are results that the oracle computes anew,
            or an op rounds what it computes on the way.
        second: Whether gradients of gradients are checked too; only where an op or its vjp has a rule of its own.
        name: Distinguishes the cases of an op.
    """

    op: str
    inputs: Sequence[np.ndarray | None]
    oracle: Callable[..., Any]
    attrs: dict[str, Any] = field(default_factory=dict)
    ulps: float = 4
    why: str = "one rounding per operation"
    scale: Callable[..., Any] | None = None
    flops: Callable[..., float] | None = None
    grad: bool = True
    second: bool = True
    wide: Sequence[int] = ()
    cached: float = 0
    name: str = ""

    def __str__(self) -> str:
        shapes = "x".join("none" if x is None else "_".join(map(str, x.shape)) or "scalar" for x in self.inputs)
        return "-".join(part for part in (self.op, self.name, shapes) if part)

    def arrays(self, dtype: str) -> list[np.ndarray | None]:
        """The inputs with floats in the given dtype."""
        narrow = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
        return [
            x
            if x is None or x.dtype.kind != "f"
            else x.astype("float32" if dtype == "bfloat16" and i in self.wide else narrow)
            for i, x in enumerate(self.inputs)
        ]


def is_float(x: np.ndarray) -> bool:
    """Whether an array holds floats; NumPy does not count bfloat16 among them."""
    return x.dtype.kind == "f" or x.dtype == ml_dtypes.bfloat16


def rng(*key: Any) -> np.random.Generator:
    """A generator whose stream depends on the key alone."""
    return np.random.default_rng(zlib.crc32(repr(key).encode()))


def normal(*shape: int, key: Any = 0) -> np.ndarray:
    """Standard normal values."""
    return np.asarray(rng("normal", shape, key).normal(size=shape))


def positive(*shape: int, key: Any = 0) -> np.ndarray:
    """Values in [0.5, 2]."""
    return rng("positive", shape, key).uniform(0.5, 2.0, size=shape)


def distinct(*shape: int, key: Any = 0) -> np.ndarray:
    """Values at least 0.1 apart and away from 0, in random order: no ties and no kinks within a small step."""
    n = int(np.prod(shape))
    values = (np.arange(n) - n // 2 + 0.5) * 0.1
    return rng("distinct", shape, key).permutation(values).reshape(shape)


def integers(low: int, high: int, *shape: int, key: Any = 0, dtype: str = "int32") -> np.ndarray:
    """Integers in [low, high)."""
    return rng("integers", low, high, shape, key).integers(low, high, size=shape).astype(dtype)


def booleans(*shape: int, key: Any = 0) -> np.ndarray:
    """Random bools."""
    return rng("bool", shape, key).random(shape) < 0.5
