"""Metrics against Keras: results over several batches, with and without weights, resets, configs, names."""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")

import kcore  # noqa: E402
from kcore import metrics  # noqa: E402

# Keras's own warnings: JAX computes in float32, and IoU counts in integers.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Explicitly requested dtype"),
    pytest.mark.filterwarnings("ignore:You are passing weight as `float`"),
]

random = np.random.RandomState(0)
N = 24
A = random.rand(N, 3).astype("float32")
B = random.rand(N, 3).astype("float32")
P = np.exp(A) / np.exp(A).sum(-1, keepdims=True)
LABELS = random.randint(0, 3, N)
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
YES = random.randint(0, 2, N).astype("float32")
SCORES = np.round(np.clip(0.5 * YES + 0.7 * random.rand(N), 0, 1), 2).astype("float32")  # rounded: ties at thresholds
PREDICTED = random.randint(0, 3, N)
WEIGHTS = random.randint(0, 4, N).astype("float32")

# class, arguments, y_true, y_pred
CASES = [
    ("Accuracy", {}, LABELS, PREDICTED),
    ("Accuracy", {"name": "right", "dtype": "float64"}, LABELS[:, None], PREDICTED),
    ("BinaryAccuracy", {}, YES, SCORES),
    ("BinaryAccuracy", {"threshold": 0.3}, YES[:, None], SCORES[:, None]),
    ("CategoricalAccuracy", {}, ONE_HOT, P),
    ("SparseCategoricalAccuracy", {}, LABELS, P),
    ("SparseCategoricalAccuracy", {}, LABELS[:, None], P),
    ("SparseCategoricalAccuracy", {}, LABELS.reshape(N // 4, 4), P.reshape(N // 4, 4, 3)),
    ("TopKCategoricalAccuracy", {"k": 2}, ONE_HOT, P),
    ("TopKCategoricalAccuracy", {}, ONE_HOT, P),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, LABELS, P),
    ("SparseTopKCategoricalAccuracy", {"k": 1}, LABELS, np.round(P, 1)),
    ("SparseTopKCategoricalAccuracy", {"k": 2, "from_sorted_ids": True}, LABELS, np.argsort(-P)),
    ("TruePositives", {}, YES, SCORES),
    ("TruePositives", {"thresholds": [0.2, 0.5, 0.9]}, YES, SCORES),
    ("TrueNegatives", {"thresholds": 0.7}, YES, SCORES),
    ("TrueNegatives", {"thresholds": [0.0, 0.5, 1.0]}, YES, SCORES),
    ("FalsePositives", {"thresholds": [0.6, 0.1]}, ONE_HOT, P),
    ("FalseNegatives", {"thresholds": 0.4}, ONE_HOT, P),
    ("Precision", {}, YES, SCORES),
    ("Precision", {"thresholds": [0.2, 0.6]}, YES[:, None], SCORES),
    ("Precision", {"thresholds": 0.3, "class_id": 1}, ONE_HOT, P),
    ("Precision", {"top_k": 2}, ONE_HOT, P),
    ("Precision", {"top_k": 1, "class_id": 2}, ONE_HOT, P),
    ("Recall", {}, YES, SCORES),
    ("Recall", {"thresholds": [0.2, 0.6]}, YES, SCORES),
    ("Recall", {"top_k": 1, "thresholds": 0.4}, ONE_HOT, P),
    ("SensitivityAtSpecificity", {"specificity": 0.6}, YES, SCORES),
    ("SpecificityAtSensitivity", {"sensitivity": 0.6, "num_thresholds": 20}, YES, SCORES),
    ("PrecisionAtRecall", {"recall": 0.7}, YES, SCORES),
    ("RecallAtPrecision", {"precision": 0.8, "num_thresholds": 1}, YES, SCORES),
    ("RecallAtPrecision", {"precision": 0.4, "class_id": 1}, ONE_HOT, P),
    ("AUC", {}, YES, SCORES),
    ("AUC", {"num_thresholds": 9, "summation_method": "minoring"}, YES, SCORES),
    ("AUC", {"num_thresholds": 9, "summation_method": "majoring"}, YES, SCORES),
    ("AUC", {"thresholds": [0.7, 0.2, 0.4]}, YES, SCORES),
    ("AUC", {"thresholds": [0.25, 0.5, 0.75]}, YES, SCORES),
    ("AUC", {"curve": "PR"}, YES, SCORES),
    ("AUC", {"curve": "PR", "num_thresholds": 9, "summation_method": "minoring"}, YES, SCORES),
    ("AUC", {"curve": "PR", "num_thresholds": 9, "summation_method": "majoring"}, YES, SCORES),
    ("AUC", {"curve": "PRGAIN"}, YES, SCORES),
    ("AUC", {"from_logits": True}, YES, SCORES * 8 - 4),
    ("AUC", {"multi_label": True}, ONE_HOT, P),
    ("AUC", {"multi_label": True, "curve": "PR", "label_weights": [0.1, 0.5, 0.9]}, ONE_HOT, P),
    ("AUC", {"label_weights": [0.1, 0.5, 0.9]}, ONE_HOT, P),
    ("F1Score", {}, ONE_HOT, P),
    ("F1Score", {"average": "micro", "threshold": 0.4}, ONE_HOT, P),
    ("F1Score", {"average": "macro"}, ONE_HOT, P),
    ("FBetaScore", {"average": "weighted", "beta": 2.0}, ONE_HOT, P),
    ("FBetaScore", {"beta": 0.5, "threshold": 0.3}, ONE_HOT, P),
    ("R2Score", {}, A, B),
    ("R2Score", {"class_aggregation": None}, A, B),
    ("R2Score", {}, A[:, 0], B[:, :1]),
    ("R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 3}, A, B),
    ("MeanSquaredError", {}, A, B),
    ("MeanSquaredError", {}, A[:, 0], B[:, :1]),
    ("MeanSquaredError", {}, A.reshape(4, 6, 3), B.reshape(4, 6, 3)),
    ("RootMeanSquaredError", {}, A, B),
    ("MeanAbsoluteError", {}, A, B),
    ("MeanAbsolutePercentageError", {}, A + 0.1, B),
    ("MeanSquaredLogarithmicError", {}, A, B),
    ("LogCoshError", {}, A, B),
    ("CosineSimilarity", {}, A, B),
    ("CosineSimilarity", {"axis": 0}, A, B),
    ("PearsonCorrelation", {}, A, B),
    ("PearsonCorrelation", {"axis": 0}, A, B),
    ("ConcordanceCorrelation", {}, A, B),
    ("ConcordanceCorrelation", {"axis": 0}, A, B),
    ("Hinge", {}, ONE_HOT, B),
    ("SquaredHinge", {}, ONE_HOT * 2 - 1, B),
    ("CategoricalHinge", {}, ONE_HOT, B),
    ("KLDivergence", {}, P, np.roll(P, 1, axis=0)),
    ("Poisson", {}, A * 3, B),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, ONE_HOT, B * 5),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, ONE_HOT, P),
    ("CategoricalCrossentropy", {"from_logits": True, "axis": 0}, ONE_HOT, P),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS, B),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, LABELS, P),
    ("IoU", {"num_classes": 3, "target_class_ids": [0, 2]}, LABELS, PREDICTED),
    ("IoU", {"num_classes": 3, "target_class_ids": [1], "sparse_y_pred": False}, LABELS, P),
    ("BinaryIoU", {}, YES, SCORES),
    ("BinaryIoU", {"target_class_ids": [0], "threshold": 0.3}, YES, SCORES),
    ("MeanIoU", {"num_classes": 4}, LABELS, PREDICTED),
    ("MeanIoU", {"num_classes": 3, "ignore_class": 1, "dtype": "float32"}, LABELS, PREDICTED),
    ("OneHotIoU", {"num_classes": 3, "target_class_ids": [0, 1]}, ONE_HOT, P),
    ("OneHotMeanIoU", {"num_classes": 3, "sparse_y_pred": True}, ONE_HOT, PREDICTED),
]
IDS = [f"{i}-{name}-{kwargs}" for i, (name, kwargs, *_) in enumerate(CASES)]
OVER_THE_BATCH = {("PearsonCorrelation", 0), ("ConcordanceCorrelation", 0), ("CosineSimilarity", 0)} | {
    ("CategoricalCrossentropy", 0)
}


