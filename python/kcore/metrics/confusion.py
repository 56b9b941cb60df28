"""Counts of true and false positives and negatives at thresholds, and precision and recall of them."""

from __future__ import annotations

import numpy as np

from kcore import ops
from kcore.autograd import Tensor, convert_to_tensor
from kcore.autograd.config import epsilon
from kcore.losses.loss import squeeze_or_expand_to_same_rank
from kcore.metrics.metric import Metric

_LEFT_OUT = -1e10  # the score of a class that is not among the top k
_ALL = (0, 1, 2, 3)


class Outcomes:
    """Predictions of one batch beside their labels, flattened, ready to be counted at thresholds.

    Args:
        name: of the metric, for errors.
        y_true: labels, of which every number but 0 counts as positive.
        y_pred: scores, of the same shape but for an axis of size 1.
        sample_weight: broadcasts to the scores, or leads them: (batch,).
        top_k: only the k best scores of the last axis count as predictions.
        class_id: only this index of the last axis counts.
        by_label: keep the last axis apart.
        dtype: of weights and counts.
    """

    def __init__(self, name, y_true, y_pred, sample_weight, dtype, top_k=None, class_id=None, by_label=False):
        y_pred = convert_to_tensor(y_pred, dtype=dtype)
        y_true, y_pred = squeeze_or_expand_to_same_rank(convert_to_tensor(y_true), y_pred)
        if y_true.shape != y_pred.shape:
            raise ValueError(
                f"[{name}] expected y_true and y_pred of the same shape, received {y_true.shape} and {y_pred.shape}"
            )
        if top_k is not None:
            y_pred = _only_top_k(name, y_pred, top_k)
        if class_id is not None:
            if not 0 <= class_id < y_pred.shape[-1]:
                raise ValueError(f"[{name}] expected class_id in [0, {y_pred.shape[-1]}), received {class_id}")
            y_true, y_pred = y_true[..., class_id], y_pred[..., class_id]
        self.dtype = dtype
        self.positive = ops.cast(ops.not_equal(y_true, 0), dtype)  # weight of each score as that of a positive
        self.negative = 1.0 - self.positive
        if sample_weight is not None:
            weights = _weights_like(name, y_pred, sample_weight, dtype)
            self.positive, self.negative = self.positive * weights, self.negative * weights
        # (labels or 1, scores of each)
        self.scores, self.positive, self.negative = (
            ops.transpose(ops.reshape(x, (-1, x.shape[-1]))) if by_label else ops.reshape(x, (1, -1))
            for x in (y_pred, self.positive, self.negative)
        )

    def counts(self, thresholds: list[float], evenly: bool, wanted: tuple[int, ...] = _ALL) -> list[Tensor]:
        """The wanted ones of true positives, false positives, true negatives, false negatives (0 to 3).

        A score above a threshold is a positive prediction.

        Args:
            thresholds: sorted, if `evenly`.
            evenly: whether the thresholds are spaced evenly over [0, 1].

        Returns:
            Tensors (thresholds, labels).
        """
        above, below = self._in_buckets(len(thresholds)) if evenly else self._at(thresholds, wanted)
        outcomes = {0: (0, above), 1: (1, above), 2: (1, below), 3: (0, below)}
        return [ops.transpose(side[:, of]) for of, side in (outcomes[i] for i in wanted)]

    def _at(self, thresholds: list[float], wanted: tuple[int, ...]) -> tuple[Tensor | None, Tensor | None]:
        """Positives and negatives above and below each threshold: (labels, 2, thresholds) twice, or None if unwanted."""
        weights = ops.stack([self.positive, self.negative], axis=1)
        at = convert_to_tensor(np.asarray(thresholds), dtype=self.dtype)
        above = ops.cast(ops.expand_dims(self.scores, -1) > at, self.dtype)  # (labels, n, thresholds)
        return (
            ops.matmul(weights, above) if min(wanted) < 2 else None,
            ops.matmul(weights, 1.0 - above) if max(wanted) >= 2 else None,
        )

    def _in_buckets(self, count: int) -> tuple[Tensor, Tensor]:
        # A score falls into one of as many buckets as there are gaps between thresholds. As in Keras, bucket i (with
        # its upper end, the first with both) counts as above thresholds 0 to i, and NaN is in the first. One pass over
        # the scores does.
        labels, n = self.scores.shape
        last = ops.ceil(ops.minimum(self.scores, 1.0) * float(count - 1)) - 1.0
        buckets = ops.cast(ops.where(self.scores > 0, last, 0.0), "int32")
        if labels > 1:
            buckets = buckets + ops.expand_dims(ops.arange(labels, dtype="int32") * count, 1)
        weights = ops.reshape(ops.stack([self.positive, self.negative], axis=-1), (labels * n, 2))
        sums = ops.segment_sum(weights, ops.reshape(buckets, (-1,)), num_segments=labels * count)
        sums = ops.transpose(ops.reshape(sums, (labels, count, 2)), (0, 2, 1))
        above = ops.flip(ops.cumsum(ops.flip(sums, -1), axis=-1), -1)
        # Below threshold i are the buckets before i.
        none = ops.zeros((labels, 2, 1), dtype=self.dtype)
        return above, ops.concatenate([none, ops.cumsum(sums, axis=-1)[..., :-1]], axis=-1)


