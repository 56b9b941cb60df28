"""kcore.function: what is recorded, when again, and what is refused."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import kcore
from kcore import layers, ops
from kcore.autograd.recorder import RecordingError

X = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)


def test_nests_arrays_and_keywords_are_inputs():
    calls = []

    @kcore.function
    def f(pair, *, scale, table=None):
        calls.append(1)
        a, b = pair
        return {"y": a * scale + b["c"], "table": table}

    for k in (1.0, 2.0, 3.0):
        got = f((X * k, {"c": ops.ones(3)}), scale=np.float32(k), table=None)
        np.testing.assert_array_equal(got["y"].numpy(), X * np.float32(k) * np.float32(k) + 1)
        assert got["table"] is None
    assert len(calls) == len(f.programs) == 1


def test_what_is_no_array_is_part_of_the_kind():
    @kcore.function
    def f(x, mode, n=0.0):
        return x + 1 / n if mode == "divide" else x * n

    for n in (2.0, 4.0, 2.0):
        assert f(np.float32(1), "times", n).item() == n
        assert f(np.float32(1), "divide", n=n).item() == 1 + 1 / n
    assert len(f.programs) == 4
    zero = kcore.function(lambda x, n: x * n)
    signs = [np.signbit(zero(np.float32(1), n).numpy()) for n in (0.0, -0.0, 0.0, -0.0)]
    assert signs == [False, True, False, True]
    for _ in range(3):
        assert np.isnan(zero(np.float32(1), float("nan")).item())
    assert len(zero.programs) == 3


def test_arguments_that_cannot_be_told_apart_are_refused():
    f = kcore.function(lambda x, names: x)
    with pytest.raises(TypeError, match=r"hashable.*set"):
        f(X, {"a"})


class Counter:
    def __init__(self, start):
        self.total = kcore.Variable(np.float32(start))

    @kcore.jit
    def add(self, x, twice=False):
        """Adds."""
        self.total.assign_add(ops.sum(x) * (2 if twice else 1))
        return self.total + 0.0


def test_methods_belong_to_their_instance():
    a, b = Counter(0), Counter(10)
    for i in range(1, 4):
        assert a.add(np.float32(1)).item() == i
        assert b.add(np.float32(1), twice=True).item() == 10 + 2 * i
    assert len(a.add.programs) == len(b.add.programs) == 1
    assert a.add.__doc__ == "Adds." and "add" in repr(a.add)
    gone = weakref.ref(b)
    del b
    gc.collect()
    assert gone() is None


def test_training_by_hand_is_what_it_is_op_by_op():
    def train(wrap):
        kcore.utils.set_random_seed(3)
        net = kcore.Sequential([kcore.Input((3,)), layers.Dense(8, "tanh"), layers.Dropout(0.5), layers.Dense(1)])
        optimizer = kcore.optimizers.Adam(0.01)
        optimizer.build(net.trainable_variables)

        @wrap
        def step(x, y):
            with kcore.GradientTape() as tape:
                loss = ops.mean(ops.square(net(x, training=True) - y))
            optimizer.apply(tape.gradient(loss, net.trainable_variables), net.trainable_variables)
            return loss

        losses = [step(X + i, X[:, :1]).numpy() for i in range(5)]
        return losses, [v.numpy() for v in net.variables + optimizer.variables]

    recorded, eager = train(kcore.function), train(lambda f: f)
    np.testing.assert_array_equal(recorded[0], eager[0])
    for a, b in zip(recorded[1], eager[1]):
        np.testing.assert_array_equal(a, b)


def test_a_tape_outside_hears_every_op():
    f = kcore.function(lambda x: ops.sum(x**3))
    x = ops.convert_to_tensor(X)
    for _ in range(2):
        f(x)
        np.testing.assert_allclose(kcore.grad(f)(x).numpy(), 3 * X**2, rtol=1e-6)
    assert len(f.programs) == 1


def test_recorded_functions_nest():
    inner = kcore.function(lambda x: x * 2)
    outer = kcore.function(lambda x: inner(x) + inner(x + 1))
    for _ in range(2):
        np.testing.assert_array_equal(outer(X).numpy(), X * 2 + (X + 1) * 2)
    assert len(outer.programs) == 1 and not inner.programs


def test_a_recorded_function_can_be_part_of_a_model():
    double = kcore.function(lambda x: x * 2)
    inputs = kcore.Input((3,))
    model = kcore.Model(inputs, layers.Lambda(double)(inputs))
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(X, verbose=0), X * 2)


@pytest.mark.parametrize(
    "look, way",
    [(lambda x: x.numpy(), "numpy.*outside"), (lambda x: x if ops.sum(x) > 0 else -x, "cond or where for `if`")],
)
def test_looking_at_a_value_names_the_way_out(look, way):
    with pytest.raises(RecordingError, match=way):
        kcore.function(look)(X)


def test_variables_are_made_once():
    kept = []

    @kcore.function
    def once(x):
        if not kept:
            kept.append(kcore.Variable(np.float32(1)))
        return kept[0].assign_add(x) * 1.0

    assert [once(np.float32(1)).item() for _ in range(3)] == [2, 3, 4]
    always = kcore.function(lambda x: kcore.Variable(x) * 2)
    always(X)
    with pytest.raises(RecordingError, match="made a Variable in its second call"):
        always(X)


def test_copies_and_pickles_record_anew():
    f = kcore.function(_double)
    f(X)
    for again in (copy.deepcopy(f), pickle.loads(pickle.dumps(f))):
        assert not again.programs
        np.testing.assert_array_equal(again(X).numpy(), X * 2)


def _double(x):
    return x * 2


def test_the_log_says_why(monkeypatch):
    lines = []
    monkeypatch.setattr("kcore._core.log", lambda topic, message: lines.append(f"{topic} {message}"))
    w = kcore.Variable(np.ones(3, "float32"), name="w")

    @kcore.function
    def f(x, mode="a"):
        return x * w

    f(X), f(X)
    assert len(lines) == 1 and "f: recorded 1 calls of ops; 0 B of memory for values of 0 B: first call" in lines[0]
    f(X[:2])
    assert lines[-1].endswith("x is (2, 3) float32, was (4, 3) float32")
    f(X, mode="b"), f(X, mode="c")
    assert lines[-1].endswith("mode is 'c', was 'b'")
    w.trainable = False
    f(X)
    assert "trainable of w was set to False" in lines[-1]


def test_outputs_keep_their_nest():
    @kcore.function
    def f(x):
        return {"b": x, "a": [x + 1, (None, "text", {"z": x * 2, "c": x * 3})]}, ()

    for i in range(3):
        (got, empty), x = f(X + i), X + np.float32(i)
        assert list(got) == ["b", "a"] and empty == () and got["a"][1][:2] == (None, "text")
        parts = [got["b"], got["a"][0], got["a"][1][2]["z"], got["a"][1][2]["c"]]
        for a, b in zip(parts, (x, x + 1, x * 2, x * 3)):
            np.testing.assert_array_equal(a.numpy(), b)


def test_a_placeholder_passes_through():
    f = kcore.function(lambda x: x * 2)
    assert f(kcore.Input((3,))).shape == (None, 3) and not f.programs
