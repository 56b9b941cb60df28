"""What losses refuse, what users write themselves, dtypes, extreme values. Keras is the oracle in tests/parity."""

import numpy as np
import pytest

import kcore
from kcore import losses


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.MeanSquaredError()(np.ones((4, 3)), np.ones((4, 2))), "expected"),
        (lambda: losses.MeanSquaredError()(np.ones((4,)), np.ones((4, 3))), "expected"),
        (lambda: losses.MeanSquaredError()(np.ones((4, 1)), np.ones((4, 1)), np.ones(3)), "expected"),
        (lambda: losses.CategoricalCrossentropy()(np.ones(4), np.ones((4, 3))), "expected"),
        (lambda: losses.CategoricalCrossentropy()(np.ones((4, 2)), np.ones((4, 3))), "expected"),
        (lambda: losses.BinaryCrossentropy()(np.ones((4, 3)), np.ones((4, 1))), "expected"),
        (lambda: losses.SparseCategoricalCrossentropy()(np.ones((4, 3)), np.ones((4, 3))), "expected"),
        (lambda: losses.SparseCategoricalCrossentropy()(np.array([0, 3]), np.ones((2, 3))), "expected"),
        (lambda: losses.SparseCategoricalCrossentropy()(np.array([0, -1]), np.ones((2, 3))), "expected"),
        (lambda: losses.SparseCategoricalCrossentropy()(np.array([0, np.nan]), np.ones((2, 3))), "expected"),
        (lambda: losses.CTC()(np.ones((2, 3)), np.ones((3, 4, 5))), "expected"),
        (lambda: losses.MeanSquaredError(reduction="average"), "expected reduction"),
        (lambda: losses.CategoricalGeneralizedCrossEntropy(q=1.5), "expected q"),
        (lambda: losses.get("mean_square_error"), 'did you mean "mean_squared_error"'),
        (lambda: losses.get(3), "expected a name"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_text_is_refused():
    with pytest.raises(TypeError, match="expected"):
        losses.MeanSquaredError()("a", "b")


def test_a_user_written_loss():
    class Above(losses.Loss):
        def __init__(self, by=1.0, **kwargs):
            super().__init__(**kwargs)
            self.by = by

        def call(self, y_true, y_pred):
            return kcore.ops.mean(kcore.ops.relu(y_pred - y_true - self.by), axis=-1)

        def get_config(self):
            return {**super().get_config(), "by": self.by}

    loss = Above(by=0.5, reduction="sum", name="above")
    assert float(loss([[0.0], [0.0]], [[1.0], [2.0]])) == 2.0
    with kcore.saving.custom_object_scope({"Above": Above}):
        again = losses.deserialize(losses.serialize(loss))
    assert again.get_config() == {"name": "above", "reduction": "sum", "by": 0.5}
    with pytest.raises(NotImplementedError, match="call"):
        losses.Loss()([0.0], [0.0])


def test_a_loss_over_a_structure_of_outputs():
    class Both(losses.Loss):
        def call(self, y_true, y_pred):
            return losses.mean_squared_error(y_true["a"], y_pred["a"]) + losses.mean_squared_error(
                y_true["b"], y_pred["b"]
            )

    zeros, ones = np.zeros((2, 1)), np.ones((2, 1))
    assert float(Both()({"a": zeros, "b": zeros}, {"a": ones, "b": 2 * ones})) == 5.0


@pytest.mark.parametrize("function", [losses.mean_squared_error, losses.mean_absolute_error, losses.log_cosh])
def test_lists_and_integers(function):
    assert function([1, 2], [1, 2]).dtype == "float32"
    assert float(function([1, 2], [1, 2])) == pytest.approx(0.0, abs=1e-6)


def test_the_dtype_of_the_computation():
    y_true, y_pred = np.ones((2, 2)), np.zeros((2, 2))
    assert losses.MeanSquaredError()(y_true, y_pred).dtype == "float32"
    assert losses.MeanSquaredError(dtype="float64")(y_true, y_pred).dtype == "float64"


def test_ignored_labels_may_lie_outside_the_classes():
    loss = losses.SparseCategoricalCrossentropy(ignore_class=255, from_logits=True)
    logits = np.array([[2.0, 0.0], [5.0, -5.0]], "float32")
    assert float(loss([0, 255], logits)) == pytest.approx(np.log1p(np.exp(-2)), rel=1e-5)  # rounding of float32


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred"),
    [
        (losses.BinaryCrossentropy(), [[1.0], [0.0]], [[0.0], [1.0]]),
        (losses.BinaryCrossentropy(from_logits=True), [[1.0], [0.0]], [[-1e4], [1e4]]),
        (losses.CategoricalCrossentropy(), [[1.0, 0.0]], [[0.0, 1.0]]),
        (losses.CategoricalCrossentropy(from_logits=True), [[1.0, 0.0]], [[-1e4, 1e4]]),
        (losses.SparseCategoricalCrossentropy(), [0], [[0.0, 1.0]]),
        (losses.SparseCategoricalCrossentropy(from_logits=True), [0], [[-1e4, 1e4]]),
        (losses.KLDivergence(), [[1.0, 0.0]], [[0.0, 1.0]]),
        (losses.LogCosh(), [[0.0]], [[1e4]]),
        (losses.Poisson(), [[1.0]], [[0.0]]),
        (losses.MeanAbsolutePercentageError(), [[0.0]], [[1.0]]),
        (losses.CosineSimilarity(), [[0.0, 0.0]], [[1.0, 0.0]]),
    ],
)
def test_extreme_predictions_stay_finite(loss, y_true, y_pred):
    y_pred = kcore.ops.convert_to_tensor(y_pred)
    with kcore.GradientTape() as tape:
        tape.watch(y_pred)
        value = loss(y_true, y_pred)
    assert np.isfinite(float(value))
    assert np.isfinite(tape.gradient(value, y_pred).numpy()).all()


def test_all_weights_zero():
    for reduction in ("sum_over_batch_size", "mean_with_sample_weight", "sum"):
        assert float(losses.MeanSquaredError(reduction=reduction)([[0.0]], [[1.0]], [0.0])) == 0.0


def test_ctc_is_the_sum_over_all_alignments():
    import itertools

    steps, classes, labels = 5, 3, [1, 2]
    logits = np.random.RandomState(0).randn(1, steps, classes)
    p = np.exp(logits[0]) / np.exp(logits[0]).sum(-1, keepdims=True)
    total = 0.0
    for path in itertools.product(range(classes), repeat=steps):
        collapsed = [c for i, c in enumerate(path) if c and (i == 0 or path[i - 1] != c)]
        if collapsed == labels:
            total += np.prod([p[t, c] for t, c in enumerate(path)])
    assert float(losses.CTC(dtype="float64")([labels], logits)) == pytest.approx(-np.log(total), rel=1e-9)
