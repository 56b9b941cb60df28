"""Callbacks that watch a metric against Keras's: random courses of a loss, a model that only notes what is done to it."""

from __future__ import annotations

import numpy as np
import pytest

import kcore

keras = pytest.importorskip("keras")
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


class Optimizer:
    """Keeps the learning rate in float32, as the real ones do."""

    def __init__(self):
        self._rate = np.float32(0.1)

    @property
    def learning_rate(self):
        return self._rate

    @learning_rate.setter
    def learning_rate(self, rate):
        self._rate = np.float32(rate)


class Model:
    """Its weights are the number of the epoch."""

    def __init__(self):
        self.optimizer, self.stop_training, self.metrics = Optimizer(), False, []
        self.weights, self.saved = 0, []

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights

    def save(self, path, **_):
        self.saved.append(str(path))


def course(rng):
    values = np.round(rng.normal(size=12), 1) + rng.integers(2) * np.linspace(2, 0, 12)
    if rng.random() < 0.2:
        values[rng.integers(12)] = np.nan
    return [float(v) for v in values]


def options(name, rng):
    mode, min_delta = str(rng.choice(["auto", "min", "max"])), float(rng.choice([0, 0.1, 0.5]))
    common = {"monitor": "loss", "mode": mode}
    if name == "EarlyStopping":
        patience, start = int(rng.integers(4)), int(rng.integers(4))
        return {**common, "min_delta": min_delta, "patience": patience, "start_from_epoch": start,
                "baseline": [None, 0.5][rng.integers(2)], "restore_best_weights": bool(rng.integers(2))}  # fmt: skip
    if name == "ReduceLROnPlateau":
        return {**common, "min_delta": min_delta, "patience": int(rng.integers(1, 4)), "factor": 0.5,
                "cooldown": int(rng.integers(3)), "min_lr": 0.01}  # fmt: skip
    return {**common, "filepath": "/nowhere/{epoch}-{loss:.2f}.keras", "save_best_only": bool(rng.integers(2)),
            "initial_value_threshold": [None, 0.3][rng.integers(2)]}  # fmt: skip


def run(callback, losses):
    model, done = Model(), []
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        model.weights = epoch
        logs = {"loss": loss}
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, logs)
        done.append((float(model.optimizer.learning_rate), model.stop_training, list(model.saved), sorted(logs)))
        if model.stop_training:
            break
    callback.on_train_end()
    return done, model.weights, getattr(callback, "stopped_epoch", None), getattr(callback, "best_epoch", None)


@pytest.mark.parametrize("name", ["EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint"])
def test_what_is_done(name, monkeypatch):
    monkeypatch.setattr("os.makedirs", lambda *_, **__: None)
    rng = np.random.default_rng(7)
    for _ in range(150):
        arguments, losses = options(name, rng), course(rng)
        want, got = (run(getattr(k.callbacks, name)(**arguments), losses) for k in (keras, kcore))
        assert got == want, (arguments, losses)
