"""Losses against Keras over their arguments, reductions, weights, masks, shapes, configs and gradients."""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")

import kcore  # noqa: E402
from kcore import losses  # noqa: E402

random = np.random.RandomState(0)
A = random.rand(5, 3).astype("float32")
B = random.rand(5, 3).astype("float32")
P = np.exp(A) / np.exp(A).sum(-1, keepdims=True)  # probabilities
LABELS = np.array([0, 2, 1, 1, 0])
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
SIGNS = ONE_HOT * 2 - 1
IMAGES = random.rand(2, 4, 4, 1).astype("float32")
MASKS = (random.rand(2, 4, 4, 1) > 0.5).astype("float32")
EMBEDDINGS = (A - 0.5) / np.linalg.norm(A - 0.5, axis=1, keepdims=True)

# class, arguments, y_true, y_pred
CASES = [
    ("MeanSquaredError", {}, A, B * 3),
    ("MeanAbsoluteError", {}, A, B * 3),
    ("MeanAbsolutePercentageError", {}, A, B * 3),
    ("MeanAbsolutePercentageError", {}, ONE_HOT, B),
    ("MeanSquaredLogarithmicError", {}, A, B * 3 - 1),
    ("Huber", {}, A, B * 5),
    ("Huber", {"delta": 0.3}, A, B),
    ("LogCosh", {}, A, B * 90),
    ("Poisson", {}, A * 4, B),
    ("CosineSimilarity", {}, A, B),
    ("CosineSimilarity", {"axis": 0}, A, B),
    ("BinaryCrossentropy", {}, ONE_HOT, B),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, ONE_HOT, B * 20 - 10),
    ("BinaryCrossentropy", {"axis": 0}, ONE_HOT, B),
    ("BinaryFocalCrossentropy", {}, ONE_HOT, B),
    (
        "BinaryFocalCrossentropy",
        {"apply_class_balancing": True, "alpha": 0.4, "gamma": 1.5, "from_logits": True, "label_smoothing": 0.1},
        ONE_HOT,
        B * 8 - 4,
    ),
    ("CategoricalCrossentropy", {}, ONE_HOT, B),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, ONE_HOT, B * 20),
    ("CategoricalCrossentropy", {"axis": 0}, ONE_HOT, B),
    ("CategoricalFocalCrossentropy", {}, ONE_HOT, P),
    (
        "CategoricalFocalCrossentropy",
        {"alpha": 0.5, "gamma": 1.0, "from_logits": True, "label_smoothing": 0.1},
        ONE_HOT,
        B * 4,
    ),
    ("SparseCategoricalCrossentropy", {}, LABELS, P),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS[:, None], B * 20),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, LABELS, P),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1, "from_logits": True}, LABELS - (LABELS == 0), B),
    ("CategoricalGeneralizedCrossEntropy", {}, LABELS, P),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.8}, LABELS, P),
    ("KLDivergence", {}, P, np.roll(P, 1, axis=0)),
    ("Hinge", {}, SIGNS, B * 3),
    ("Hinge", {}, ONE_HOT, B * 3),
    ("SquaredHinge", {}, SIGNS, B * 3),
    ("CategoricalHinge", {}, ONE_HOT, B * 3),
    ("Circle", {}, LABELS, EMBEDDINGS),
    ("Circle", {"gamma": 10.0, "margin": 0.2, "remove_diagonal": False}, LABELS[:, None], EMBEDDINGS),
    ("Dice", {}, MASKS, IMAGES),
    ("Dice", {"axis": (1, 2, 3)}, MASKS, IMAGES),
    ("Tversky", {}, MASKS, IMAGES),
    ("Tversky", {"alpha": 0.3, "beta": 0.8, "axis": (1, 2, 3)}, MASKS, IMAGES),
    ("CTC", {}, np.array([[1, 2, 1], [2, 2, 0]]), np.log(random.rand(2, 7, 4)).astype("float32")),
]
IDS = [f"{name}-{kwargs}" for name, kwargs, *_ in CASES]
REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", None, "none"]


def both(name, /, **kwargs):
    return getattr(losses, name)(**kwargs), getattr(keras.losses, name)(**kwargs)


def assert_same(received, expected):
    # Sums of a few float32 products, in another order.
    np.testing.assert_allclose(np.asarray(received), np.asarray(expected), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("name", "kwargs", "y_true", "y_pred"), CASES, ids=IDS)
def test_values(name, kwargs, y_true, y_pred):
    values = np.asarray(getattr(keras.losses, name)(reduction="none", **kwargs)(y_true, y_pred))
    assert_same(getattr(losses, name)(reduction="none", **kwargs)(y_true, y_pred), values)
    ours, theirs = both(name, **kwargs)
    weights = np.linspace(0, 2, values.shape[0]).astype("float32") if values.shape else 3.0
    assert_same(ours(y_true, y_pred, weights), theirs(y_true, y_pred, weights))


@pytest.mark.parametrize("weights", [None, [0.0, 1.0, 2.0, 1.5, 0.0], [0.0] * 5])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("ignore_class", [None, 1])
def test_reductions(ignore_class, reduction, weights):
    ours, theirs = both("SparseCategoricalCrossentropy", ignore_class=ignore_class, reduction=reduction)
    assert_same(ours(LABELS, P, weights), theirs(LABELS, P, weights))


