"""F scores: precision and recall in one number for each class."""

from __future__ import annotations

from kcore import ops
from kcore.autograd import Tensor, convert_to_tensor
from kcore.autograd.config import epsilon
from kcore.metrics.metric import Metric


class FBetaScore(Metric):
    """(1 + beta^2) precision recall / (beta^2 precision + recall), of y_true and y_pred (batch, classes).

    Args:
        average: None for one score per class; "micro" counts all classes in one; "macro" takes the mean of the scores,
            "weighted" that weighted by the number of positives.
        beta: weight of recall over precision, > 0.
        threshold: a score above is a positive prediction; None takes the largest of each row instead.

    >>> labels = [[1, 0], [0, 1], [0, 1]]
    >>> FBetaScore(beta=2.0)(labels, [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]).numpy().round(3)
    array([0.833, 0.556], dtype=float32)
    """

    _direction = "up"

    def __init__(self, average=None, beta=1.0, threshold=None, name="fbeta_score", dtype=None):
        super().__init__(name=name, dtype=dtype)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(
                f'[{self.name}] expected average to be None, "micro", "macro" or "weighted", received {average!r}'
            )
        if not isinstance(beta, float) or not 0 < beta < float("inf"):
            raise ValueError(f"[{self.name}] expected beta to be a float > 0, received {beta!r}")
        if threshold is not None and (not isinstance(threshold, float) or not 0 < threshold <= 1):
            raise ValueError(f"[{self.name}] expected threshold to be a float in (0, 1], received {threshold!r}")
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self._built = False

    def _build(self, classes: int) -> None:
        shape = () if self.average == "micro" else (classes,)
        self.true_positives = self.add_variable(shape, "zeros", name="true_positives")
        self.false_positives = self.add_variable(shape, "zeros", name="false_positives")
        self.false_negatives = self.add_variable(shape, "zeros", name="false_negatives")
        self.intermediate_weights = self.add_variable(shape, "zeros", name="intermediate_weights")
        self._built = True

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        y_true = convert_to_tensor(y_true, dtype=self.dtype)
        y_pred = convert_to_tensor(y_pred, dtype=self.dtype)
        if y_pred.ndim != 2 or y_true.shape != y_pred.shape:
            raise ValueError(
                f"[{self.name}] expected y_true and y_pred of one shape (batch, classes), received {y_true.shape} and "
                f"{y_pred.shape}"
            )
        if not self._built:
            self._build(y_pred.shape[1])
        if self.threshold is None:
            best = ops.equal(y_pred, ops.max(y_pred, axis=-1, keepdims=True))
            chosen = ops.logical_and(best, ops.greater(ops.abs(y_pred), 1e-9))  # a row of zeros chooses nothing
        else:
            chosen = ops.greater(y_pred, self.threshold)
        chosen = ops.cast(chosen, self.dtype)
        self._add(self.true_positives, chosen * y_true, sample_weight)
        self._add(self.false_positives, chosen * (1.0 - y_true), sample_weight)
        self._add(self.false_negatives, (1.0 - chosen) * y_true, sample_weight)
        self._add(self.intermediate_weights, y_true, sample_weight)

    def _add(self, variable, values: Tensor, sample_weight) -> None:
        if sample_weight is not None:
            weights = ops.reshape(convert_to_tensor(sample_weight, dtype=self.dtype), (-1, 1))
            if weights.shape[0] != values.shape[0]:
                raise ValueError(
                    f"[{self.name}] expected one sample weight for each of {values.shape[0]} samples, received "
                    f"{weights.shape[0]}"
                )
            values = values * weights
        variable.assign_add(ops.sum(values, axis=None if self.average == "micro" else 0))

    def result(self) -> Tensor:
        if not self._built:
            return ops.zeros((), dtype=self.dtype)
        right = self.true_positives.value
        precision = ops.divide_no_nan(right, right + self.false_positives)
        recall = ops.divide_no_nan(right, right + self.false_negatives)
        squared = self.beta**2
        scores = (1 + squared) * precision * recall / (squared * precision + recall + epsilon())
        if self.average == "weighted":
            weights = self.intermediate_weights / (ops.sum(self.intermediate_weights) + epsilon())
            return ops.sum(scores * weights)
        return ops.mean(scores) if self.average == "macro" else scores

    def reset_state(self) -> None:
        if self._built:
            super().reset_state()

    def get_config(self) -> dict:
        return {**super().get_config(), "average": self.average, "beta": self.beta, "threshold": self.threshold}


class F1Score(FBetaScore):
    """2 precision recall / (precision + recall); see `FBetaScore`."""

    def __init__(self, average=None, threshold=None, name="f1_score", dtype=None):
        super().__init__(average=average, beta=1.0, threshold=threshold, name=name, dtype=dtype)

    def get_config(self) -> dict:
        config = super().get_config()
        del config["beta"]
        return config
