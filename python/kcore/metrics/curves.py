"""Metrics over all thresholds: the area under a curve, and the best of one rate where another is good enough."""

from __future__ import annotations

import numpy as np

from kcore import ops
from kcore.autograd import Tensor, convert_to_tensor
from kcore.autograd.config import epsilon
from kcore.metrics.confusion import Outcomes, are_even
from kcore.metrics.metric import Metric
from kcore.saving import deserialize_keras_object

_COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def _ratio(a, b) -> Tensor:
    return ops.divide_no_nan(a, a + b)


class _AtConstraint(Metric):
    """The largest of one rate over the thresholds at which another is at least `value`."""

    _direction = "up"
    _argument: str

    def __init__(self, value, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        if not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise ValueError(f"[{self.name}] expected {self._argument} in [0, 1], received {value!r}")
        if not isinstance(num_thresholds, int) or num_thresholds <= 0:
            raise ValueError(f"[{self.name}] expected num_thresholds > 0, received {num_thresholds!r}")
        self.value = value
        self.class_id = class_id
        self.num_thresholds = num_thresholds
        self.thresholds = [0.5] if num_thresholds == 1 else np.linspace(0, 1, num_thresholds).tolist()
        self._evenly = num_thresholds >= 3
        for name in _COUNTS:
            setattr(self, name, self.add_variable((num_thresholds,), "zeros", name=name))

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        outcomes = Outcomes(self.name, y_true, y_pred, sample_weight, self.dtype, class_id=self.class_id)
        for name, counts in zip(_COUNTS, outcomes.counts(self.thresholds, self._evenly)):
            getattr(self, name).assign_add(ops.squeeze(counts, -1))

    def _rates(self) -> tuple[Tensor, Tensor]:
        """The rate that is constrained and the one that is wanted, (thresholds,)."""
        raise NotImplementedError

    def result(self) -> Tensor:
        constrained, wanted = self._rates()
        allowed = ops.greater_equal(constrained, self.value)
        return ops.max(ops.where(allowed, wanted, ops.zeros_like(wanted)))

    def _sensitivity(self) -> Tensor:
        return _ratio(self.true_positives, self.false_negatives)

    def _specificity(self) -> Tensor:
        return _ratio(self.true_negatives, self.false_positives)

    def _precision(self) -> Tensor:
        return _ratio(self.true_positives, self.false_positives)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "class_id": self.class_id,
            "num_thresholds": self.num_thresholds,
            self._argument: self.value,
        }


