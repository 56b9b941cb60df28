"""What is timed of kcore for a row: a function to call, its results as arrays, and the work that cannot be avoided."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inputs import FLOATS, attributes, inputs_of, names
from kcore import _core
from kcore.autograd import GradientTape, Tensor, apply, convert_to_tensor
from kcore.autograd.apply import Node, vjp_rule
from op_cases import CASES
from rows import Row

# Reading as many elements as are taken is enough, however large the table.
_PICKS = ("take", "take_along_axis", "gather_nd", "slice")


@dataclass
class Call:
    """A row, ready to be called.

    Attributes:
        row: What is called.
        inputs: As NumPy arrays; None for an absent one.
        attrs: All attributes.
        dy: The gradient of the first output, for rows that time gradients.
        wanted: Which inputs the gradient is taken for.
        run: What is timed: does it, and returns a Tensor or several.
        shown: Which of the results a user sees; others are only kept for the gradient.
    """

    row: Row
    inputs: list[np.ndarray | None]
    attrs: dict[str, Any]
    dy: np.ndarray | None
    wanted: list[int]
    run: Callable[[], Any]
    shown: Sequence[int]

    def results(self) -> list[Tensor | None]:
        """What one call gives."""
        ys = self.run()
        # Optional outputs are the last ones.
        return [ys[i] for i in self.shown if i < len(ys)] if isinstance(ys, (tuple, list)) else [ys]

    def outputs(self) -> list[np.ndarray | None]:
        """What one call gives, as NumPy arrays; bfloat16 as float32."""
        return [
            None if y is None else np.asarray(y, "float32" if y.dtype == "bfloat16" else None) for y in self.results()
        ]

    def work(self) -> tuple[float, float]:
        """Floating-point operations, and the bytes that have to be read or written at least once."""
        with trace() as calls:
            results = [y.array for y in self.results() if y is not None]
        made = {id(y) for _, _, ys, _ in calls for y in ys}
        read = {
            id(x): _read_bytes(op, x, ys) for op, xs, ys, _ in calls for x in xs if x is not None and id(x) not in made
        }
        flops = sum(_flops(op, xs, ys, attrs) for op, xs, ys, attrs in calls)
        return flops, float(sum(read.values()) + sum(y.nbytes for y in {id(y): y for y in results}.values()))


def _read_bytes(op: str, x: _core.Array, ys: Sequence[_core.Array]) -> int:
    return min(x.nbytes, ys[0].nbytes) if op in _PICKS else x.nbytes


def _flops(op: str, xs: Sequence[Any], ys: Sequence[Any], attrs: dict[str, Any]) -> float:
    for case in CASES:
        if case.op == op and case.flops is not None:
            return case.flops(xs, ys, attrs)
    return 0.0


@contextlib.contextmanager
def trace() -> Iterator[list[tuple[str, list, tuple, dict]]]:
    """Collects (op, inputs, outputs, attrs) of every op that runs."""
    calls, run = [], _core.run

    def recording(op: str, xs: Sequence[_core.Array | None], attrs: dict[str, Any]) -> Any:
        ys = run(op, xs, attrs)
        calls.append((op, list(xs), ys if isinstance(ys, tuple) else (ys,), attrs))
        return ys

    _core.run = recording
    try:
        yield calls
    finally:
        _core.run = run


def prepare(row: Row, symbolic: bool = False) -> Call:
    """Makes a row's inputs and the function that is timed.

    Args:
        row: From a file of shapes.
        symbolic: Whether inputs are without data, so that only shapes are computed.

    Raises:
        ValueError: The row does not fit its op.
    """
    wants, attrs = inputs_of(row), attributes(row)
    given = [None if x is None or symbolic else x.array(i) for i, x in enumerate(wants)]
    if symbolic:
        xs = [None if x is None else Tensor(_core.symbolic(x.shape, x.dtype)) for x in wants]
    else:
        xs = [None if x is None else convert_to_tensor(x) for x in given]
    wanted = _wanted(row, xs)
    if row.what == "y":
        _, outputs, kinds = _core.op_schemas()[row.op]
        shown = [i for i, name in enumerate(outputs) if not name.endswith("_cache")]
        own = {**attrs, "caches": False} if "caches" in dict(kinds) else attrs  # no tape asks for a gradient
        return Call(row, given, attrs, None, wanted, lambda: apply(row.op, xs, own), shown)
    ys = apply(row.op, xs, attrs)
    ys = ys if isinstance(ys, tuple) else (ys,)
    if symbolic:
        dy, up = None, Tensor(_core.symbolic(ys[0].shape, ys[0].dtype))
    else:
        dy = np.random.default_rng(1).random(ys[0].shape, np.float32) - np.float32(0.5)
        up = convert_to_tensor(dy, ys[0].dtype)
    node = Node(row.op, tuple(xs), attrs, ys, tuple(i in wanted for i in range(len(xs))))
    sources = [xs[i] for i in wanted]

    def backward() -> Sequence[Tensor | None]:
        return vjp_rule(row.op)(node, up, *[None] * (len(ys) - 1))

    def both() -> list[Tensor | None]:
        with GradientTape() as tape:
            tape.watch(sources)
            y = apply(row.op, xs, attrs)
        y = y[0] if type(y) is tuple else y
        return [y, *tape.gradient(y, sources, output_gradients=up)]

    if row.what == "both":
        return Call(row, given, attrs, dy, wanted, both, range(1 + len(wanted)))
    return Call(row, given, attrs, dy, wanted, backward, wanted)


def _wanted(row: Row, xs: Sequence[Tensor | None]) -> list[int]:
    """The inputs that the row's gradient is taken for."""
    floats = [i for i, x in enumerate(xs) if x is not None and x.dtype in FLOATS]
    if row.what in ("y", "grads", "both"):
        return [] if row.what == "y" else floats
    known = {f"d{name}": i for i, name in enumerate(names(row.op, len(xs))) if i in floats}
    if row.what not in known:
        raise ValueError(f"{row.name}: expected y, grads, both or one of {', '.join(known)} in brackets")
    return [known[row.what]]