@pytest.mark.parametrize(("name", "kwargs", "y_true", "y_pred"), CASES, ids=IDS)
def test_gradients(name, kwargs, y_true, y_pred):
    import jax

    ours, theirs = both(name, **kwargs)
    expected = jax.grad(lambda p: theirs(y_true, p))(y_pred)
    tensor = kcore.ops.convert_to_tensor(y_pred)
    with kcore.GradientTape() as tape:
        tape.watch(tensor)
        loss = ours(y_true, tensor)
    # Gradients divide by what may be small: compare at the size of the largest.
    expected = np.asarray(expected)
    np.testing.assert_allclose(
        tape.gradient(loss, tensor).numpy(), expected, rtol=1e-4, atol=2e-5 * max(np.abs(expected).max(), 1e-3)
    )


@pytest.mark.parametrize(("name", "kwargs", "y_true", "y_pred"), CASES, ids=IDS)
def test_functions(name, kwargs, y_true, y_pred):
    function = losses.get(name).fn.__name__
    arguments = {"q": 0.5, **kwargs} if name == "CategoricalGeneralizedCrossEntropy" else kwargs
    if not hasattr(y_pred, "shape") or name == "Circle":
        y_true = np.ravel(y_true)
    received = getattr(losses, function)(y_true, y_pred, **arguments)
    expected = getattr(keras.losses, function)(keras.ops.array(y_true), keras.ops.array(y_pred), **arguments)
    assert_same(received, expected)


@pytest.mark.parametrize(("name", "kwargs", "y_true", "y_pred"), CASES, ids=IDS)
def test_configs(name, kwargs, y_true, y_pred):
    ours, theirs = both(name, reduction="sum", name="mine", **kwargs)
    extra = {"Huber": ["delta"], "CosineSimilarity": ["axis"]}.get(name, [])
    config = ours.get_config()
    # Keras's configs lose these arguments; ours keep them where they are not the default.
    kept = {key: config.pop(key) for key in extra if key in config}
    assert config == theirs.get_config()
    assert kept == {key: value for key, value in kwargs.items() if key in extra}
    again = losses.deserialize(losses.serialize(ours))
    assert_same(again(y_true, y_pred), ours(y_true, y_pred))
    assert losses.deserialize(keras.losses.serialize(theirs)).get_config() == {**ours.get_config(), **config} or kept
    keras.losses.deserialize(losses.serialize(ours))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weights", [None, [[1, 2], [3, 4.0]], [[1], [2.0]], 2.0])
def test_masks(reduction, weights):
    y_true, y_pred = A[:4].reshape(2, 2, 3), B[:4].reshape(2, 2, 3)
    mask = np.array([[True, False], [True, True]])
    ours, theirs = both("MeanSquaredError", reduction=reduction)
    masked = kcore.ops.convert_to_tensor(y_pred)
    masked.keras_mask = kcore.ops.convert_to_tensor(mask)
    masked_for_keras = keras.ops.array(y_pred)
    masked_for_keras._keras_mask = keras.ops.array(mask)
    assert_same(ours(y_true, masked, weights), theirs(y_true, masked_for_keras, weights))


@pytest.mark.parametrize(
    ("true_shape", "pred_shape", "weight_shape"),
    [
        ((4,), (4, 1), None),
        ((4, 1), (4,), None),
        ((4, 1), (4, 3), None),
        ((4, 3), (3, 3), None),
        ((4,), (4, 3), None),
        ((4, 2), (4, 3), None),
        ((4, 3), (4, 3), (4,)),
        ((4, 3), (4, 3), (4, 1)),
        ((4, 3), (4, 3), (3,)),
        ((4, 3), (4, 3), (4, 3)),
        ((4, 3), (4, 3), ()),
        ((2, 4, 3), (2, 4, 3), (2, 4)),
        ((2, 4, 3), (2, 4, 3), (2, 1)),
        ((2, 4, 3), (2, 4, 3), (2, 4, 1)),
        ((2, 4, 3), (2, 4, 3), (2,)),
        ((0, 3), (0, 3), None),
    ],
)
@pytest.mark.parametrize("name", ["MeanSquaredError", "MeanAbsoluteError", "BinaryCrossentropy"])
def test_shapes_that_keras_takes_and_refuses(name, true_shape, pred_shape, weight_shape):
    ours, theirs = both(name)
    y_true, y_pred = random.rand(*true_shape), random.rand(*pred_shape)
    weights = None if weight_shape is None else random.rand(*weight_shape)
    try:
        expected = theirs(y_true, y_pred, weights)
    except (ValueError, TypeError):
        with pytest.raises(ValueError, match="expected"):
            ours(y_true, y_pred, weights)
    else:
        assert_same(ours(y_true, y_pred, weights), expected)


def test_every_name_of_keras_is_known():
    tested = {name for name, *_ in CASES}
    for name in dir(keras.losses):
        if name.startswith("_"):
            continue
        assert hasattr(losses, name), name
        if name[0].isupper() and name != "Loss":
            assert name in tested
    from keras.src.losses import ALL_OBJECTS_DICT

    for name in set(ALL_OBJECTS_DICT) - {"Loss", "LossFunctionWrapper", "Tversky"}:
        ours, theirs = losses.get(name), keras.losses.get(name)
        assert (
            getattr(ours, "__name__", type(ours).__name__) == getattr(theirs, "__name__", None)
            or ours.name == theirs.name
        )