class SensitivityAtSpecificity(_AtConstraint):
    """The best sensitivity tp / (tp + fn) where the specificity tn / (tn + fp) is at least `specificity`."""

    _argument = "specificity"

    def __init__(self, specificity, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(specificity, num_thresholds, class_id, name, dtype)

    def _rates(self):
        return self._specificity(), self._sensitivity()


class SpecificityAtSensitivity(_AtConstraint):
    """The best specificity tn / (tn + fp) where the sensitivity tp / (tp + fn) is at least `sensitivity`."""

    _argument = "sensitivity"

    def __init__(self, sensitivity, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)

    def _rates(self):
        return self._sensitivity(), self._specificity()


class PrecisionAtRecall(_AtConstraint):
    """The best precision tp / (tp + fp) where the recall tp / (tp + fn) is at least `recall`."""

    _argument = "recall"

    def __init__(self, recall, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(recall, num_thresholds, class_id, name, dtype)

    def _rates(self):
        return self._sensitivity(), self._precision()


class RecallAtPrecision(_AtConstraint):
    """The best recall tp / (tp + fn) where the precision tp / (tp + fp) is at least `precision`."""

    _argument = "precision"

    def __init__(self, precision, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(precision, num_thresholds, class_id, name, dtype)

    def _rates(self):
        return self._precision(), self._sensitivity()


class AUC(Metric):
    """Area under the ROC curve or the precision-recall curve, from counts at thresholds.

    Args:
        num_thresholds: how many thresholds, spaced evenly over [0, 1]; more are more exact.
        curve: "ROC", "PR" (precision over recall) or "PRGAIN" (their gains, https://arxiv.org/abs/1511.00201).
        summation_method: "interpolation" (for PR that of Davis and Goadrich, https://doi.org/10.1145/1143844.1143874),
            "minoring" or "majoring": the lower or upper sum.
        thresholds: use these instead, beside 0 and 1.
        multi_label: average the areas of the columns of y_pred (batch, labels) rather than count all in one.
        num_labels: how many columns, where the state shall exist before the first update.
        label_weights: weights of the columns.
        from_logits: y_pred are logits; a sigmoid makes them scores in [0, 1].

    >>> float(AUC(num_thresholds=3)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9]))
    0.75
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds=200,
        curve="ROC",
        summation_method="interpolation",
        name=None,
        dtype=None,
        thresholds=None,
        multi_label=False,
        num_labels=None,
        label_weights=None,
        from_logits=False,
    ):
        super().__init__(name=name, dtype=dtype)
        for argument, value, allowed in (
            ("curve", curve, ("ROC", "PR", "PRGAIN")),
            ("summation_method", summation_method, ("interpolation", "minoring", "majoring")),
        ):
            if value not in allowed:
                raise ValueError(f"[{self.name}] expected {argument} to be one of {allowed}, received {value!r}")
        self.curve = curve
        self.summation_method = summation_method
        self._given_thresholds = None if thresholds is None else sorted(float(t) for t in thresholds)
        if thresholds is not None:
            if any(not 0 <= t <= 1 for t in self._given_thresholds):
                raise ValueError(f"[{self.name}] expected thresholds in [0, 1], received {thresholds!r}")
            inner = self._given_thresholds
            self._evenly = are_even([0.0, *inner, 1.0])
        else:
            if not isinstance(num_thresholds, int) or num_thresholds <= 1:
                raise ValueError(f"[{self.name}] expected num_thresholds > 1, received {num_thresholds!r}")
            inner = np.linspace(0, 1, num_thresholds)[1:-1].tolist()
            self._evenly = num_thresholds >= 3
        # The ends lie beyond [0, 1], so that scores of exactly 0 and 1 are on the right side of them.
        self.thresholds = [0.0 - epsilon(), *inner, 1.0 + epsilon()]
        self.num_thresholds = len(self.thresholds)
        self.multi_label = multi_label
        self.num_labels = num_labels
        if num_labels is not None and not multi_label:
            raise ValueError(f"[{self.name}] expected num_labels only with multi_label=True, received {num_labels}")
        self.label_weights = None if label_weights is None else [float(w) for w in label_weights]
        if self.label_weights is not None and not all(0 <= w < float("inf") for w in self.label_weights):
            raise ValueError(f"[{self.name}] expected label_weights >= 0, received {label_weights}")
        self.from_logits = from_logits
        self._built = False
        if not multi_label or num_labels:
            self._build(num_labels or 1)

    def _build(self, labels: int) -> None:
        shape = (self.num_thresholds, labels) if self.multi_label else (self.num_thresholds,)
        for name in _COUNTS:
            setattr(self, name, self.add_variable(shape, "zeros", name=name))
        self._built = True

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        y_pred = convert_to_tensor(y_pred, dtype=self.dtype)
        if self.from_logits:
            y_pred = ops.sigmoid(y_pred)
        if self.multi_label:
            self._check_labels(y_pred.shape)
        elif self.label_weights is not None:
            sample_weight = self._with_label_weights(y_pred.shape, sample_weight)
        outcomes = Outcomes(self.name, y_true, y_pred, sample_weight, self.dtype, by_label=self.multi_label)
        for name, counts in zip(_COUNTS, outcomes.counts(self.thresholds, self._evenly)):
            getattr(self, name).assign_add(counts if self.multi_label else ops.squeeze(counts, -1))

    def _check_labels(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 2:
            raise ValueError(
                f"[{self.name}] expected y_pred (batch, labels) with multi_label=True, received shape {shape}"
            )
        if not self._built:
            self._build(shape[1])
        expected = self.true_positives.shape[1]
        if shape[1] != expected:
            raise ValueError(f"[{self.name}] expected {expected} labels, received y_pred of shape {shape}")
        if self.label_weights is not None and len(self.label_weights) != expected:
            raise ValueError(f"[{self.name}] expected {expected} label_weights, received {len(self.label_weights)}")

    def _with_label_weights(self, shape: tuple[int, ...], sample_weight) -> Tensor:
        if len(shape) < 2 or shape[-1] != len(self.label_weights):
            raise ValueError(
                f"[{self.name}] expected y_pred (..., {len(self.label_weights)}), as many labels as label_weights, "
                f"received shape {shape}"
            )
        weights = convert_to_tensor(self.label_weights, dtype=self.dtype)
        if sample_weight is None:
            return ops.broadcast_to(weights, shape)
        sample_weight = convert_to_tensor(sample_weight, dtype=self.dtype)
        missing = (1,) * (len(shape) - sample_weight.ndim)
        return ops.reshape(sample_weight, sample_weight.shape + missing) * weights

    def result(self) -> Tensor:
        if not self._built:
            return ops.zeros((), dtype=self.dtype)
        tp, fp, tn, fn = (getattr(self, name).value for name in _COUNTS)
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = _interpolated_pr(tp, fp, fn)
        else:
            x, y = self._points(tp, fp, tn, fn)
            left, right = y[:-1], y[1:]
            heights = {
                "interpolation": lambda: (left + right) * 0.5,
                "minoring": lambda: ops.minimum(left, right),
                "majoring": lambda: ops.maximum(left, right),
            }[self.summation_method]()
            areas = ops.sum((x[:-1] - x[1:]) * heights, axis=0)
        if not self.multi_label:
            return areas
        if self.label_weights is None:
            return ops.mean(areas)
        weights = convert_to_tensor(self.label_weights, dtype=self.dtype)
        return ops.divide_no_nan(ops.sum(areas * weights), ops.sum(weights))

    def _points(self, tp, fp, tn, fn) -> tuple[Tensor, Tensor]:
        if self.curve == "ROC":
            return _ratio(fp, tn), _ratio(tp, fn)
        if self.curve == "PR":
            return _ratio(tp, fn), _ratio(tp, fp)
        odds = ops.divide_no_nan(tp + fn, tn + fp)  # of a positive; gains are relative to predicting all positive
        recall_gain = ops.where(tp > 0, ops.relu(1.0 - odds * ops.divide_no_nan(fn, tp)), 0.0)
        precision_gain = 1.0 - odds * ops.divide_no_nan(fp, tp)
        return recall_gain, precision_gain

    @classmethod
    def from_config(cls, config: dict) -> AUC:
        if isinstance(config.get("label_weights"), dict):  # Keras writes a tensor
            config = {**config, "label_weights": deserialize_keras_object(config["label_weights"])}
        return cls(**config)

    def get_config(self) -> dict:
        config = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self.label_weights,
            "from_logits": self.from_logits,
        }
        if self._given_thresholds is not None:
            config["thresholds"] = self._given_thresholds
        return config


def _interpolated_pr(tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
    """Area under precision over recall; between two thresholds true positives are linear in predicted positives."""
    predicted = tp + fp
    steps = predicted[:-1] - predicted[1:]
    gained = tp[:-1] - tp[1:]
    slope = ops.divide_no_nan(gained, ops.maximum(steps, 0.0))
    intercept = tp[1:] - slope * predicted[1:]
    both = ops.logical_and(ops.greater(predicted[:-1], 0.0), ops.greater(predicted[1:], 0.0))
    ratio = ops.where(both, ops.divide_no_nan(predicted[:-1], ops.maximum(predicted[1:], 0.0)), ops.ones_like(steps))
    areas = slope * (gained + intercept * ops.log(ratio))
    return ops.sum(ops.divide_no_nan(areas, ops.maximum(tp[1:] + fn[1:], 0.0)), axis=0)
