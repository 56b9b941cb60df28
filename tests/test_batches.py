"""Batches of arrays: every dtype, layout and order, against NumPy's indexing."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import _core, layers
from kcore.models.trainer.data import ArrayData

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
