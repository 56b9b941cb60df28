"""Batches of arrays: every dtype, layout and order, against NumPy's indexing."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time

import numpy as np
import pytest

import kcore
from kcore import _core, layers, ops
from kcore.models.trainer.data import ArrayData, arrays

RNG = np.random.default_rng(0)
DTYPES = {
    "bool": "bool", "uint8": "uint8", "int8": "int32", "int16": "int32", "uint16": "int32", "int32": "int32",
    "uint32": "uint32", "int64": "int64", "uint64": "int64", "float16": "float32", "float32": "float32",
    "float64": "float32", ">f4": "float32", ">f8": "float32", ">i2": "int32", ">i8": "int64",
}  # fmt: skip


def numbers(dtype, shape=(23, 3, 2)):
    x = RNG.normal(size=shape) * 50
    return (np.abs(x) if np.dtype(dtype).kind == "u" else x).astype(dtype)


LAYOUTS = {
    "as it is": lambda x: x,
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x: x[::-1],
    "columns first": np.asfortranarray,
    "every other column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "one row many times": lambda x: np.broadcast_to(x[:1], x.shape),
    "read only": lambda x: (x.setflags(write=False), x)[1],
    "not aligned": lambda x: np.frombuffer(b"1" + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_batches_are_the_rows(dtype, layout):
    x = LAYOUTS[layout](numbers(dtype))
    for shuffle in (False, True, "batch"):
        kcore.utils.set_random_seed(3)
        got = [np.asarray(b) for b, _, _ in ArrayData("fit", x, batch_size=5, shuffle=shuffle)]
        np.random.seed(3)
        if shuffle == "batch":
            want = [x[5 * i : 5 * i + 5] for i in np.random.permutation(5)]
        else:
            order = np.random.permutation(23) if shuffle else np.arange(23)
            want = [x[order[i : i + 5]] for i in range(0, 23, 5)]
        assert [g.shape for g in got] == [w.shape for w in want]
        for g, w in zip(got, want):
            assert g.dtype == DTYPES[dtype]
            np.testing.assert_array_equal(g, w.astype(DTYPES[dtype]))


def test_nests_keep_their_form():
    a, b, y = numbers("float32"), numbers("int32", (23,)), numbers("float64", (23, 1))
    for x in ([a], [a, None, b], {"b": b, "a": [a]}):
        first, _, _ = next(iter(ArrayData("fit", x, y, batch_size=4)))
        assert kcore.tree.flatten(first)[0].shape == (4, 3, 2)
        assert type(first) is type(x) and len(kcore.tree.flatten(first)) == len(kcore.tree.flatten(x))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_large_batches_are_shared_out(threads):
    before = _core.num_threads()
    x = RNG.normal(size=(64, 100, 100))
    order = RNG.permutation(64)
    _core.set_num_threads(threads)
    try:
        starts = _core.parallel_starts()
        got = [a.numpy() for (a,) in _core.Batches([x], True, 40, np.array([0, 40]), order)]
        assert (_core.parallel_starts() > starts) == (threads > 1)
    finally:
        _core.set_num_threads(before)
    np.testing.assert_array_equal(np.concatenate(got), x[order].astype("float32"))


def large(batches=6):
    x = RNG.normal(size=(40 * batches, 80, 50))
    order = RNG.permutation(len(x))
    return x, order, _core.Batches([x, x[:, 0, 0]], True, 40, np.arange(0, len(x), 40), order, True)


def threads():
    """Those of this process, the pool of OpenMP included; one that has ended may be listed for a moment more."""
    ops.matmul(ops.ones((300, 300)), ops.ones((300, 300)))
    time.sleep(0.05)
    return len(os.listdir("/proc/self/task"))


linux = pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="the system does not tell about threads")


@linux
def test_batches_gathered_ahead_are_the_same():
    x, order, batches = large()
    before = threads()
    for i, (a, b) in enumerate(batches):
        rows = order[40 * i : 40 * i + 40]
        np.testing.assert_array_equal(a.numpy(), x[rows].astype("float32"))
        np.testing.assert_array_equal(b.numpy(), x[rows, 0, 0].astype("float32"))
    assert i == 5 and threads() == before


@linux
@pytest.mark.parametrize("taken", [0, 1, 3])
def test_dropped_batches_leave_no_thread(taken):
    before = threads()
    *_, batches = large()
    for _ in range(taken):
        next(batches)
    del batches
    assert threads() == before


def test_a_forked_child_goes_on_with_the_batches():
    x, order, batches = large()
    next(batches)
    child = os.fork()
    if child == 0:
        got = [a.numpy() for a, _ in batches]
        same = np.array_equal(np.concatenate(got), x[order[40:]].astype("float32"))
        del batches
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(list(batches)) == 5


@linux
def test_fit_gathers_ahead_where_a_cpu_is_idle(monkeypatch):
    x, y = RNG.normal(size=(60, 30000)), RNG.integers(0, 2, 60)
    made = []

    def spy(*arguments):
        made.append(arguments[-1])
        return _core.Batches(*arguments)

    monkeypatch.setattr(arrays, "Batches", spy)
    weights = []
    for spare in (True, False):
        monkeypatch.setattr(arrays, "has_spare_cpu", lambda spare=spare: spare)
        kcore.utils.set_random_seed(1)
        model = kcore.Sequential([kcore.Input((30000,)), layers.Dense(2, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(x, y, batch_size=16, epochs=2, verbose=0)
        weights.append(model.get_weights())
    assert made == [True, True, False, False]
    np.testing.assert_array_equal(weights[0][0], weights[1][0])

    class Interrupt(kcore.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    before = threads()
    monkeypatch.setattr(arrays, "has_spare_cpu", lambda: True)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=16, verbose=0, callbacks=[Interrupt()])
    gc.collect()
    assert threads() == before


def test_leaving_in_the_midst_of_batches_is_clean():
    code = """
import numpy as np
from kcore import _core
x = np.zeros((400, 5000))
batches = _core.Batches([x], True, 100, np.arange(0, 400, 100), None, True)
next(batches)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")


def test_wrong_numbers_of_rows_are_errors():
    x = np.zeros((4, 2), "float32")
    for starts, order in (([4], None), ([-1], None), ([0], [0, 1, 2, 4]), ([0], [0, 1])):
        with pytest.raises(ValueError, match="rows below 4"):
            _core.Batches([x], True, 2, np.array(starts), order if order is None else np.array(order))
    with pytest.raises(ValueError, match="arrays of 4 rows"):
        _core.Batches([x, x[:3]], True, 2, np.array([0]))
    with pytest.raises(ValueError, match="one after the other"):
        _core.Batches([np.zeros((4, 4), "float32")[:, ::2]], True, 2, np.array([0]))


class Counting(kcore.metrics.Metric):
    """Has state that is no Variable."""

    def __init__(self):
        super().__init__(name="count")
        self.looks = 0

    def update_state(self, y_true, y_pred, sample_weight=None):
        pass

    def result(self):
        self.looks += 1
        return kcore.ops.convert_to_tensor(float(self.looks))


def test_results_of_own_metrics_are_not_recorded():
    x, y = numbers("float32", (12, 3)), np.zeros((12, 1), "float32")
    model = kcore.Sequential([kcore.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[Counting(), "mae"])
    history = model.fit(x, y, epochs=3, batch_size=4, verbose=0).history
    assert history["count"] == [1, 2, 3]
    assert len(set(history["mae"])) == len(set(history["loss"])) == 3
