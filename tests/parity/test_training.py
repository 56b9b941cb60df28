"""Training against Keras on JAX: same weights, data and order must give the same losses, metrics, weights and results."""

from __future__ import annotations

import numpy as np
import pytest

import kcore

keras = pytest.importorskip("keras")
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

# A few dozen float32 updates of small models: rounding differences grow slowly, but they grow.
TOLERANCE = dict(rtol=2e-4, atol=2e-5)

SPARSE, DENSE = "sparse_categorical_crossentropy", "categorical_crossentropy"
RNG = np.random.default_rng(11)
N = 50
X = RNG.normal(size=(N, 4)).astype("float32")
LABELS = RNG.integers(0, 3, N)
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
BINARY = RNG.integers(0, 2, (N, 1)).astype("float32")
TARGET = RNG.normal(size=(N, 1)).astype("float32")
WEIGHTS = RNG.uniform(0.2, 2.0, N).astype("float32")
SEQUENCES = RNG.integers(0, 6, (N, 5))
SEQUENCES[:, 0] = 1  # no sequence of nothing but padding
STEPS = RNG.normal(size=(N, 5, 1)).astype("float32")


def classifier(k, units=3, activation="softmax"):
    x = k.Input((4,), name="x")
    h = k.layers.Dense(8, activation="tanh", name="h")(x)
    return k.Model(x, k.layers.Dense(units, activation=activation, name="o")(h))


def regularized(k):
    x = k.Input((4,), name="x")
    h = k.layers.Dense(8, activation="tanh", kernel_regularizer="l2", activity_regularizer=k.regularizers.L1(0.01))(x)
    h = k.layers.BatchNormalization(momentum=0.7)(h)
    return k.Model(x, k.layers.Dense(3, activation="softmax", kernel_constraint="non_neg")(h))


def two_outputs(k, as_dict=False):
    x = k.Input((4,), name="x")
    h = k.layers.Dense(8, activation="tanh", name="h")(x)
    a, b = k.layers.Dense(3, activation="softmax", name="a")(h), k.layers.Dense(1, name="b")(h)
    return k.Model(x, {"p": a, "q": b} if as_dict else [a, b])


def two_inputs(k):
    u, v = k.Input((2,), name="u"), k.Input((2,), name="v")
    h = k.layers.Concatenate()([k.layers.Dense(3, name="hu")(u), k.layers.Dense(3, name="hv")(v)])
    return k.Model({"u": u, "v": v}, k.layers.Dense(1, name="o")(h))


def masked(k):
    x = k.Input((5,), name="x", dtype="int32")
    h = k.layers.Embedding(6, 4, mask_zero=True)(x)
    h = k.layers.Dense(5, activation="tanh")(h)
    return k.Model(x, k.layers.Dense(1)(h))


def nested_outputs(k):
    x = k.Input((4,), name="x")
    return k.Model(x, {"u": k.layers.Dense(3, name="a")(x), "v": [k.layers.Dense(1, name=n)(x) for n in "bc"]})


def unnamed_outputs(k):
    class Pair(k.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = k.layers.Dense(3, activation="softmax"), k.layers.Dense(1)

        def call(self, inputs):
            return [self.a(inputs), self.b(inputs)]

    pair = Pair()
    pair(np.zeros((1, 4), "float32"))
    return pair


def subclassed(k):
    class Net(k.Model):
        def __init__(self):
            super().__init__()
            self.h = k.layers.Dense(8, activation="relu")
            self.o = k.layers.Dense(1)

        def call(self, inputs, training=False):
            h = self.h(inputs)
            self.add_loss(0.01 * k.ops.mean(h * h))
            return self.o(h)

    net = Net()
    net(np.zeros((1, 4), "float32"))
    return net


def set_same_weights(model, seed=5):
    rng = np.random.default_rng(seed)
    values = []
    for w in model.weights:
        value = rng.normal(size=tuple(w.shape)).astype("float32") * 0.4
        values.append(np.abs(value) + 0.5 if "variance" in w.path else value)
    model.set_weights(values)


def run(k, build, compile_args, x, y, fit_args=None, evaluate_args=None):
    """What training gives: history, evaluation, predictions, weights, optimizer state."""
    model = build(k)
    set_same_weights(model)
    compile_args = {key: value(k) if callable(value) else value for key, value in compile_args.items()}
    # Op by op, JAX compiles each small op once for all tests; a step per test would take seconds each.
    model.compile(**compile_args, run_eagerly=True)
    fit_args = {key: value(k) if callable(value) else value for key, value in (fit_args or {}).items()}
    options = {"epochs": 3, "batch_size": 16, "shuffle": False, "verbose": 0, **fit_args}
    history = model.fit(x, y, **options)
    evaluated = model.evaluate(x, y, verbose=0, batch_size=16, **(evaluate_args or {}))
    by_name = model.evaluate(x, y, verbose=0, batch_size=16, return_dict=True)
    predicted = model.predict(x, verbose=0)
    return {
        "history": dict(history.history),
        "epoch": history.epoch,
        "evaluate": evaluated,
        "by_name": by_name,
        "predict": predicted,
        "weights": model.get_weights(),
        "optimizer": [np.asarray(v) for v in model.optimizer.variables],
        "metrics_names": model.metrics_names,
    }


def assert_same(got, want, where=""):
    if isinstance(want, dict):
        assert list(got) == list(want), where
        for key in want:
            assert_same(got[key], want[key], f"{where}/{key}")
    elif isinstance(want, (list, tuple)):
        assert len(got) == len(want), (where, got, want)
        for i, (a, b) in enumerate(zip(got, want)):
            assert_same(a, b, f"{where}/{i}")
    elif isinstance(want, str) or want is None:
        assert got == want, where
    else:
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), **TOLERANCE, err_msg=where)


