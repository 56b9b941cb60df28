"""Many calls, many models, many threads: no growth, right answers; the same weights however steps are run."""

from __future__ import annotations

import gc
import hashlib
import itertools
import os
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

import kcore
from kcore import _core, layers, ops

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def keep_thread_count():
    before = _core.num_threads()
    yield
    _core.set_num_threads(before)


# ---- memory


class Memory:
    """What this process holds: resident bytes, bytes of live arrays, objects that Python tracks."""

    def __init__(self):
        while gc.collect():  # what one pass frees may let go of more
            pass
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.resident = pages * os.sysconf("SC_PAGESIZE")
        self.arrays = _core.memory_stats()["in_use"]
        self.objects = len(gc.get_objects())


def small(units=8):
    model = kcore.Sequential(
        [kcore.Input((4,)), layers.Dense(units, activation="relu"), layers.Dropout(0.1), layers.Dense(3)]
    )
    model.compile("adam", kcore.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell how much memory is used")
def test_predicting_does_not_take_memory():
    # Twice 10,000 calls of each kind, in four seconds; a leak of one small object in each would be half a megabyte.
    model, x = small(), RNG.normal(size=(7, 4)).astype("float32")

    def predict(calls):
        for _ in range(calls):
            model.predict(x[:1], verbose=0)
            model.predict_on_batch(x)
            model(x[:2])

    predict(1000)
    seen = [Memory()]
    for _ in range(2):
        predict(10_000)
        seen.append(Memory())
    assert seen[-1].arrays - seen[0].arrays < 1 << 20
    assert seen[-1].objects - seen[0].objects < 100
    # The least of both: memory that tests before this one have given back may be taken again.
    assert min(b.resident - a.resident for a, b in itertools.pairwise(seen)) < 1 << 19


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell how much memory is used")
def test_models_that_are_dropped_leave_nothing():
    x, y = RNG.normal(size=(8, 4)).astype("float32"), np.zeros(8, "int32")
    dropped = []

    def train(models):
        for _ in range(models):
            model = small(units=2000)
            model.train_on_batch(x, y)
            model.train_on_batch(x, y)
            dropped.append(weakref.ref(model))

    train(10)
    before = Memory()
    train(100)
    after = Memory()
    assert all(model() is None for model in dropped)
    # The weights of one are 64 KB, its optimizer's state twice that. A thread that has its first work keeps scratch.
    assert after.arrays - before.arrays < 3 << 20
    assert after.objects - before.objects < 1000
    assert after.resident - before.resident < 8 << 20


# ---- threads


def test_eight_threads_predict_on_one_model():
    model = kcore.Sequential(
        [
            kcore.Input((12, 12, 3)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    inputs = [RNG.normal(size=(32, 12, 12, 3)).astype("float32") for _ in range(8)]
    alone = [model.predict_on_batch(x) for x in inputs]
    recorded = sum(len(step.programs) for _, step in model._recorded._steps.values())
    arenas = sum(program.arena_bytes for _, step in model._recorded._steps.values() for program in step.programs)

    def round_of(calls):
        wrong, gate = [], threading.Barrier(8)

        def predict(i):
            gate.wait()
            for k in range(calls):
                n = (i + k) % 8
                got = model.predict_on_batch(inputs[n]) if k % 2 else model.predict(inputs[n], verbose=0)
                if not np.array_equal(got, alone[n]):
                    wrong.append((i, k))

        threads = [threading.Thread(target=predict, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return wrong

    assert round_of(5) == []
    before = Memory()
    assert round_of(60) == []
    after = Memory()
    # A context for each thread that ran at the same time as others.
    assert after.arrays - before.arrays <= 8 * (arenas + (1 << 20))
    assert sum(len(step.programs) for _, step in model._recorded._steps.values()) == recorded


def test_threads_that_come_first_record_once():
    model, x = small(), RNG.normal(size=(5, 4)).astype("float32")
    gate, results = threading.Barrier(8), [None] * 8

    def predict(i):
        gate.wait()
        results[i] = model.predict_on_batch(x)

    threads = [threading.Thread(target=predict, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    model.predict_on_batch(x)
    assert all(np.array_equal(result, results[0]) for result in results)
    assert [len(step.programs) for _, step in model._recorded._steps.values()] == [1]


# ---- the same weights, bit for bit


def dense():
    return (784,), [layers.Dense(300, activation="relu"), layers.Dropout(0.3), layers.Dense(10)]


def convolutional():
    return (16, 16, 3), [
        layers.RandomFlip(),
        layers.Conv2D(24, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.SeparableConv2D(32, 3, activation="gelu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10),
    ]


def recurrent():
    return (20, 24), [
        layers.Bidirectional(layers.LSTM(40, return_sequences=True, recurrent_dropout=0.1)),
        layers.GRU(32),
        layers.Dense(10, kernel_regularizer="l2"),
    ]


class Attend(layers.Layer):
    def __init__(self):
        super().__init__()
        self.attention, self.norm = layers.MultiHeadAttention(4, 16), layers.LayerNormalization()

    def call(self, x):
        return ops.mean(self.norm(x + self.attention(x, x, use_causal_mask=True)), axis=1)


def attention():
    return (32,), [layers.Embedding(500, 64), Attend(), layers.Dense(10)]


def weights_after_50_steps(parts, threads, eager, optimizer):
    _core.set_num_threads(threads)
    kcore.utils.set_random_seed(7)
    shape, stack = parts()
    tokens = len(shape) == 1 and isinstance(stack[0], layers.Embedding)
    rng = np.random.default_rng(1)
    x = rng.integers(0, 500, (150, *shape)) if tokens else rng.normal(size=(150, *shape)).astype("float32")
    y = rng.integers(0, 10, 150)
    model = kcore.Sequential([kcore.Input(shape, dtype="int32" if tokens else "float32"), *stack])
    loss = kcore.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], run_eagerly=eager)
    history = model.fit(x, y, epochs=10, batch_size=32, verbose=0).history  # five steps, the last of 22 samples
    assert history["loss"][-1] < history["loss"][0]
    values = [v.numpy().tobytes() for v in model.variables + model.optimizer.variables]
    return hashlib.sha256(b"".join([*values, repr(history).encode()])).hexdigest()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("parts", [dense, convolutional, recurrent, attention], ids=lambda parts: parts.__name__)
def test_weights_do_not_depend_on_threads_or_recording(parts, optimizer):
    starts = _core.parallel_starts()
    results = {
        (threads, eager): weights_after_50_steps(parts, threads, eager, optimizer)
        for threads in (1, 2, 4)
        for eager in (False, True)
    }
    assert len(set(results.values())) == 1, results
    assert _core.parallel_starts() > starts, "this test could not fail"
