"""R2: how much of the variance is explained."""

from __future__ import annotations

import math
import warnings

from kcore import ops
from kcore.autograd import Tensor, convert_to_tensor
from kcore.losses.loss import squeeze_or_expand_to_same_rank
from kcore.metrics.metric import Metric


class R2Score(Metric):
    """1 - sum (y_true - y_pred)^2 / sum (y_true - mean)^2, of y_true and y_pred (batch, outputs).

    Args:
        class_aggregation: "uniform_average" for the mean over the outputs, "variance_weighted_average", or None for
            one score each.
        num_regressors: number of independent variables, for the adjusted score; 0 for the plain one.

    >>> float(R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]]))
    0.5714285373687744
    """

    _direction = "up"

    def __init__(self, class_aggregation="uniform_average", num_regressors=0, name="r2_score", dtype=None):
        super().__init__(name=name, dtype=dtype)
        if class_aggregation not in (None, "uniform_average", "variance_weighted_average"):
            raise ValueError(
                f'[{self.name}] expected class_aggregation to be None, "uniform_average" or '
                f'"variance_weighted_average", received {class_aggregation!r}'
            )
        if not isinstance(num_regressors, int) or num_regressors < 0:
            raise ValueError(f"[{self.name}] expected num_regressors >= 0, received {num_regressors!r}")
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable((), "zeros", name="num_samples")
        self._built = False

    def _build(self, outputs: int) -> None:
        self.squared_sum = self.add_variable((outputs,), "zeros", name="squared_sum")
        self.sum = self.add_variable((outputs,), "zeros", name="sum")
        self.total_mse = self.add_variable((outputs,), "zeros", name="residual")
        self.count = self.add_variable((outputs,), "zeros", name="count")
        self._built = True

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        y_true = convert_to_tensor(y_true, dtype=self.dtype)
        y_pred = convert_to_tensor(y_pred, dtype=self.dtype)
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        if y_pred.ndim != 2 or y_true.shape != y_pred.shape:
            raise ValueError(
                f"[{self.name}] expected y_true and y_pred of one shape (batch, outputs), received {y_true.shape} and "
                f"{y_pred.shape}"
            )
        if not self._built:
            self._build(y_pred.shape[1])
        weights = ops.ones((), dtype=self.dtype)
        if sample_weight is not None:
            weights = convert_to_tensor(sample_weight, dtype=self.dtype)
            weights = ops.expand_dims(weights, 1) if weights.ndim == 1 else weights
        weights = ops.broadcast_to(weights, y_true.shape)
        self.sum.assign_add(ops.sum(y_true * weights, axis=0))
        self.squared_sum.assign_add(ops.sum(ops.square(y_true) * weights, axis=0))
        self.total_mse.assign_add(ops.sum(ops.square(y_true - y_pred) * weights, axis=0))
        self.count.assign_add(ops.sum(weights, axis=0))
        self.num_samples.assign_add(math.prod(y_true.shape))

    def result(self) -> Tensor:
        if not self._built:
            return ops.zeros((), dtype=self.dtype)
        mean = self.sum / self.count
        total = self.squared_sum - self.sum * mean
        scores = 1.0 - self.total_mse / total
        scores = ops.where(ops.isinf(scores), ops.zeros_like(scores), scores)
        if self.class_aggregation == "uniform_average":
            scores = ops.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = ops.sum(scores * total) / ops.sum(total)
        return self._adjusted(scores) if self.num_regressors else scores

    def _adjusted(self, scores: Tensor) -> Tensor:
        spare = float(self.num_samples.value) - self.num_regressors - 1
        if spare <= 0:
            warnings.warn(
                f"[{self.name}] num_regressors={self.num_regressors} leaves no degree of freedom with "
                f"{int(self.num_samples.value)} samples; the score is not adjusted.",
                stacklevel=3,
            )
            return scores
        n = self.num_samples.value
        return 1.0 - (1.0 - scores) * (n - 1.0) / (n - self.num_regressors - 1.0)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
