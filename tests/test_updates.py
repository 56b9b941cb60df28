"""Recorded steps that write variables over their old values: nobody sees a value change that he holds."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest

import kcore
from kcore import _core, layers, ops
from kcore.autograd.recorder import Recorded
from kcore.autograd.tensor import Tensor

RNG = np.random.default_rng(0)
OPTIMIZERS = ["sgd", "rmsprop", "adam", "adamw", "adadelta", "adagrad", "adamax", "nadam", "ftrl", "lion", "lamb"]


def pointer(variable):
    return variable._value.array.numpy().ctypes.data


def trained(optimizer="adam", width=32, steps=3):
    kcore.utils.set_random_seed(0)
    model = kcore.Sequential([kcore.Input((8,)), layers.Dense(width, "relu"), layers.Dense(3)])
    model.compile(optimizer, "mse")
    x, y = RNG.normal(size=(4, 8)).astype("float32"), RNG.normal(size=(4, 3)).astype("float32")
    for _ in range(steps):
        model.train_on_batch(x, y)
    return model, lambda: model.train_on_batch(x, y)


def optimizer_named(name):
    if name == "sgd":
        return kcore.optimizers.SGD(0.01, momentum=0.9, nesterov=True)
    if name == "adamw":
        return kcore.optimizers.AdamW(use_ema=True, ema_overwrite_frequency=2, clipnorm=1.0, amsgrad=True)
    return kcore.optimizers.get(name)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_and_slots_are_the_same_bit_for_bit(name, monkeypatch):
    values = {}
    for passes in ("", "-updates"):
        monkeypatch.setenv("KCORE_PASSES", passes)
        RNG.bit_generator.state = np.random.default_rng(1).bit_generator.state
        model, step = trained(optimizer_named(name))
        for _ in range(5):
            step()
        values[passes] = [v.numpy() for v in [*model.variables, *model.optimizer.variables]]
    for value, expected in zip(*values.values()):
        np.testing.assert_array_equal(value, expected)


def test_weights_and_slots_stay_where_they_are(monkeypatch):
    model, step = trained()
    variables = [*model.trainable_variables, *(v for v in model.optimizer.variables if v.ndim)]
    before, values = [pointer(v) for v in variables], [v.numpy().copy() for v in variables]
    step()
    assert [pointer(v) for v in variables] == before
    assert not any(np.array_equal(v.numpy(), value) for v, value in zip(variables, values))
    monkeypatch.setenv("KCORE_PASSES", "-updates")
    model, step = trained()
    before = pointer(model.trainable_variables[0])
    step()
    assert pointer(model.trainable_variables[0]) != before


HOLDERS = {
    "numpy": lambda v: v.numpy(),
    "view": lambda v: v._value.array.numpy(),
    "part of a view": lambda v: v._value.array.numpy().reshape(-1)[:1],
    "value": lambda v: v.value,
    "tensor": ops.convert_to_tensor,
    "reshaped": lambda v: ops.reshape(v.value, (-1,)),
    "asarray": np.asarray,
    "dlpack": np.from_dlpack,
    "copy": lambda v: kcore.Variable(v.value),
    "assigned": lambda v: kcore.Variable(ops.zeros(v.shape)).assign(v),
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_what_is_held_does_not_change(hold):
    model, step = trained()
    held = [hold(v) for v in [*model.variables, *model.optimizer.variables]]
    copies = [np.array(h) for h in held]
    for _ in range(3):
        step()
    for value, copy in zip(held, copies):
        np.testing.assert_array_equal(np.array(value), copy)
    assert any((np.array(hold(v)) != copy).any() for v, copy in zip(model.variables, copies))
    del held
    for _ in range(2):  # the first one leaves what was held
        before = pointer(model.variables[0])
        step()
    assert pointer(model.variables[0]) == before


def test_memory_of_others_is_not_written_to():
    """A variable that was given an array of another library holds that library's memory."""
    model, step = trained()
    kernel = model.variables[0]
    others = np.zeros(kernel.shape, "float32")
    kernel.assign(Tensor(_core.from_dlpack(others.__dlpack__())))
    assert pointer(kernel) == others.ctypes.data
    step()
    assert not others.any() and kernel.numpy().any()


def test_weights_of_a_model_and_its_copies():
    model, step = trained()
    weights, copy = model.get_weights(), kcore.models.clone_model(model)
    copy.set_weights(weights)
    expected = [w.copy() for w in weights]
    for _ in range(3):
        step()
    for value, given, want in zip(copy.get_weights(), weights, expected):
        np.testing.assert_array_equal(value, want)
        np.testing.assert_array_equal(given, want)


def test_the_best_weights_are_restored():
    kcore.utils.set_random_seed(0)
    model = kcore.Sequential([kcore.Input((8,)), layers.Dense(3)])
    model.compile(kcore.optimizers.SGD(0.5), "mse")
    x, y = np.ones((4, 8), "float32"), np.ones((4, 3), "float32")
    seen = []
    watch = kcore.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append([w.copy() for w in model.get_weights()]))
    stop = kcore.callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True)
    losses = model.fit(x, y, epochs=8, verbose=0, callbacks=[watch, stop]).history["loss"]
    for value, expected in zip(model.get_weights(), seen[int(np.argmin(losses))]):
        np.testing.assert_array_equal(value, expected)


