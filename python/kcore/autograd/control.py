"""Loops and branches of recorded steps: their functions become programs that one call runs, chosen or repeated by values.

The functions are called with symbolic tensors, once or twice when the step is recorded and again where a gradient is
taken: that is a loop or a branch of its own, whose function computes the forward function once more under a tape. Where
what it does is then not the same as before, the gradient is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kcore import _core
from kcore.autograd.again import Again, Listener
from kcore.autograd.apply import Node, apply, tapes, vjp
from kcore.autograd.dtype import is_floating
from kcore.autograd.recorder import RecordingError
from kcore.autograd.tape import GradientTape, gradient_key
from kcore.autograd.tensor import Tensor, convert_to_tensor

Tensors = list[Tensor]


class _Traced:
    """What a function did: its program, and what it used of the step around it."""

    def __init__(
        self,
        function: Callable[[Tensors], Tensors],
        inputs: Sequence[Tensor],
        cells: Sequence[_core.Cell] = (),
        at: int = 0,
        keep: bool = False,
        states_out: bool = True,
    ):
        """
        inputs: what the function takes, of which only shapes and dtypes matter.
        cells: those that it writes: their values are inputs and outputs of the program, at position `at`.
        keep: whether the inputs up to and with those of the cells are outputs as well, after the others.
        states_out: whether the values of the cells are outputs.
        """
        states = [Tensor(cell.value) for cell in cells]
        recorder = _core.Recorder.of_body([x.array for x in (*inputs[:at], *states, *inputs[at:])])
        symbols = [Tensor(array) for array in recorder.inputs]
        end = at + len(cells)
        outside = tapes.stack
        listener = Listener(outside)
        tapes.stack = [listener] if outside else []
        try:
            held = [(cell, x.array) for cell, x in zip(cells, symbols[at:end])]
            with _core.Held(held), _core.CellWatch() as watch:
                outputs = function(symbols[:at] + symbols[end:])
                listener.returned(outputs)
                arrays = [y.array for y in outputs]
                arrays[at:at] = [cell.value for cell in cells] if states_out else []
            if keep:
                arrays += [x.array for x in symbols[:end]]
            self.body = recorder.finish_body(arrays)
        except BaseException:
            recorder.abort()
            raise
        finally:
            tapes.stack = outside
        self.states = states
        self.captured = list(listener.captured.values())
        self.written = [cell for cell, _, written in watch.touched if written]
        self.read = [(cell, before) for cell, before, written in watch.touched if not written]


def _check_same(op: str, before: _Traced, again: _Traced) -> None:
    if not before.body.is_like(again.body):
        raise RecordingError(
            f"[{op}] a function of a recorded {op} does something else when its gradient is computed: what it refers to, "
            "an attribute or an item of a list, was changed after it was called. Pass what it uses by its arguments"
        )


def _unite(groups: Sequence[Sequence[Any]], key: Callable = id) -> list:
    """What is in any of the groups, once each."""
    return list({key(x): x for group in groups for x in group}.values())


def _is_wanted(inputs: Sequence[Tensor]) -> bool:
    return any(tape.wants(inputs) for tape in tapes.stack)


def _tell(op: str, inputs: Sequence[Tensor], attrs: dict, outputs: Sequence[Tensor]) -> None:
    for tape in tapes.stack:
        tape.record(op, tuple(inputs), attrs, tuple(outputs))


def _assign(cells: Sequence[_core.Cell], values: Sequence[_core.Array]) -> None:
    for cell, value in zip(cells, values):
        cell.value = value


def _zeros_like(x: Tensor) -> Tensor:
    return apply("full", (), {"shape": list(x.shape), "value": 0.0, "dtype": x.dtype})


# ---- branches


def branch(kind: str, chosen: Tensor, functions: Sequence[Callable[[], Tensors]]) -> Tensors:
    """The tensors of one of the functions: a "cond" on a bool scalar (true, false), a "switch" on an int32 scalar."""
    again = [Again(f) for f in functions]
    functions = [lambda _, f=f: f() for f in functions]
    traced = [_Traced(f, []) for f in functions]
    cells = _unite([t.written for t in traced])
    captured = _unite([t.captured for t in traced], gradient_key)
    read = _unite([t.read for t in traced], lambda pair: id(pair[0]))
    if cells:
        traced = [_Traced(f, [], cells) for f in functions]
    states = traced[0].states
    arrays = _core.run_control(kind, [t.body for t in traced], [chosen.array, *(s.array for s in states)])
    _assign(cells, arrays)
    outputs = [Tensor(a) for a in arrays[len(cells) :]]
    held = [(cell, before) for cell, before in read if cell not in cells]
    held += [(cell, state.array) for cell, state in zip(cells, states)]
    attrs = {"kind": kind, "chosen": chosen, "functions": again, "held": held, "traced": traced, "cells": cells}
    _tell("branch", captured, attrs, outputs)
    return outputs


@vjp("branch")
def branch_vjp(node: Node, *dys: Tensor | None) -> Sequence[Tensor | None]:
    wanted = [x for x, need in zip(node.inputs, node.needs) if need]
    seeds = [dy for dy in dys if dy is not None]
    with _core.Held(node.attrs["held"]):
        for f, before in zip(node.attrs["functions"], node.attrs["traced"]):
            _check_same(node.attrs["kind"], before, _Traced(lambda _, f=f: f(), [], node.attrs["cells"]))

    def back(function: Callable[[], Tensors]) -> Callable[[], Tensors]:
        def gradients() -> Tensors:
            with _core.Held(node.attrs["held"]), GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(wanted)
                outputs = function()
            targets = [y for y, dy in zip(outputs, dys) if dy is not None]
            return tape.gradient(targets, wanted, output_gradients=seeds, unconnected_gradients="zero")

        return gradients

    grads = iter(branch(node.attrs["kind"], node.attrs["chosen"], [back(f) for f in node.attrs["functions"]]))
    return [next(grads) if need else None for need in node.needs]


# ---- loops


def scan(
    function: Callable[[Tensors, Tensors], tuple[Tensors, Tensors]],
    carries: Tensors,
    slices: Tensors,
    length: int,
    reverse: bool = False,
) -> tuple[Tensors, Tensors]:
    """`carries, ys = function(carries, slice of each array)`, `length` times; the last carries and the ys, stacked."""
    count, again = len(carries), Again(function)
    inputs = [*carries, *(Tensor(_core.symbolic(x.shape[1:], x.dtype)) for x in slices)]
    step = _stepper(function, carries)
    traced = _Traced(step, inputs, at=count)
    cells, captured, read = traced.written, traced.captured, traced.read
    keep = _is_wanted([*carries, *slices, *captured])
    if cells or keep:
        traced = _Traced(step, inputs, cells, count, keep)
    end = count + len(cells)
    arrays = _core.run_control(
        "scan",
        [traced.body],
        [x.array for x in (*carries, *traced.states, *slices)],
        carries=end,
        slices=len(slices),
        length=length,
        reverse=reverse,
    )
    _assign(cells, arrays[count:end])
    outputs = [Tensor(a) for a in (*arrays[:count], *arrays[end:])]
    kept = outputs[len(outputs) - end :] if keep else []  # what each step began with
    attrs = {"function": again, "traced": traced, "count": count, "slices": len(slices), "length": length}
    attrs |= {"reverse": reverse, "kept": kept, "cells": cells, "held": read}
    _tell("scan", [*carries, *slices, *captured], attrs, outputs)
    return outputs[:count], outputs[count : len(outputs) - len(kept)]


def _stepper(function: Callable, carries: Tensors) -> Callable[[Tensors], Tensors]:
    def step(tensors: Tensors) -> Tensors:
        after, ys = function(tensors[: len(carries)], tensors[len(carries) :])
        return [*_like("scan", carries, after), *ys]

    return step


@vjp("scan")
def scan_vjp(node: Node, *dys: Tensor | None) -> Sequence[Tensor | None]:
    a = node.attrs
    count, end, cells, kept = a["count"], a["count"] + a["slices"], a["cells"], a["kept"]
    carries, arrays, captured = node.inputs[:count], node.inputs[count:end], node.inputs[end:]
    moving = [i for i in range(count) if is_floating(carries[i].dtype)]  # carries that gradients flow through
    sliced = [i for i in range(len(arrays)) if node.needs[count + i]]
    shared = [i for i in range(len(captured)) if node.needs[end + i]]
    last = len(dys) - len(kept)
    seeded = [i for i in range(count, last) if dys[i] is not None]
    begun = {i: dys[last + i] for i in moving if dys[last + i] is not None}  # gradients of what was kept
    step = _stepper(a["function"], carries)
    inputs = [*carries, *(Tensor(_core.symbolic(x.shape[1:], x.dtype)) for x in arrays)]
    with _core.Held(a["held"]):
        _check_same("scan", a["traced"], _Traced(step, inputs, cells, count, True))

    def back(after: Tensors, slices: Tensors) -> tuple[Tensors, Tensors]:
        given = iter(slices)
        before, states, xs = ([next(given) for _ in part] for part in (carries, cells, arrays))
        seeds, added = [next(given) for _ in seeded], {i: next(given) for i in begun}
        held = a["held"] + [(cell, state.array) for cell, state in zip(cells, states)]
        sources = [*(before[i] for i in moving), *(captured[i] for i in shared), *(xs[i] for i in sliced)]
        with _core.Held(held), GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            outputs = step([*before, *xs])
        targets = [outputs[i] for i in (*moving, *seeded)]
        upstream = [*after[: len(moving)], *seeds]
        grads = tape.gradient(targets, sources, output_gradients=upstream, unconnected_gradients="zero")
        through = [apply("add", (g, added[i])) if i in added else g for i, g in zip(moving, grads)]
        sums = [apply("add", pair) for pair in zip(after[len(moving) :], grads[len(moving) :])]
        return through + sums, grads[len(moving) + len(shared) :]

    start = [dys[i] if dys[i] is not None else _zeros_like(carries[i]) for i in moving]
    start += [_zeros_like(captured[i]) for i in shared]
    stacked = [*kept, *arrays, *(dys[i] for i in seeded), *begun.values()]
    totals, dxs = scan(back, start, stacked, a["length"], not a["reverse"])
    places = [*moving, *(end + i for i in shared), *(count + i for i in sliced)]
    grads = dict(zip(places, [*totals, *dxs]))
    return [grads.get(i) for i in range(len(node.inputs))]


def while_loop(
    condition: Callable[[Tensors], Tensor], function: Callable[[Tensors], Tensors], values: Tensors, maximum: int | None
) -> Tensors:
    """`values = function(values)` while `condition(values)`, at most `maximum` times."""

    def step(tensors: Tensors) -> Tensors:
        return _like("while_loop", values, function(tensors))

    test, traced = _Traced(lambda xs: [condition(xs)], values), _Traced(step, values, at=len(values))
    if test.written:
        raise RecordingError("[while_loop] the condition of a recorded loop assigns to a variable; let the body do it")
    cells, captured = traced.written, _unite([test.captured, traced.captured], gradient_key)
    if cells:
        test = _Traced(lambda xs: [condition(xs)], values, cells, len(values), states_out=False)
        traced = _Traced(step, values, cells, len(values))
    arrays = _core.run_control(
        "while_loop",
        [test.body, traced.body],
        [x.array for x in (*values, *traced.states)],
        carries=len(values) + len(cells),
        maximum=-1 if maximum is None else maximum,
    )
    _assign(cells, arrays[len(values) :])
    outputs = [Tensor(array) for array in arrays[: len(values)]]
    _tell("while_loop", [*values, *captured], {}, outputs)
    return outputs


@vjp("while_loop")
def while_loop_vjp(node: Node, *dys: Tensor | None) -> Sequence[Tensor | None]:
    raise RecordingError(
        "[while_loop] the gradient of a recorded loop whose number of steps only its values tell is not known: use "
        "ops.fori_loop with Python integers as bounds, or ops.scan, or run op by op (run_eagerly=True)"
    )


def _like(op: str, expected: Tensors, received: Sequence[Any]) -> Tensors:
    """What a step of a loop hands to the next, which must be of the shapes and dtypes that it got."""
    if len(received) != len(expected):
        raise ValueError(f"[{op}] expected {len(expected)} values to go on with, received {len(received)}")
    values = [
        y if isinstance(y, Tensor) else convert_to_tensor(y, None if hasattr(y, "dtype") else x.dtype)
        for x, y in zip(expected, received)
    ]
    for i, (x, y) in enumerate(zip(expected, values)):
        if x.shape != y.shape or x.dtype != y.dtype:
            raise ValueError(
                f"[{op}] expected value {i} to keep shape {x.shape} and dtype {x.dtype}, received {y.shape} {y.dtype}"
            )
    return values
