"""Connectionist temporal classification: the loss of a label sequence that is not aligned to the outputs."""

from __future__ import annotations

from kcore import ops
from kcore.autograd import Tensor, convert_to_tensor
from kcore.losses.loss import LossFunctionWrapper

_IMPOSSIBLE = -1e30  # log of zero, finite so that differences stay finite


def ctc(y_true, y_pred) -> Tensor:
    """-log(probability of all alignments of the labels) (Graves et al., https://doi.org/10.1145/1143844.1143891).

    Args:
        y_true: labels (batch, max_length) of integers; 0 is the blank and fills up short sequences.
        y_pred: logits (batch, steps, classes).

    Returns:
        (batch,).
    """
    y_pred = convert_to_tensor(y_pred)
    labels = ops.cast(y_true, "int32")
    if labels.ndim != 2 or y_pred.ndim != 3 or labels.shape[0] != y_pred.shape[0]:
        raise ValueError(
            "[ctc] expected y_true (batch, max_length) and y_pred (batch, steps, classes), received "
            f"{labels.shape} and {y_pred.shape}"
        )
    batch, length = labels.shape
    classes = y_pred.shape[-1]
    log_p = ops.log_softmax(y_pred, axis=-1)

    # The labels with a blank before, between and behind them: states of the alignment, (batch, 2 length + 1).
    blanks = ops.zeros_like(labels)
    states = ops.reshape(ops.stack([blanks, labels], axis=-1), (batch, 2 * length))
    states = ops.concatenate([states, blanks[:, :1]], axis=1)
    chosen = ops.one_hot(states, classes, dtype=y_pred.dtype)
    emitted = ops.matmul(log_p, ops.transpose(chosen, (0, 2, 1)))  # (batch, steps, states)
    # A blank may be skipped between two different labels.
    before_last = ops.concatenate([ops.zeros_like(states[:, :2]), states[:, :-2]], axis=1)
    may_skip = ops.logical_and(ops.not_equal(states, 0), ops.not_equal(states, before_last))

    nowhere = ops.full((batch, 2 * length - 1), _IMPOSSIBLE, dtype=y_pred.dtype)
    alpha = ops.concatenate([emitted[:, 0, :2], nowhere], axis=1)
    edge = ops.full((batch, 2), _IMPOSSIBLE, dtype=y_pred.dtype)
    for step in range(1, y_pred.shape[1]):
        shifted = ops.concatenate([edge, alpha], axis=1)
        skipped = ops.where(may_skip, shifted[:, :-2], ops.full_like(alpha, _IMPOSSIBLE))
        alpha = ops.logsumexp(ops.stack([alpha, shifted[:, 1:-1], skipped]), axis=0) + emitted[:, step]

    # A sequence ends in its last label or in the blank behind it.
    lengths = ops.sum(ops.cast(ops.not_equal(labels, 0), "int32"), axis=1, keepdims=True)
    positions = ops.arange(2 * length + 1, dtype="int32")
    at_end = ops.logical_or(ops.equal(positions, 2 * lengths), ops.equal(positions, 2 * lengths - 1))
    return ops.negative(ops.logsumexp(ops.where(at_end, alpha, ops.full_like(alpha, _IMPOSSIBLE)), axis=1))


class CTC(LossFunctionWrapper):
    """Connectionist temporal classification; see `ctc`."""

    def __init__(self, reduction="sum_over_batch_size", name="ctc", dtype=None):
        super().__init__(ctc, reduction=reduction, name=name, dtype=dtype)