def test_variables_that_change_values():
    """Old values that another variable takes, that are put out, or that something reads later."""

    def run():
        a, b, c, d, e = (kcore.Variable(np.full(300, float(i + 1), "float32")) for i in range(5))

        def f(x):
            old = a.value
            a.assign(a + x)
            b.assign(b + old * x)  # reads what a held
            c.assign_add(x)
            total = ops.sum(c)  # cannot come last
            d_old = d.value
            d.assign(d * 2.0 + c)
            e.assign_add(x)
            return total, d_old, e.value

        f = Recorded(f)
        results = [[t.numpy().copy() for t in f(ops.full(300, float(i)))] for i in range(4)]
        return [*(r for result in results for r in result), *(v.numpy() for v in (a, b, c, d, e))]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KCORE_PASSES", "-updates,-in_place")
        expected = run()
    for value, want in zip(run(), expected):
        np.testing.assert_array_equal(value, want)


def test_a_step_that_fails_changes_nothing():
    v, w = kcore.Variable(np.ones(500, "float32")), kcore.Variable(np.zeros(10, "float32"))

    def f(x, labels):
        v.assign_add(x)  # recorded before what fails
        loss = ops.sum(ops.sparse_categorical_crossentropy(labels, ops.softmax(ops.reshape(v, (5, 100)))))
        w.assign_add(ops.ones(10))
        return loss

    f = Recorded(f)
    good, bad = (ops.convert_to_tensor(np.array(t, "int32")) for t in ([0, 1, 2, 3, 4], [0, 1, 2, 3, 100]))
    x = ops.ones(500)
    for _ in range(3):
        f(x, good)
    before = v.numpy().copy(), w.numpy().copy(), pointer(w)
    with pytest.raises(ValueError, match="100"):
        f(x, bad)
    np.testing.assert_array_equal(v.numpy(), before[0])
    np.testing.assert_array_equal(w.numpy(), before[1])
    f(x, good)
    assert pointer(w) == before[2] and w.numpy()[0] == 4


@pytest.mark.parametrize("width", [64, 400_000])
def test_threads_that_read_while_others_train(width):
    """Weights of one step, all of them, whenever they are read: long updates do not hold Python's lock."""
    parts = [kcore.Variable(np.zeros(width, "float32"), name=f"part{i}") for i in range(6)]

    def step(x):
        for part in parts:
            part.assign_add(x)

    train, read = Recorded(step), Recorded(lambda x: tuple(ops.sum(p * x) for p in parts))
    one = ops.ones(())
    weight = ops.ones(width) / width
    for _ in range(2):
        train(one), read(weight)
    done, wrong, held = threading.Event(), [], []

    def reader():
        last = 0.0
        while not done.is_set():
            sums = [round(float(s), 2) for s in read(weight)]
            view = parts[0]._value.array.numpy()
            first = view[0]
            if len(set(sums)) != 1 or sums[0] < last or (view != first).any() or float(parts[5].numpy()[-1]) < first:
                wrong.append(sums)
            held.append((view, first))
            del held[:-3]
            wrong.extend(view[0] for view, first in held if (view != first).any())
            last = sums[0]

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for t in threads:
        t.start()
    for _ in range(40):
        train(one)
    done.set()
    for t in threads:
        t.join()
    assert not wrong
    assert parts[0].numpy()[0] == 42


def test_a_value_that_is_replaced_while_a_step_runs():
    """The step alone shares it then with who holds it; the step comes last, as ever."""
    v, x = kcore.Variable(np.ones((300, 300), "float32")), ops.ones((300, 300))

    def step(x):
        y = x
        for _ in range(100):
            y = ops.matmul(y, x) / 300.0
        v.assign_add(y)

    train = Recorded(step)
    for _ in range(2):
        train(x)
    thread = threading.Thread(target=train, args=(x,))
    thread.start()
    time.sleep(0.01)
    held = v.value
    v.assign(ops.zeros((300, 300)))
    copy = held.numpy().copy()
    thread.join()
    np.testing.assert_array_equal(held.numpy(), copy)


def test_several_threads_train():
    """Each step is whole: of two that began with the same weights one's is lost, as ever."""
    parts = [kcore.Variable(np.zeros(300_000 if i else 10, "float32")) for i in range(8)]

    def step(x):
        for part in parts:
            part.assign_add(x)

    train = Recorded(step)
    train(ops.ones(()))
    threads = [threading.Thread(target=lambda: [train(ops.ones(())) for _ in range(25)]) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not any(t.is_alive() for t in threads)
    values = {float(v) for part in parts for v in (part.numpy().min(), part.numpy().max())}
    assert len(values) == 1 and 26 <= values.pop() <= 101


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_process_finds_whole_weights():
    parts = [kcore.Variable(np.zeros(1_000_000, "float32")) for _ in range(4)]

    def step(x):
        for part in parts:
            part.assign_add(x)

    train = Recorded(step)
    for _ in range(2):
        train(ops.ones(()))
    stop = threading.Event()

    def work():
        while not stop.is_set():
            train(ops.ones(()))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                signal.alarm(30)
                values = {float(v) for p in parts for v in np.unique(p._value.array.numpy())}
                os._exit(0 if len(values) == 1 else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()
