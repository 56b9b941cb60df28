"""Training: every kind of data, overridden steps, what bad input gets, and an interruption. Keras is asked in parity/."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

import kcore
from kcore import callbacks, layers, ops

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [0.5], [0.0]])).astype("float32")
LABELS = RNG.integers(0, 3, 40)


def linear(units=1, **compile_args):
    kcore.utils.set_random_seed(1)
    model = kcore.Sequential([kcore.Input((4,)), layers.Dense(units)])
    model.compile(**{"optimizer": kcore.optimizers.SGD(0.1), "loss": "mse", "metrics": ["mae"], **compile_args})
    return model


def fit(model, *args, **options):
    return model.fit(*args, **{"verbose": 0, "shuffle": False, **options}).history


def batches(count=5, size=8):
    for i in range(count):
        yield X[i * size : (i + 1) * size], Y[i * size : (i + 1) * size]


class Batches(kcore.utils.PyDataset):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.ended = 0

    def __len__(self):
        return 5

    def __getitem__(self, index):
        return X[index * 8 : (index + 1) * 8], Y[index * 8 : (index + 1) * 8]

    def on_epoch_end(self):
        self.ended += 1


# ---- data


def test_all_kinds_of_data_train_alike():
    want = fit(linear(), X, Y, batch_size=8)
    kinds = {
        "float64": (X.astype("float64"), Y.astype("float64")),
        "tensor": (ops.convert_to_tensor(X), ops.convert_to_tensor(Y)),
        "generator": (batches(),),
        "dataset": (Batches(),),
        "threads": (Batches(workers=3),),
        "processes": (Batches(workers=2, use_multiprocessing=True),),
        "iterable": (_Again(),),
        "batches": (kcore.utils.Batches(lambda i: (X[i], Y[i]), samples=40, batch_size=8),),
    }
    for name, data in kinds.items():
        options = {"batch_size": 8} if len(data) == 2 else {}
        got = fit(linear(), *data, **options)
        assert got == want, name


class _Again:
    """A data set that is nothing but iterable, as a torch DataLoader is."""

    def __iter__(self):
        return ([x, y] for x, y in batches())


def test_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    assert fit(linear(), frame, pandas.Series(Y[:, 0])) == fit(linear(), X, Y)
    assert linear().predict(frame, verbose=0).shape == (40, 1)


def test_torch_loader():
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    assert fit(linear(), torch.utils.data.DataLoader(data, batch_size=8)) == fit(linear(), X, Y, batch_size=8)


def test_shuffling_follows_the_seed():
    def train(seed):
        model = linear()
        kcore.utils.set_random_seed(seed)
        return fit(model, X, Y, shuffle=True, batch_size=8, epochs=2)

    assert train(1) == train(1)
    assert train(1) != train(2)


def test_generator_over_epochs():
    def forever():
        while True:
            yield from batches()

    history = fit(linear(), forever(), steps_per_epoch=2, epochs=4)
    assert len(history["loss"]) == 4
    with pytest.warns(UserWarning, match="ran out of data"):
        fit(linear(), batches(), steps_per_epoch=4, epochs=2)
    data = Batches()
    fit(linear(), data, epochs=3)
    assert data.ended == 3


def test_steps_go_on_where_the_last_epoch_ended():
    assert fit(linear(), X, Y, batch_size=8, steps_per_epoch=1, epochs=5)["loss"] != []
    model, other = linear(), linear()
    fit(model, X, Y, batch_size=8, steps_per_epoch=1, epochs=10)
    fit(other, X, Y, batch_size=8, epochs=2)
    np.testing.assert_array_equal(model.get_weights()[0], other.get_weights()[0])


def test_last_batch_may_be_smaller_and_counts_by_its_samples():
    model = linear(metrics=None)
    model.optimizer.learning_rate = 0.0
    loss = fit(model, X[:19], Y[:19], batch_size=8)["loss"][0]
    assert loss == pytest.approx(float(np.mean((model.predict(X[:19], verbose=0) - Y[:19]) ** 2)), rel=1e-5)
    assert model.evaluate(X[:19], Y[:19], batch_size=8, verbose=0) == pytest.approx(loss, rel=1e-6)


def test_predict_keeps_the_structure():
    x = kcore.Input((4,))
    model = kcore.Model(x, {"a": layers.Dense(2)(x), "b": [layers.Dense(3)(x)]})
    out = model.predict(X, batch_size=16, verbose=0)
    assert out["a"].shape == (40, 2) and out["b"][0].shape == (40, 3)
    out["a"][0] = 1.0  # a writable array of the caller's own
    np.testing.assert_allclose(model.predict_on_batch(X[:5])["b"][0], out["b"][0][:5], rtol=1e-6)
    assert model.predict(batches(), verbose=0, steps=2)["a"].shape == (16, 2)


def test_threads_may_predict_at_once():
    model = linear()
    want = model.predict(X, verbose=0)
    results = [None] * 4

    def work(i):
        results[i] = [model.predict(X, batch_size=7, verbose=0) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in (r for rs in results for r in rs):
        np.testing.assert_allclose(result, want, rtol=1e-6)  # other batches, other tiles


# ---- overridden parts


def test_train_step_with_a_tape():
    class Custom(kcore.Model):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.tracker = kcore.metrics.Mean(name="own_loss")

        @property
        def metrics(self):
            return [self.tracker]

        def train_step(self, data):
            x, y = data[0], data[1]
            with kcore.GradientTape() as tape:
                loss = ops.mean(ops.square(self(x, training=True) - y))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
            self.tracker.update_state(loss)
            return {"own_loss": self.tracker.result(), "twice": self.tracker.result() * 2}

    x = kcore.Input((4,))
    model = Custom(x, layers.Dense(1)(x))
    plain = linear(metrics=None)
    model.set_weights(plain.get_weights())
    model.compile(kcore.optimizers.SGD(0.1))
    history = fit(model, X, Y, epochs=3, batch_size=8)
    np.testing.assert_allclose(history["own_loss"], fit(plain, X, Y, epochs=3, batch_size=8)["loss"], rtol=1e-5)
    np.testing.assert_allclose(history["twice"], np.multiply(history["own_loss"], 2), rtol=1e-6)


def test_compute_loss_and_metrics_can_be_overridden():
    class Custom(kcore.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            return ops.mean(ops.abs(y_pred - y))

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            return {**super().compute_metrics(x, y, y_pred, sample_weight), "constant": 7.0}

    x = kcore.Input((4,))
    model = Custom(x, layers.Dense(1)(x))
    model.compile("sgd", metrics=["mae"])
    history = fit(model, X, Y, epochs=2, batch_size=40)
    np.testing.assert_allclose(history["loss"], history["mae"], rtol=1e-5)
    assert history["constant"] == [7.0, 7.0]


def test_own_compile_with_two_optimizers():
    class Gan(kcore.Model):
        def __init__(self):
            super().__init__()
            self.d, self.g = layers.Dense(1), layers.Dense(1)

        def compile(self, d_optimizer, g_optimizer, loss_fn):
            super().compile()
            self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn

        def train_step(self, x):
            logs = {}
            for name, layer, optimizer in (("d", self.d, self.d_optimizer), ("g", self.g, self.g_optimizer)):
                with kcore.GradientTape() as tape:
                    loss = self.loss_fn(ops.zeros((x.shape[0], 1)), layer(x))
                optimizer.apply(tape.gradient(loss, layer.trainable_weights), layer.trainable_weights)
                logs[name] = loss
            return logs

    model = Gan()
    model.compile(kcore.optimizers.Adam(0.1), kcore.optimizers.SGD(0.1), kcore.losses.MeanSquaredError())
    history = model.fit(iter([X[:8]] * 3), verbose=0).history
    assert sorted(history) == ["d", "g"] and history["d"] != history["g"]


def test_frozen_layers_stay():
    x = kcore.Input((4,))
    frozen = layers.Dense(3)
    frozen.trainable = False
    model = kcore.Model(x, layers.Dense(1)(frozen(x)))
    model.compile("adam", "mse")
    before = model.get_weights()
    fit(model, X, Y)
    after = model.get_weights()
    np.testing.assert_array_equal(after[0], before[0])
    assert np.any(after[2] != before[2])
    assert len(model.optimizer.variables) == 2 + 2 * 2


def test_history_answers_to_old_names():
    model = linear(3, loss=kcore.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    history = model.fit(X, LABELS, epochs=4, verbose=0, validation_split=0.25, validation_freq=2)
    h = history.history
    assert h["acc"] is h["accuracy"] and h["val_acc"] is h["val_accuracy"] and "acc" in h
    assert sorted(h) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    with pytest.raises(KeyError):
        h["precision"]
    assert h.get("precision") is None
    pytest.importorskip("matplotlib")
    assert [axes.get_ylabel() for axes in history.plot().axes] == ["accuracy", "loss"]


# ---- interruption


def test_interrupted_fit_leaves_the_model_usable(interruptible):
    class Interrupt(callbacks.Callback):
        def on_train_begin(self, logs=None):  # once: a second signal would hit the test runner
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()

    model = linear()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=1, epochs=10_000, verbose=0, callbacks=[Interrupt()])
    assert np.all(np.isfinite(model.predict(X, verbose=0)))
    first = model.evaluate(X, Y, verbose=0)[0]
    assert fit(model, X, Y, epochs=2)["loss"][-1] <= first + 1e-3


# ---- bad input


def nans(labels):
    labels = labels.astype("float32")
    labels[3] = np.nan
    return labels


SPARSE = {"loss": "sparse_categorical_crossentropy"}


@pytest.mark.parametrize(
    "act, message",
    [
        (lambda: kcore.Sequential([layers.Dense(1)]).fit(X, Y), "compiled"),
        (lambda: fit(linear(), X, Y[:30]), "x with 40, y with 30"),
        (lambda: fit(linear(), X, Y, sample_weight=np.ones(7)), "sample_weight with 7"),
        (lambda: fit(linear(), X[:0], Y[:0]), "at least one sample"),
        (lambda: linear().predict(X[:0], verbose=0), "at least one sample"),
        (lambda: fit(linear(), X), "targets"),
        (lambda: fit(linear(), None, Y), "None"),
        (lambda: fit(linear(), X.tolist(), Y), "numpy.array"),
        (lambda: fit(linear(), np.full((40, 4), "a"), Y), "numbers"),
        (lambda: fit(linear(), X[:, :3], Y), "3"),
        (lambda: fit(linear(), X[:, 0], Y), "shape"),
        (lambda: fit(linear(3), X, np.zeros((40, 2))), "2"),
        (lambda: fit(linear(3, **SPARSE), X, nans(LABELS)), "NaN.*sample 3"),
        (lambda: fit(linear(3, **SPARSE), X, LABELS + 2), "label|class"),
        (lambda: fit(linear(), X, Y, batch_size=0), "batch_size"),
        (lambda: fit(linear(), X, Y, validation_split=1.0), "validation_split"),
        (lambda: fit(linear(), X[:1], Y[:1], validation_split=0.5), "empty"),
        (lambda: fit(linear(), batches(), Y), "no y beside a generator"),
        (lambda: fit(linear(), batches(), validation_split=0.2), "arrays"),
        (lambda: fit(linear(), iter([(X, Y, None, None)])), "4 elements"),
        (lambda: fit(linear(), X, Y, validation_data=(X, Y[:3])), "y with 3"),
        (lambda: fit(linear(), X, Y, shuffle="maybe"), "shuffle"),
        (lambda: fit(linear(), X, Y, callbacks=[3]), "Callback objects, received 3"),
        (lambda: fit(linear(), X, Y, class_weight={0: 1.0}, sample_weight=np.ones(40)), "both"),
        (lambda: fit(linear(), X, LABELS, class_weight={0: float("nan")}), "nan"),
        (lambda: fit(linear(), X, LABELS, class_weight=[1, 2]), "dict"),
        (lambda: fit(linear(), X, Y, epochs=1.5), "epochs.*1.5"),
        (lambda: fit(linear(), X, Y, steps_per_epoch=0), "steps"),
        (lambda: linear().evaluate(X, Y, foo=1), "foo"),
        (lambda: linear(loss="msee"), "msee.*mse"),
        (lambda: linear(metrics=["acuracy"]), "acuracy.*accuracy"),
        (lambda: linear(metrics=[3]), "received 3"),
        (lambda: linear(optimizer="adamm"), "adamm"),
        (lambda: linear(steps_per_execution=0), "steps_per_execution"),
        (lambda: linear(jit_compile="yes"), "jit_compile"),
    ],
)
def test_bad_input(act, message):
    with pytest.raises((ValueError, TypeError), match=message):
        act()


def two():
    x = kcore.Input((4,))
    return kcore.Model(x, [layers.Dense(1, name="left")(x), layers.Dense(1, name="right")(x)])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"loss": {"left": "mse", "rigth": "mse"}}, "did you mean 'right'"),
        ({"loss": {"left": "mse"}}, r"none for \['right'\]"),
        ({"loss": ["mse"]}, "expected 2 items"),
        ({"loss": "mse", "metrics": ["mae"]}, "list of 2"),
        ({"loss": "mse", "metrics": {"lef": "mae"}}, "did you mean 'left'"),
    ],
)
def test_losses_and_metrics_must_match_the_outputs(arguments, message):
    model = two()
    model.compile("sgd", **arguments)
    with pytest.raises(ValueError, match=message):
        fit(model, X, [Y, Y])


def test_targets_must_match_the_outputs():
    model = two()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"expected 2 items|one for each"):
        fit(model, X, [Y])
    with pytest.raises(ValueError, match="one for each"):
        fit(model, X, Y)
