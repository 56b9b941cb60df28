"""The plain loop over time, for any cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore import ops, tree


def scan(
    step: Callable,
    sequences,
    states: Any,
    mask=None,
    go_backwards: bool = False,
    zero_output_for_mask: bool = False,
) -> tuple[list, Any]:
    """Calls `step(input, states) -> (output, new_states)` for every step.

    Args:
        step: one step; input is `(batch, features...)`.
        sequences: `(batch, time, features...)`.
        states: the states before the first step, in any structure.
        mask: `(batch, time)` bool; where False a step changes no state and repeats the output before it.
        go_backwards: from the last step to the first.
        zero_output_for_mask: masked steps put out zeros instead.

    Returns:
        The outputs in the order they were computed, and the last states.
    """
    inputs = ops.unstack(sequences, axis=1)
    masks = [None] * len(inputs) if mask is None else ops.unstack(mask, axis=1)
    if go_backwards:
        inputs, masks = inputs[::-1], masks[::-1]
    outputs: list = []
    for x, counts in zip(inputs, masks):
        output, new_states = step(x, states)
        if counts is not None:
            before = ops.zeros_like(output) if zero_output_for_mask or not outputs else outputs[-1]
            output = _where(counts, output, before)
            new_states = tree.map_structure(lambda new, old: _where(counts, new, old), new_states, states)  # noqa: B023
        states = new_states
        outputs.append(output)
    return outputs, states


def _where(counts, new, old):
    """`new` for the examples whose step counts, else `old`; counts is `(batch,)`."""
    shape = (counts.shape[0],) + (1,) * (len(new.shape) - 1)
    return ops.where(ops.reshape(counts, shape), new, old)