def _only_top_k(name: str, scores: Tensor, k: int) -> Tensor:
    if not 0 < k <= scores.shape[-1]:
        raise ValueError(f"[{name}] expected top_k in [1, {scores.shape[-1]}], the number of classes, received {k}")
    chosen = ops.sum(ops.one_hot(ops.top_k(scores, k)[1], scores.shape[-1], dtype="int32"), axis=-2)
    return ops.where(ops.greater(chosen, 0), scores, ops.full_like(scores, _LEFT_OUT))


def _weights_like(name: str, y_pred: Tensor, sample_weight, dtype: str) -> Tensor:
    weights = convert_to_tensor(sample_weight, dtype=dtype)
    if weights.ndim == y_pred.ndim + 1 and weights.shape[-1] == 1:
        weights = ops.squeeze(weights, -1)
    elif weights.ndim and weights.ndim == y_pred.ndim - 1:
        weights = ops.expand_dims(weights, -1)
    if weights.ndim not in (0, y_pred.ndim):
        raise ValueError(
            f"[{name}] expected sample_weight of shape {y_pred.shape[:-1]} or {y_pred.shape}, received {weights.shape}"
        )
    return ops.broadcast_to(weights, y_pred.shape)


def as_thresholds(name: str, thresholds, default: float) -> list[float]:
    """Thresholds given as a number, a list or None, as a list; ValueError where one is not in [0, 1]."""
    values = [default] if thresholds is None else np.atleast_1d(np.asarray(thresholds, dtype=object)).tolist()
    for value in values:
        if not isinstance(value, (int, float)) or not (0 <= value <= 1 or value == default):
            raise ValueError(f"[{name}] expected thresholds in [0, 1], received {thresholds!r}")
    return values


def are_even(thresholds: list[float]) -> bool:
    """Whether there are at least 3, spaced evenly over [0, 1]."""
    return len(thresholds) >= 3 and np.allclose(thresholds, np.linspace(0, 1, len(thresholds)), atol=epsilon())


def one_or_all(values: Tensor) -> Tensor:
    """The only element of a vector as a scalar, or the vector."""
    return ops.squeeze(values, 0) if values.shape == (1,) else values


class _Count(Metric):
    """Counts one of the four outcomes at one or several thresholds."""

    _outcome: int  # index into Outcomes.counts

    def __init__(self, thresholds=None, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.thresholds = as_thresholds(self.name, thresholds, 0.5)
        self._evenly = are_even(self.thresholds)
        self.accumulator = self.add_variable((len(self.thresholds),), "zeros", name="accumulator")

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        outcomes = Outcomes(self.name, y_true, y_pred, sample_weight, self.dtype)
        (counts,) = outcomes.counts(self.thresholds, self._evenly, wanted=(self._outcome,))
        self.accumulator.assign_add(ops.squeeze(counts, -1))

    def result(self) -> Tensor:
        return one_or_all(self.accumulator.value)

    def get_config(self) -> dict:
        return {**super().get_config(), "thresholds": self.init_thresholds}


class TruePositives(_Count):
    """How many positives are predicted as such.

    >>> float(TruePositives()([0, 1, 1, 1], [0.6, 0.1, 0.9, 0.7]))
    2.0
    """

    _outcome = 0


class FalsePositives(_Count):
    """How many negatives are predicted to be positive."""

    _outcome = 1


class TrueNegatives(_Count):
    """How many negatives are predicted as such."""

    _outcome = 2


class FalseNegatives(_Count):
    """How many positives are predicted to be negative."""

    _outcome = 3


class _Share(Metric):
    """True positives over true positives and one kind of error."""

    _direction = "up"
    _error: int  # index into Outcomes.counts
    _error_name: str

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        # With top_k all of the k count, whatever their scores.
        self.thresholds = as_thresholds(self.name, thresholds, 0.5 if top_k is None else _LEFT_OUT)
        self._evenly = are_even(self.thresholds)
        shape = (len(self.thresholds),)
        self.true_positives = self.add_variable(shape, "zeros", name="true_positives")
        setattr(self, self._error_name, self.add_variable(shape, "zeros", name=self._error_name))

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        outcomes = Outcomes(
            self.name, y_true, y_pred, sample_weight, self.dtype, top_k=self.top_k, class_id=self.class_id
        )
        right, wrong = outcomes.counts(self.thresholds, self._evenly, wanted=(0, self._error))
        self.true_positives.assign_add(ops.squeeze(right, -1))
        getattr(self, self._error_name).assign_add(ops.squeeze(wrong, -1))

    def result(self) -> Tensor:
        right = self.true_positives.value
        return one_or_all(ops.divide_no_nan(right, right + getattr(self, self._error_name)))

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "thresholds": self.init_thresholds,
            "top_k": self.top_k,
            "class_id": self.class_id,
        }


class Precision(_Share):
    """How many of those predicted to be positive are.

    Args:
        thresholds: a number or a list in [0, 1], by default 0.5; a score above is a positive prediction.
        top_k: the k best scores of the last axis are the positive predictions instead.
        class_id: look only at this index of the last axis.

    >>> float(Precision()([0, 1, 1, 1], [0.6, 0.1, 0.9, 0.7], sample_weight=[2, 1, 1, 1]))
    0.5
    """

    _error = 1
    _error_name = "false_positives"


class Recall(_Share):
    """How many of the positives are predicted to be.

    Args:
        thresholds, top_k, class_id: as for `Precision`.

    >>> float(Recall()([0, 1, 1], [0.0, 1.0, 0.0]))
    0.5
    """

    _error = 3
    _error_name = "false_negatives"
