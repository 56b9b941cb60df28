"""apply(op, inputs, attrs): the one door. Everything that computes goes through it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from kcore import _core
from kcore.autograd.tensor import Tensor


class Node:
    """One call of an op, as a tape keeps it and a vjp sees it."""

    __slots__ = ("attrs", "inputs", "needs", "op", "outputs")

    def __init__(self, op: str, inputs: tuple, attrs: dict, outputs: tuple, needs: tuple):
        self.op = op
        self.inputs = inputs  # Tensor | None each
        self.attrs = attrs  # only what was passed
        self.outputs = outputs
        self.needs = needs  # whether a gradient of input i is wanted


Vjp = Callable[..., Sequence["Tensor | None"]]
_vjps: dict[str, Vjp] = {}


class _Tapes(threading.local):
    """The tapes that record in this thread, outermost first."""

    def __init__(self) -> None:
        self.stack: list[Any] = []


tapes = _Tapes()


def apply(op: str, inputs: Sequence[Tensor | None], attrs: dict[str, Any] | None = None) -> Any:
    """Runs an op of `ops.def` and lets the active tapes know.

    Args:
        op: Name of the op.
        inputs: Tensors; None for an optional input that is not given.
        attrs: Attributes by name; those left out have the defaults of `ops.def`.

    Returns:
        A Tensor, or a tuple of Tensors if the op has several outputs. Symbolic if any input is.

    Raises:
        ValueError, TypeError: The op does not accept these shapes, dtypes or attributes. The message begins with
            `[op]` and says what was expected and what came.
    """
    attrs = attrs or {}
    result = _core.run(op, [None if x is None else x.array for x in inputs], attrs)
    outputs = tuple(map(Tensor, result)) if type(result) is tuple else (Tensor(result),)
    if tapes.stack and op in _vjps:
        inputs = tuple(inputs)
        for tape in tapes.stack:
            tape.record(op, inputs, attrs, outputs)
    return outputs if type(result) is tuple else outputs[0]


def is_recorded(inputs: Sequence[Tensor | None]) -> bool:
    """Whether a tape wants a gradient of one of these inputs: an op may then keep what its vjp needs."""
    return any(tape.wants(inputs) for tape in tapes.stack)


def vjp(op: str) -> Callable[[Vjp], Vjp]:
    """Registers the vector-Jacobian product of an op; an op without one is not differentiable.

    The function gets the `Node` and the gradient of each output (None where none flows) and returns the gradient of each
    input (None where there is none). It is written with ops, so that gradients of gradients follow.
    """

    def register(function: Vjp) -> Vjp:
        _vjps[op] = function
        return function

    return register


def vjp_rule(op: str) -> Vjp:
    """The function registered for an op."""
    return _vjps[op]


def vjp_of(composite: Callable[..., Any]) -> Vjp:
    """A vjp from an equivalent formula in differentiable ops: `composite(*inputs, **attrs)` gives the op's outputs.

    For `*_grad` ops, whose own gradients are wanted too rarely for a kernel.
    """

    def rule(node: Node, *dys: Tensor | None) -> Sequence[Tensor | None]:
        from kcore.autograd.tape import GradientTape  # the tape needs apply

        # A tensor of its own for each input: one that serves as two would get the sum of both gradients for each.
        inputs = [
            apply("reshape", (x,), {"shape": list(x.shape)}) if need else x for x, need in zip(node.inputs, node.needs)
        ]
        wanted = [x for x, need in zip(inputs, node.needs) if need]
        with GradientTape(persistent=False, watch_accessed_variables=False) as tape:
            for x in wanted:
                tape.watch(x)
            outputs = composite(*inputs, **node.attrs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        pairs = [(y, dy) for y, dy in zip(outputs, dys) if dy is not None and y is not None]
        grads = iter(tape.gradient([y for y, _ in pairs], wanted, output_gradients=[dy for _, dy in pairs]))
        return [next(grads) if need else None for need in node.needs]

    return rule
