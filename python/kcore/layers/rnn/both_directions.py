"""Both directions of a Bidirectional layer by one op, which runs them at the same time."""

from __future__ import annotations

from typing import Any

from kcore import ops
from kcore.layers.rnn.cell_options import CellRNN


def run_both(forward, backward, sequences, initial_states, mask, training) -> tuple[Any, list, list] | None:
    """Runs two layers over the same sequences.

    Args:
        forward: a built recurrent layer.
        backward: the layer of the other direction.
        sequences: `(batch, time, features)`.
        initial_states: of each layer, a list of tensors or None.
        mask: `(batch, time)` or None.
        training: whether in training.

    Returns:
        Outputs `(batch, time, 2 * units)` in the order of time, and the last states of each layer; None where these
        layers are not two of a kind that one op runs.
    """
    layers = (forward, backward)
    if not all(_is_plain(layer, training) for layer in layers) or forward.go_backwards:
        return None
    form = forward.fused_op()
    if form is None or form != backward.fused_op() or forward.dtype_policy.name != backward.dtype_policy.name:
        return None
    cells = [layer.cell for layer in layers]
    if cells[0].units != cells[1].units or cells[0].use_bias != cells[1].use_bias:
        return None
    op, options = form
    mask = forward._check_mask(sequences, mask)
    states = [layer._first_states(sequences, given) for layer, given in zip(layers, initial_states)]
    weights = [_pair(cell.kernel for cell in cells), _pair(cell.recurrent_kernel for cell in cells)]
    weights.append(_pair(cell.bias for cell in cells) if cells[0].use_bias else None)
    zero = forward.zero_output_for_mask
    y, *last = op(sequences, *map(_pair, zip(*states)), *weights, mask, zero_output_for_mask=zero, **options)
    forward_states, backward_states = zip(*[ops.unstack(s) for s in last])
    return y, list(forward_states), list(backward_states)


def _is_plain(layer, training) -> bool:
    """Whether a call of the layer is a call of its op and nothing else."""
    if not isinstance(layer, CellRNN) or type(layer).__module__.split(".")[0] != "kcore" or "call" in layer.__dict__:
        return False
    dropped = training and (layer.cell.dropout or layer.cell.recurrent_dropout)
    zeroed_last = layer.zero_output_for_mask and not layer.return_sequences
    return not (dropped or zeroed_last or layer.stateful or layer.activity_regularizer is not None)


def _pair(values):
    return ops.stack(list(values))