def check(build, compile_args, x, y, **options):
    want = run(keras, build, compile_args, x, y, **options)
    assert_same(run(kcore, build, compile_args, x, y, **options), want)


OPTIMIZERS = {
    "sgd": lambda k: k.optimizers.SGD(0.1, momentum=0.9, nesterov=True, clipnorm=0.5),
    "rmsprop": lambda k: k.optimizers.RMSprop(0.01, momentum=0.5, centered=True, weight_decay=0.01),
    "adagrad": lambda k: k.optimizers.Adagrad(0.1, global_clipnorm=1.0),
    "adadelta": lambda k: k.optimizers.Adadelta(1.0, clipvalue=0.1),
    "adam": lambda k: k.optimizers.Adam(k.optimizers.schedules.CosineDecay(0.05, 8), amsgrad=True),
    "adamw": lambda k: k.optimizers.AdamW(0.02, use_ema=True, ema_momentum=0.8),
    "adamax": lambda k: k.optimizers.Adamax(0.02, gradient_accumulation_steps=2),
    "nadam": lambda k: k.optimizers.Nadam(k.optimizers.schedules.ExponentialDecay(0.05, 3, 0.7)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    compile_args = {"optimizer": OPTIMIZERS[name], "loss": SPARSE, "metrics": ["accuracy"]}
    check(classifier, compile_args, X, LABELS)


CASES = {
    "one_hot": (classifier, {"loss": DENSE, "metrics": ["acc", "mse", "AUC"]}, X, ONE_HOT, {}),
    "column_of_labels": (classifier, {"loss": SPARSE, "metrics": ["accuracy"]}, X, LABELS[:, None], {}),
    "binary": (
        lambda k: classifier(k, 1, "sigmoid"),
        {"loss": "binary_crossentropy", "metrics": ["accuracy", "precision"]},
        X, BINARY[:, 0], {"validation_split": 0.3},
    ),
    "class_weight": (
        classifier,
        {"loss": SPARSE, "metrics": ["accuracy"], "weighted_metrics": ["acc"]},
        X, LABELS, {"class_weight": {0: 0.5, 2: 3.0}},
    ),
    "class_weight_one_hot": (classifier, {"loss": DENSE}, X, ONE_HOT, {"class_weight": {0: 0.5, 1: 2.0}}),
    "sample_weight": (
        classifier,
        {"loss": DENSE, "weighted_metrics": ["accuracy", "mae"]},
        X, ONE_HOT, {"sample_weight": WEIGHTS, "validation_split": 0.2},
    ),
    "validation_data": (
        classifier,
        {"loss": SPARSE, "metrics": ["accuracy"]},
        X, LABELS, {"validation_data": (X[:20], LABELS[:20], WEIGHTS[:20]),
                   "validation_freq": 2, "validation_batch_size": 7},
    ),
    "float64": (classifier, {"loss": "mse"}, X.astype("float64"), ONE_HOT.astype("float64"), {}),
    "regularized": (regularized, {"loss": SPARSE, "metrics": ["accuracy"]}, X, LABELS, {}),
    "two_outputs": (
        two_outputs,
        {"loss": [DENSE, "mse"], "metrics": [["accuracy"], ["mae", "mse"]], "loss_weights": [0.3, 2.0]},
        X, [ONE_HOT, TARGET], {"sample_weight": WEIGHTS},
    ),
    "two_outputs_by_name": (
        two_outputs,
        {"loss": {"a": DENSE, "b": "mse"}, "metrics": {"b": "mae"}, "loss_weights": {"a": 0.5, "b": 2.0}},
        X, {"a": ONE_HOT, "b": TARGET}, {"validation_split": 0.2},
    ),
    "dict_outputs": (
        lambda k: two_outputs(k, as_dict=True),
        {"loss": {"p": DENSE, "q": "mae"}, "metrics": {"p": ["accuracy"], "q": ["mae"]}},
        X, {"p": ONE_HOT, "q": TARGET}, {"sample_weight": {"p": WEIGHTS, "q": np.ones(N, "float32")}},
    ),
    "one_of_two_losses": (two_outputs, {"loss": [DENSE, None]}, X, [ONE_HOT, TARGET], {}),
    "one_loss_for_all": (two_outputs, {"loss": "mse", "metrics": ["mae", "mse"]}, X, [ONE_HOT, TARGET], {}),
    "nested_outputs": (
        nested_outputs, {"loss": {"u": "mse", "v": ["mae", "mse"]}}, X, {"u": ONE_HOT, "v": [TARGET, TARGET]}, {},
    ),
    "unnamed_outputs": (
        unnamed_outputs, {"loss": ["mse", "mae"], "metrics": [["mae"], ["mse"]]}, X, [ONE_HOT, TARGET], {},
    ),
    "the_same_metric_twice": (
        two_outputs, {"loss": "mse", "metrics": {"a": "mae"}, "weighted_metrics": {"a": ["mae", "mse"], "b": "mse"}},
        X, [ONE_HOT, TARGET], {"sample_weight": WEIGHTS},
    ),
    "dict_inputs": (two_inputs, {"loss": "mse", "metrics": ["mae"]}, {"u": X[:, :2], "v": X[:, 2:]}, TARGET, {}),
    "masked": (masked, {"loss": "mse"}, SEQUENCES, STEPS, {}),
    "weights_of_steps": (
        masked, {"loss": "mse"}, SEQUENCES, STEPS,
        {"sample_weight": RNG.uniform(0.1, 1, (N, 5)).astype("float32")},
    ),
    "add_loss": (subclassed, {"loss": "mse", "metrics": ["mae"]}, X, TARGET, {}),
    "loss_object_and_function": (
        lambda k: classifier(k, 1, None),
        {"loss": lambda k: k.losses.Huber(delta=0.3),
         "metrics": lambda k: [k.losses.log_cosh, k.metrics.RootMeanSquaredError()]},
        X, TARGET, {},
    ),
    "steps": (classifier, {"loss": DENSE, "steps_per_execution": 2}, X, ONE_HOT, {"steps_per_epoch": 2}),
    "initial_epoch": (classifier, {"loss": "mse"}, X, ONE_HOT, {"initial_epoch": 2, "epochs": 5}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_fit(name):
    build, compile_args, x, y, fit_args = CASES[name]
    check(build, {"optimizer": lambda k: k.optimizers.SGD(0.1), **compile_args}, x, y, fit_args=fit_args)


CALLBACKS = {
    "early_stopping": lambda k: [
        k.callbacks.EarlyStopping("val_loss", patience=2, min_delta=0.05, restore_best_weights=True, start_from_epoch=1)
    ],
    "baseline": lambda k: [k.callbacks.EarlyStopping("val_acc", patience=1, baseline=0.99, restore_best_weights=True)],
    "plateau": lambda k: [
        k.callbacks.ReduceLROnPlateau("loss", factor=0.3, patience=1, min_delta=0.1, cooldown=1, min_lr=0.005)
    ],
    "schedule": lambda k: [k.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.8)],
    "schedule_of_epoch": lambda k: [k.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))],
}


@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks(name):
    compile_args = {
        "optimizer": lambda k: k.optimizers.SGD(0.3),
        "loss": DENSE,
        "metrics": ["acc"],
    }
    options = {"epochs": 9, "validation_split": 0.3, "callbacks": CALLBACKS[name]}
    check(classifier, compile_args, X, ONE_HOT, fit_args=options)


@pytest.mark.parametrize("which", ["train", "test"])
def test_on_batch(which):
    results = []
    for k in (keras, kcore):
        model = two_outputs(k)
        set_same_weights(model)
        losses = [DENSE, "mse"]
        model.compile(k.optimizers.Adam(0.05), losses, metrics=[["acc"], ["mae"]], run_eagerly=True)
        step = getattr(model, f"{which}_on_batch")
        seen = [step(X[:10], [ONE_HOT[:10], TARGET[:10]], sample_weight=WEIGHTS[:10]) for _ in range(2)]
        seen.append(step(X[:10], [ONE_HOT[:10], TARGET[:10]], return_dict=True))
        results.append([seen, model.predict_on_batch(X[:3]), model.get_weights()])
    assert_same(results[1], results[0])


def test_masked_metrics():
    """In `fit` Keras on JAX loses the masks of predictions before its metrics see them; in `evaluate` it does not."""
    results = []
    for k in (keras, kcore):
        model = masked(k)
        set_same_weights(model)
        model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mse"], run_eagerly=True)
        weights = np.linspace(0.1, 1, N * 5, dtype="float32").reshape(N, 5)
        results.append(
            model.evaluate(SEQUENCES, STEPS, sample_weight=weights, batch_size=16, verbose=0, return_dict=True)
        )
    assert_same(results[1], results[0])


def test_compile_config():
    for options in (
        {"loss": "mse", "metrics": ["mae"]},
        {"loss": {"p": "mse", "q": None}, "metrics": {"p": ["mae"], "q": []}, "loss_weights": {"p": 2.0}},
        {
            "loss": lambda k: k.losses.MeanSquaredError(name="h"),
            "metrics": lambda k: [k.metrics.AUC(name="auc")],
            "run_eagerly": True,
        },
    ):
        configs = []
        for k in (keras, kcore):
            model = two_outputs(k, as_dict=True)
            arguments = {key: v(k) if callable(v) else v for key, v in options.items()}
            model.compile(k.optimizers.Adam(0.01, name="adam"), **arguments)
            configs.append(model.get_compile_config())
        assert configs[1] == configs[0]
