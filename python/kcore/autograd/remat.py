"""Recomputation: a function whose gradient computes it once more, instead of keeping what happened in it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from kcore import _core, tree
from kcore.autograd.again import Again, Listener
from kcore.autograd.apply import Node, tapes, vjp
from kcore.autograd.tape import GradientTape
from kcore.autograd.tensor import Tensor


def recomputed(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, computed again for its gradient. Variables and random numbers are then what they were."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if not tapes.stack:
            return function(*args, **kwargs)
        again = Again(function)
        outside, listener = tapes.stack, Listener(tapes.stack)
        tapes.stack = [listener]
        try:
            with _core.CellWatch() as watch:
                result = function(*args, **kwargs)
            listener.returned(tree.flatten(result))
        finally:
            tapes.stack = outside
        # Tensors of their own: what is an input as well would get its gradient twice.
        result = tree.map_structure(_copy, result)
        outputs = [leaf for leaf in tree.flatten(result) if isinstance(leaf, Tensor)]
        # Where Variables are made on the way, the next call will do something else.
        attrs = {"function": lambda: again(*args, **kwargs), "heard": None if watch.has_made else listener.heard}
        attrs["held"] = [(cell, before) for cell, before, _ in watch.touched]
        for tape in tapes.stack:
            tape.record("remat", tuple(listener.captured.values()), attrs, tuple(outputs))
        return result

    return wrapped


@vjp("remat")
def remat_vjp(node: Node, *dys: Tensor | None) -> Sequence[Tensor | None]:
    wanted = [x for x, need in zip(node.inputs, node.needs) if need]
    listener = Listener([])
    with _core.Held(node.attrs["held"]), GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(wanted)
        tapes.stack.append(listener)
        try:
            result = node.attrs["function"]()
        finally:
            tapes.stack.remove(listener)
    if node.attrs["heard"] not in (None, listener.heard):
        raise RuntimeError(
            "[remat] a function does something else when it is computed again: what it refers to, an attribute or an item "
            "of a list, was changed after it was called. Pass what it uses by its arguments"
        )
    outputs = [leaf for leaf in tree.flatten(result) if isinstance(leaf, Tensor)]
    pairs = [(y, dy) for y, dy in zip(outputs, dys) if dy is not None]
    grads = iter(tape.gradient([y for y, _ in pairs], wanted, output_gradients=[dy for _, dy in pairs]))
    return [next(grads) if need else None for need in node.needs]


def _copy(leaf: Any) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    copy = Tensor(leaf.array)
    copy.keras_mask = leaf.keras_mask
    return copy
