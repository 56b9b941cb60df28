"""State, resets, user-written metrics, and what metrics refuse. Keras is the oracle in tests/parity."""

import numpy as np
import pytest

import kcore
from kcore import metrics

ONE_HOT = np.eye(3, dtype="float32")[[0, 1, 2, 1]]
SCORES = np.random.RandomState(0).rand(4, 3).astype("float32")


class Largest(metrics.Metric):
    """The largest prediction so far."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.largest = self.add_variable((), "zeros", name="largest")
        self.mean = metrics.Mean()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.largest.assign(kcore.ops.maximum(self.largest, kcore.ops.max(y_pred)))
        self.mean.update_state(y_pred)

    def result(self):
        return {"largest": self.largest.value, "mean": self.mean.result()}


def test_a_user_written_metric():
    metric = Largest(name="largest")
    metric.update_state([0.0], [3.0])
    metric.update_state([0.0], [1.0])
    assert {name: float(value) for name, value in metric.result().items()} == {"largest": 3.0, "mean": 2.0}
    assert [v.path for v in metric.variables] == ["largest/largest", "mean/total", "mean/count"]
    metric.reset_state()
    assert [float(v) for v in metric.variables] == [0.0, 0.0, 0.0]


def test_the_constructor_of_the_base_comes_first():
    class Late(metrics.Metric):
        def __init__(self):
            self.state = kcore.Variable(0.0)
            super().__init__()

    with pytest.raises(RuntimeError, match=r"super\(\).__init__\(\)"):
        Late()
    with pytest.raises(NotImplementedError, match="update_state"):
        metrics.Metric().update_state()


def test_stateless_calls_leave_the_state():
    mean = metrics.Mean()
    mean.update_state([1.0, 3.0])
    values = mean.stateless_update_state(mean.stateless_reset_state(), [10.0])
    assert [float(v) for v in values] == [10.0, 1.0]
    assert float(mean.stateless_result(values)) == 10.0
    assert float(mean.result()) == 2.0
    with pytest.raises(ValueError, match="expected 2 values"):
        mean.stateless_result([1.0])


@pytest.mark.parametrize(
    "metric",
    [
        metrics.Accuracy(),
        metrics.TopKCategoricalAccuracy(k=2),
        metrics.Precision(top_k=2),
        metrics.Recall(thresholds=[0.1, 0.7]),
        metrics.AUC(),
        metrics.AUC(multi_label=True, label_weights=[1, 2, 3]),
        metrics.SensitivityAtSpecificity(0.5),
        metrics.F1Score(average="micro"),
        metrics.R2Score(),
        metrics.CategoricalCrossentropy(label_smoothing=0.1),
        metrics.OneHotMeanIoU(3),
        metrics.PearsonCorrelation(),
    ],
    ids=lambda metric: metric.name,
)
def test_updates_never_read_values(metric, monkeypatch):
    """So that a recorded training step can hold them."""

    def read(*args, **kwargs):
        raise AssertionError("update_state read the value of a tensor")

    y_true, y_pred = kcore.ops.convert_to_tensor(ONE_HOT), kcore.ops.convert_to_tensor(SCORES)
    metric.update_state(y_true, y_pred)
    for name in ("numpy", "item", "tolist", "__array__", "__bool__", "__int__", "__float__"):
        monkeypatch.setattr(kcore.autograd.Tensor, name, read)
    metric.update_state(y_true, y_pred, kcore.ops.convert_to_tensor([1.0, 2.0, 0.0, 1.0]))


def test_names():
    assert type(metrics.get("acc")) is type(metrics.get("accuracy")) is metrics.Accuracy
    assert metrics.get("mse").name == "mean_squared_error"
    assert metrics.get(None) is None
    with pytest.raises(ValueError, match='did you mean "precision"'):
        metrics.get("precison")
    kcore.naming.reset_uids()
    assert [metrics.Precision().name for _ in range(2)] == ["precision", "precision_1"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.Mean()([1.0, 2.0, 3.0], [1.0, 2.0]), "expected"),
        (lambda: metrics.Accuracy()([1, 2, 3], [1, 2]), "expected"),
        (lambda: metrics.SparseCategoricalAccuracy()([0, 1, 2], SCORES), "expected"),
        (lambda: metrics.TopKCategoricalAccuracy()(ONE_HOT[:3], SCORES), "expected"),
        (lambda: metrics.Precision()([0, 1], [0.5, 0.5, 0.5]), "same shape"),
        (lambda: metrics.Precision()(np.ones((2, 4, 3)), np.ones((2, 4, 3)), np.ones(2)), "sample_weight of shape"),
        (lambda: metrics.MeanSquaredError()(ONE_HOT, SCORES, ONE_HOT), "sample_weight"),
        (lambda: metrics.SparseTopKCategoricalAccuracy()(1, 0.5), "expected"),
        (lambda: metrics.Precision(thresholds=1.5), r"thresholds in \[0, 1\]"),
        (lambda: metrics.Precision(thresholds=[0.1, None]), r"thresholds in \[0, 1\]"),
        (lambda: metrics.Precision(thresholds="high"), r"thresholds in \[0, 1\]"),
        (lambda: metrics.Precision(class_id=3)(ONE_HOT, SCORES), "class_id"),
        (lambda: metrics.Recall(top_k=4)(ONE_HOT, SCORES), "top_k"),
        (lambda: metrics.SensitivityAtSpecificity(2), "specificity in"),
        (lambda: metrics.SensitivityAtSpecificity(0.5, num_thresholds=0), "num_thresholds"),
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds"),
        (lambda: metrics.AUC(curve="roc"), "curve"),
        (lambda: metrics.AUC(summation_method="mean"), "summation_method"),
        (lambda: metrics.AUC(thresholds=[2.0]), "thresholds"),
        (lambda: metrics.AUC(multi_label=True)([0, 1], [0.1, 0.2]), "multi_label"),
        (lambda: metrics.AUC(multi_label=True, num_labels=2)(ONE_HOT, SCORES), "2 labels"),
        (lambda: metrics.AUC(multi_label=True, label_weights=[1, 2])(ONE_HOT, SCORES), "label_weights"),
        (lambda: metrics.F1Score("mean"), "average"),
        (lambda: metrics.F1Score(threshold=2), "threshold"),
        (lambda: metrics.FBetaScore(beta=-1.0), "beta"),
        (lambda: metrics.F1Score()(ONE_HOT[:, 0], SCORES[:, 0]), "batch, classes"),
        (lambda: metrics.F1Score()(ONE_HOT, SCORES[:, :2]), "batch, classes"),
        (lambda: metrics.F1Score()(ONE_HOT, SCORES, [1.0, 2.0]), "sample weight"),
        (lambda: metrics.R2Score("mean"), "class_aggregation"),
        (lambda: metrics.R2Score(num_regressors=-1), "num_regressors"),
        (lambda: metrics.R2Score()(ONE_HOT[:, 0], SCORES[:, 0]), "batch, outputs"),
        (lambda: metrics.IoU(3, [5]), "target_class_ids"),
        (lambda: metrics.MeanIoU(0), "num_classes"),
        (lambda: metrics.MeanIoU(3)([0, 1, 2], [0, 1]), "labels"),
        (lambda: metrics.BinaryAccuracy(threshold=1.5), "threshold"),
        (lambda: metrics.Mean(name=3), "name"),
        (lambda: metrics.MeanMetricWrapper(3), "fn"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_auc_against_the_rank_statistic():
    random = np.random.RandomState(0)
    y, p = random.randint(0, 2, 500), np.round(random.rand(500), 3)
    pairs = p[y == 1][:, None] - p[y == 0]
    exact = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    # 1001 thresholds on values of three decimals: every pair is told apart, up to rounding at the thresholds.
    assert float(metrics.AUC(num_thresholds=1001)(y, p)) == pytest.approx(exact, abs=2e-3)


def test_a_metric_of_many_batches_keeps_counting():
    accuracy = metrics.BinaryAccuracy()
    for _ in range(50):
        accuracy.update_state([[1.0], [0.0]], [[0.9], [0.8]])
    assert float(accuracy.result()) == 0.5
    assert float(accuracy.count) == 100.0


def test_results_before_any_update():
    for metric in (metrics.Mean(), metrics.Precision(), metrics.F1Score(), metrics.R2Score(), metrics.AUC()):
        assert float(metric.result()) == 0.0
    for metric in (metrics.AUC(multi_label=True), metrics.MeanIoU(3)):
        metric.reset_state()
        assert float(metric.result()) == 0.0