def both(name, kwargs):
    return getattr(metrics, name)(**kwargs), getattr(keras.metrics, name)(**kwargs)


def assert_same(received, expected):
    # float32 sums of a few dozen values, in another order.
    np.testing.assert_allclose(np.asarray(received), np.asarray(expected), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "kwargs", "y_true", "y_pred"), CASES, ids=IDS)
def test_results_over_batches(name, kwargs, y_true, y_pred, weighted):
    ours, theirs = both(name, kwargs)
    half = len(y_true) // 2
    weights = WEIGHTS[: len(y_true)] if weighted else None
    if weighted and (name, kwargs.get("axis")) in OVER_THE_BATCH:
        weights = np.array([1.0, 2.0, 0.0] * 2 * (len(y_true) // 6), "float32")[: 2 * 3]
        half_weights = [weights[:3], weights[3:]]
    else:
        half_weights = [None, None] if weights is None else [weights[:half], weights[half:]]
    for rows, part in zip((slice(None, half), slice(half, None)), half_weights):
        assert_same(ours(y_true[rows], y_pred[rows], part), theirs(y_true[rows], y_pred[rows], part))
    ours.reset_state()
    theirs.reset_state()
    assert_same(ours(y_true[:half], y_pred[:half]), theirs(y_true[:half], y_pred[:half]))


@pytest.mark.parametrize(("name", "kwargs", "y_true", "y_pred"), CASES, ids=IDS)
def test_state_and_configs(name, kwargs, y_true, y_pred):
    y_true, y_pred = y_true[: len(y_true) // 2], y_pred[: len(y_true) // 2]  # shapes that JAX has compiled already
    kcore.naming.reset_uids()
    keras.backend.clear_session()
    ours, theirs = both(name, kwargs)
    ours(y_true, y_pred)
    theirs(y_true, y_pred)
    assert [(v.path, v.shape) for v in ours.variables] == [(v.path, v.shape) for v in theirs.variables]
    assert ours._direction == getattr(theirs, "_direction", None)

    config, expected = ours.get_config(), theirs.get_config()
    if "label_weights" in expected and expected["label_weights"] is not None:
        expected["label_weights"] = pytest.approx(np.asarray(expected["label_weights"]).tolist())  # a tensor there
    # Keras's configs lose these arguments; ours keep them where they are not the default.
    kept = {"CosineSimilarity": "axis", "BinaryIoU": None}.get(name)
    if kept in kwargs:
        assert config.pop(kept) == kwargs[kept]
    assert config == expected
    again = metrics.deserialize(metrics.serialize(ours))
    assert again.get_config() == ours.get_config()
    assert_same(again(y_true, y_pred), ours.result())
    from_keras = metrics.deserialize(keras.metrics.serialize(theirs))
    assert type(from_keras) is type(ours)
    keras.metrics.deserialize(metrics.serialize(ours))


@pytest.mark.parametrize("name", ["Mean", "Sum"])
@pytest.mark.parametrize(
    ("values", "weights"),
    [
        (3.0, None),
        (3.0, 2.0),
        ([1.0, 2.0, 4.0], None),
        ([1.0, 2.0, 4.0], [0.0, 1.0, 3.0]),
        ([[1.0, 2.0], [3.0, 4.0]], [1.0, 3.0]),
        ([[1.0, 2.0], [3.0, 4.0]], [[1.0], [3.0]]),
        ([[1.0, 2.0], [3.0, 4.0]], [[1.0, 0.0], [3.0, 2.0]]),
        ([], None),
    ],
)
def test_reductions(name, values, weights):
    ours, theirs = both(name, {})
    assert_same(ours(values, weights), theirs(values, weights))
    assert_same(ours([7.0, 5.0]), theirs([7.0, 5.0]))


@pytest.mark.parametrize("weights", [None, [[1.0, 2.0], [3.0, 4.0]], [[1.0], [2.0]]])
@pytest.mark.parametrize("name", ["MeanSquaredError", "CategoricalAccuracy"])
def test_masks(name, weights):
    y_true, y_pred = A[:4].reshape(2, 2, 3), B[:4].reshape(2, 2, 3)
    mask = np.array([[True, False], [True, True]])
    masked = kcore.ops.convert_to_tensor(y_pred)
    masked.keras_mask = kcore.ops.convert_to_tensor(mask)
    masked_for_keras = keras.ops.array(y_pred)
    masked_for_keras._keras_mask = keras.ops.array(mask)
    ours, theirs = both(name, {})
    assert_same(ours(y_true, masked, weights), theirs(y_true, masked_for_keras, weights))


@pytest.mark.parametrize(
    ("function", "y_true", "y_pred", "kwargs"),
    [
        ("binary_accuracy", YES, SCORES, {"threshold": 0.3}),
        ("categorical_accuracy", ONE_HOT, P, {}),
        ("sparse_categorical_accuracy", LABELS, P, {}),
        ("top_k_categorical_accuracy", ONE_HOT, P, {"k": 2}),
        ("sparse_top_k_categorical_accuracy", LABELS, P, {"k": 2}),
        ("pearson_correlation", A, B, {"axis": 0}),
        ("concordance_correlation", A, B, {}),
    ],
)
def test_functions(function, y_true, y_pred, kwargs):
    assert_same(
        getattr(metrics, function)(y_true, y_pred, **kwargs), getattr(keras.metrics, function)(y_true, y_pred, **kwargs)
    )


def test_every_name_of_keras_is_known():
    tested = {name for name, *_ in CASES} | {"Mean", "Sum", "Metric", "MeanMetricWrapper"}
    for name in dir(keras.metrics):
        if name.startswith("_"):
            continue
        assert hasattr(metrics, name), name
        assert name in tested or not name[0].isupper()
    from keras.src.metrics import ALL_OBJECTS_DICT

    needs_arguments = {"IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU", "MeanMetricWrapper"} | {
        "SensitivityAtSpecificity",
        "SpecificityAtSensitivity",
        "PrecisionAtRecall",
        "RecallAtPrecision",
    }
    for name, cls in ALL_OBJECTS_DICT.items():
        if cls.__name__ not in needs_arguments:
            assert type(metrics.get(name)).__name__ == cls.__name__


def test_a_wrapped_function_goes_through_a_config():
    ours = metrics.MeanMetricWrapper(kcore.losses.huber, name="h", delta=2.0)
    theirs = keras.metrics.MeanMetricWrapper(keras.losses.huber, name="h", delta=2.0)
    assert ours.get_config() == theirs.get_config()
    again = metrics.deserialize(keras.metrics.serialize(theirs))
    assert_same(again(A, B * 9), theirs(A, B * 9))
