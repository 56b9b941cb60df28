"""Callbacks: what they do to training, files and the screen. Keras is asked in parity/."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import kcore
from kcore import callbacks, layers
from kcore.callbacks.progbar import Progbar

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [0.5], [0.0]])).astype("float32")


def linear(rate=0.1):
    kcore.utils.set_random_seed(1)
    model = kcore.Sequential([kcore.Input((4,)), layers.Dense(1)])
    model.compile(kcore.optimizers.SGD(rate, momentum=0.5), "mse", metrics=["mae"])
    return model


def fit(model, *used, x=X, **options):
    return model.fit(x, Y, **{"verbose": 0, "shuffle": False, "batch_size": 8, "callbacks": list(used), **options})


class Recorder(callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.calls = []


def _hook(name):
    def hook(self, *args, logs=None):
        logs = next((a for a in args if isinstance(a, dict)), logs)
        self.calls.append((name, *[a for a in args if not isinstance(a, dict)], *sorted(logs or {})))

    return hook


for _name in dir(callbacks.Callback):
    if _name.startswith("on_") and not _name.startswith("on_batch"):
        setattr(Recorder, _name, _hook(_name))


def test_hooks_come_in_order():
    recorder = Recorder()
    model = linear()
    fit(model, recorder, batch_size=40, validation_data=(X, Y), validation_batch_size=40)
    both = ("loss", "mae")
    assert recorder.calls == [
        ("on_train_begin",),
        ("on_epoch_begin", 0),
        ("on_train_batch_begin", 0),
        ("on_train_batch_end", 0, *both),
        ("on_test_begin",),
        ("on_test_batch_begin", 0),
        ("on_test_batch_end", 0, *both),
        ("on_test_end", *both),
        ("on_epoch_end", 0, *both, "val_loss", "val_mae"),
        ("on_train_end", *both, "val_loss", "val_mae"),
    ]
    assert recorder.params == {"verbose": 0, "epochs": 1, "steps": 1} and recorder.model is model
    recorder.calls.clear()
    model.predict(X, verbose=0, callbacks=[recorder])
    names = ["on_predict_begin", "on_predict_batch_begin", "on_predict_batch_end"]
    assert [call[0] for call in recorder.calls] == [*names, *names[1:], "on_predict_end"]
    assert recorder.calls[2] == ("on_predict_batch_end", 0, "outputs")


def test_logs_of_a_batch_are_those_so_far():
    losses = []
    model = linear(rate=0.0)
    seen = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: losses.append(logs["loss"]))
    history = fit(model, seen)
    squares = (model.predict(X, verbose=0) - Y) ** 2
    np.testing.assert_allclose(losses, [squares[: 8 * (i + 1)].mean() for i in range(5)], rtol=1e-5)
    assert history.history["loss"] == losses[-1:]


def test_lambda_callback_takes_all_hooks():
    seen = []
    used = callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(("begin", epoch)),
        on_epoch_end=lambda epoch, logs: seen.append(("end", epoch, "loss" in logs)),
        on_train_end=lambda logs: seen.append(("done", "loss" in logs)),
        on_test_begin=lambda logs: seen.append(("test",)),
    )
    fit(linear(), used, validation_split=0.2)
    assert seen == [("begin", 0), ("test",), ("end", 0, True), ("done", True)]


def test_stopping_from_a_callback():
    class Stop(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    model = linear()
    assert fit(model, Stop(), epochs=5).epoch == [0]
    assert int(model.optimizer.iterations) == 3


def test_checkpoint_files(tmp_path):
    model = linear()
    fit(model, callbacks.ModelCheckpoint(tmp_path / "m{epoch:02d}-{loss:.2f}.keras"), epochs=2)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert [name[:4] for name in names] == ["m01-", "m02-"]
    again = kcore.models.load_model(tmp_path / names[-1])
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert int(again.optimizer.iterations) == 10
    fit(model, callbacks.ModelCheckpoint(tmp_path / "b{epoch}-{batch}.weights.h5", save_weights_only=True, save_freq=3))
    assert sorted(p.name for p in tmp_path.glob("b*")) == ["b1-3.weights.h5"]
    fit(model, callbacks.ModelCheckpoint(tmp_path / "old.h5"))
    assert (tmp_path / "old.h5").exists()


def test_checkpoint_of_the_best(tmp_path, capsys):
    path = tmp_path / "best.keras"
    used = callbacks.ModelCheckpoint(path, monitor="loss", save_best_only=True, verbose=1, initial_value_threshold=0.0)
    fit(linear(), used, epochs=2)
    assert not path.exists() and "did not improve from 0.00000" in capsys.readouterr().out
    used = callbacks.ModelCheckpoint(path, monitor="loss", save_best_only=True, verbose=1)
    worse = callbacks.LearningRateScheduler(lambda epoch: 0.01 if epoch == 0 else 1.5)
    fit(linear(), worse, used, epochs=2)
    shown = capsys.readouterr().out
    assert "improved from None" in shown and "did not improve" in shown
    best = kcore.models.load_model(path).evaluate(X, Y, verbose=0)[0]
    assert best < linear().evaluate(X, Y, verbose=0)[0]


def test_early_stopping_restores_the_best(capsys):
    rates = callbacks.LearningRateScheduler(lambda epoch: 0.01 if epoch < 3 else 1.5)
    stop = callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True, verbose=1)
    model = linear()
    history = fit(model, rates, stop, epochs=20, validation_data=(X, Y))
    assert stop.best_epoch == 2 and history.epoch == [0, 1, 2, 3, 4] and stop.stopped_epoch == 4
    assert model.evaluate(X, Y, verbose=0)[0] == pytest.approx(history.history["val_loss"][2], rel=1e-6)
    assert "Epoch 5: early stopping" in capsys.readouterr().out


def test_monitors_say_what_is_missing():
    with pytest.warns(UserWarning, match="`val_loss` which is not available"):
        fit(linear(), callbacks.EarlyStopping())
    with pytest.raises(ValueError, match="mode='min'"):
        fit(linear(), callbacks.EarlyStopping("something"))
    with pytest.warns(UserWarning, match="unknown"):
        callbacks.EarlyStopping(mode="best")


def test_csv(tmp_path):
    path = tmp_path / "log.csv"
    logger = callbacks.CSVLogger(path, separator=";")
    history = fit(linear(), logger, epochs=2, validation_split=0.2).history
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert list(rows[0]) == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert [float(row["val_loss"]) for row in rows] == history["val_loss"]
    fit(linear(), callbacks.CSVLogger(path, separator=";", append=True))
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert [row["epoch"] for row in rows] == ["0", "1", "0"] and rows[2]["val_loss"] == "NA"


def test_terminate_on_nan(capsys):
    x = X.copy()
    x[20] = np.nan
    history = fit(linear(), callbacks.TerminateOnNaN(), x=x, epochs=3)
    assert np.isnan(history.history["loss"]).tolist() == [True]
    assert "Batch 2: Invalid loss" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="batch 2"):
        fit(linear(), callbacks.TerminateOnNaN(raise_error=True), x=x)


class Crash(callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise RuntimeError("crash")


@pytest.mark.parametrize("save_freq", ["epoch", 2])
@pytest.mark.parametrize("twice", [False, True])
def test_backup_and_restore(tmp_path, save_freq, twice):
    want = linear()
    fit(want, epochs=4)
    folder = tmp_path / "backup"
    # Two backups of an epoch have been made by batch 3 where save_freq is 2.
    with pytest.raises(RuntimeError, match="crash"):
        fit(linear(), callbacks.BackupAndRestore(folder, save_freq, double_checkpoint=twice), Crash(2, 3), epochs=4)
    assert json.loads((folder / "training_metadata.json").read_text())["epoch"] == 2
    model = linear()
    history = fit(model, callbacks.BackupAndRestore(folder, save_freq), epochs=4)
    assert history.epoch == [2, 3] and not folder.exists()
    for a, b in zip(model.get_weights(), want.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert int(model.optimizer.iterations) == 20


def test_swap_ema_weights():
    model = linear()
    model.compile(kcore.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9), "mse")
    history = fit(model, callbacks.SwapEMAWeights(), epochs=2, validation_data=(X, Y))
    assert history.history["val_loss"][0] != history.history["loss"][0]
    with pytest.raises(ValueError, match="use_ema"):
        fit(linear(), callbacks.SwapEMAWeights(), validation_data=(X, Y))


def test_bad_arguments(tmp_path):
    for make in (
        lambda: callbacks.ModelCheckpoint(tmp_path / "a"),
        lambda: callbacks.ModelCheckpoint(tmp_path / "a.keras", save_weights_only=True),
        lambda: callbacks.ModelCheckpoint(tmp_path / "a.keras", save_freq="week"),
        lambda: callbacks.ReduceLROnPlateau(factor=1.0),
        lambda: callbacks.BackupAndRestore(""),
        lambda: callbacks.BackupAndRestore(tmp_path, save_freq="week"),
        lambda: callbacks.LearningRateScheduler(0.1),
        lambda: fit(linear(), callbacks.LearningRateScheduler(lambda epoch: "fast")),
    ):
        with pytest.raises(ValueError):
            make()
    with pytest.raises(KeyError, match="zz"):
        fit(linear(), callbacks.ModelCheckpoint(tmp_path / "{zz}.keras"))


# ---- progress bar


def test_progress_in_a_file_is_a_line_per_epoch(capsys):
    model = linear()
    fit(model, verbose=1, epochs=2, validation_split=0.2)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("Epoch")] == ["Epoch 1/2", "Epoch 2/2"]
    assert len(lines) == 4 and lines[1].startswith("4/4 ━") and "val_loss" in lines[1] and "\r" not in lines[1]
    fit(model, verbose=2)
    line = capsys.readouterr().out.strip()
    assert line.startswith("5/5 - 0s - ") and "/step - loss: " in line and " - mae: " in line
    model.evaluate(X, Y, verbose=1)
    model.predict(X, verbose=2)
    assert [line[:3] for line in capsys.readouterr().out.splitlines()] == ["2/2", "2/2"]
    fit(model, verbose=0)
    model.evaluate(X, Y, verbose=0)
    assert capsys.readouterr().out == ""


def test_progress_in_a_terminal_is_redrawn_now_and_then(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    bar = Progbar(1000, interval=10)
    for _ in range(1000):
        bar.add(1, [("loss", 0.5)])
    shown = capsys.readouterr().out
    assert shown.count("\r") == 2 and shown.endswith("\n")  # the first and the last


def test_progbar_of_unknown_length_and_means(capsys):
    bar = Progbar(None, verbose=2, stateless_metrics=["mean"])
    for i in range(4):
        bar.update(i + 1, [("mean", i), ("last", i)])
    bar.update(4, finalize=True)
    line = capsys.readouterr().out
    assert line.startswith("4/Unknown") and "mean: 1.5000" in line and "last: 3.0000" in line
