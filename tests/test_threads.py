"""Threads: results do not depend on their number, small work starts none, Python threads do not disturb each other."""

from __future__ import annotations

import dataclasses
import functools
import math
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import kcore
from kcore import _core, layers, ops
from kcore.autograd import apply, convert_to_tensor
from op_cases import CASES, FAMILIES

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))

from calls import prepare
from rows import Row, read


@pytest.fixture(autouse=True)
def keep_thread_count():
    before = _core.num_threads()
    yield
    _core.set_num_threads(before)


def bits(arrays):
    return [None if a is None else a.tobytes() for a in arrays]


# --- the number of threads ------------------------------------------------------------------------------------------------


@functools.cache
def rows_worth_threads() -> dict[str, Row]:
    """For each op, and each gradient of it, the smallest shapes of bench/shapes with 250,000 elements or more.

    In float32, and in bfloat16.
    """

    def size(row: Row) -> int:
        return sum(math.prod(s) for s in row.shapes if s is not None) + math.prod(dict(row.attrs).get("shape", [0]))

    best: dict[str, Row] = {}
    for row in read():
        key = (size(row) < 250_000, abs(size(row)))
        old = best.get(row.title)
        if row.what != "both" and (old is None or key < (size(old) < 250_000, size(old))):
            best[row.title] = row
    halves = [dataclasses.replace(row, dtype="bfloat16") for row in best.values()]
    return {row.title: row for row in halves} | best


# Too little work for threads in all models, or one that cannot be shared out.
SERIAL = {"one_hot", "slice_update"}


@pytest.mark.parametrize("title", rows_worth_threads())
def test_any_number_of_threads_gives_the_same_bits(title):
    row = rows_worth_threads()[title]
    call = prepare(row)
    results, starts = [], []
    for threads in (1, 2, 3, 7):
        _core.set_num_threads(threads)
        before = _core.parallel_starts()
        results.append(bits(call.outputs()))
        starts.append(_core.parallel_starts() - before)
    assert results[1:] == results[:1] * 3
    assert starts[0] == 0
    assert row.op in SERIAL or min(starts[1:]) > 0, "this test could not fail"


def is_small(case) -> bool:
    """Whether a call takes a microsecond or two: little data, and no long sums or expensive functions of it."""
    if FAMILIES[case.op] == "rnn":  # shares out the rows of a batch, however few the steps
        return False
    return (
        case.flops is None
        and sum(x.size for x in case.inputs if x is not None) <= 2000
        and case.op != "random_binomial"
    )


@pytest.mark.parametrize("case", [*filter(is_small, CASES)], ids=str)
def test_small_work_stays_on_the_calling_thread(case):
    inputs = [None if x is None else convert_to_tensor(x) for x in case.arrays("float32")]
    _core.set_num_threads(7)
    before = _core.parallel_starts()
    apply(case.op, inputs, case.attrs)
    assert _core.parallel_starts() == before


# --- Python threads -------------------------------------------------------------------------------------------------------


def together(*work: Callable[[], object]) -> list[object]:
    """The results of functions that run in a thread each and start at the same time."""
    results: list[object] = [None] * len(work)
    gate = threading.Barrier(len(work))

    def run(i: int) -> None:
        gate.wait()
        results[i] = work[i]()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(work))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


@pytest.mark.parametrize("count", [2, 7])
def test_eight_python_threads_call_every_op(count):
    _core.set_num_threads(count)
    calls = [(case, [None if x is None else convert_to_tensor(x) for x in case.arrays("float32")]) for case in CASES]

    def run(first: int) -> dict[int, list[bytes]]:
        results = {}
        for k in range(len(calls)):
            i = (first + k) % len(calls)  # each thread is elsewhere in the table
            ys = apply(calls[i][0].op, calls[i][1], calls[i][0].attrs)
            results[i] = [np.asarray(y).tobytes() for y in (ys if isinstance(ys, tuple) else (ys,))]
        return results

    alone = run(0)
    for results in together(*(functools.partial(run, i * len(calls) // 8) for i in range(8))):
        different = [str(calls[i][0]) for i in alone if results is None or results[i] != alone[i]]
        assert not different


def test_eight_python_threads_share_the_cores_on_large_work():
    rows = [Row(op, "y", shapes, attrs) for op, shapes, attrs in LARGE]
    calls = [prepare(row) for row in rows]
    alone = [bits(call.outputs()) for call in calls]
    results = together(*(lambda call=call: [bits(call.outputs()) for _ in range(3)] for call in calls))
    assert results == [[one] * 3 for one in alone]


LARGE = [
    ("matmul", ((300, 400), (400, 500)), ()),
    ("conv", ((4, 28, 28, 32), (3, 3, 32, 32)), (("pads", 1),)),
    ("conv", ((4, 28, 28, 32), (3, 3, 1, 32)), (("groups", 32),)),
    ("lstm", ((32, 20, 64), (32, 64), (32, 64), (64, 256), (64, 256), (256,), None), ()),
    ("batch_norm_train", ((64, 20, 20, 32), (32,), (32,)), ()),
    ("softmax", ((2000, 300),), ()),
    ("sum", ((2000, 300),), (("axes", [0]),)),
    ("sort", ((200, 3000),), ()),
]


def model(seed: int) -> kcore.Model:
    kcore.utils.set_random_seed(seed)
    net = kcore.Sequential(
        [
            kcore.Input((12, 12, 3)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Dropout(0.3, seed=seed),
            layers.Reshape((5, 80)),
            layers.LSTM(20),
            layers.Dense(4, activation="softmax"),
        ]
    )
    net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return net


X = np.random.default_rng(0).normal(size=(96, 12, 12, 3)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 4, 96)


def train(net: kcore.Model) -> list[bytes]:
    history = net.fit(X, LABELS, epochs=2, batch_size=32, shuffle=False, verbose=0)
    losses = np.array(history.history["loss"])
    return bits([*net.get_weights(), losses, net.predict(X, verbose=0)])


def test_models_train_in_threads_as_they_do_alone():
    alone = [train(model(seed)) for seed in (1, 2, 3)]
    assert alone[0] != alone[1]
    nets = [model(seed) for seed in (1, 2, 3)]
    assert together(*(functools.partial(train, net) for net in nets)) == alone


def test_a_model_predicts_in_threads_while_another_trains():
    net, other = model(1), model(2)
    want, trained = bits([net.predict(X, verbose=0)]), train(model(2))
    predict = functools.partial(lambda: [bits([net.predict(X, verbose=0)]) for _ in range(5)])
    first, second, weights = together(predict, predict, functools.partial(train, other))
    assert first == second == [want] * 5
    assert weights == trained


def test_gradients_in_threads():
    w = kcore.Variable(np.ones((40, 40), "float32"))

    def gradient(scale: float) -> list[bytes]:
        for _ in range(20):
            with kcore.GradientTape() as tape:
                loss = ops.sum(ops.square(ops.matmul(X[0, :, :, 0] * scale, w[:12])))
            g = tape.gradient(loss, w)
        return bits([g.numpy()])

    alone = [gradient(s) for s in (1.0, 2.0, 3.0, 4.0)]
    assert together(*(functools.partial(gradient, s) for s in (1.0, 2.0, 3.0, 4.0))) == alone
