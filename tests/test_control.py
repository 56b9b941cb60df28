"""Branches and loops: recorded, they are what they are op by op, gradients, Variables and random numbers included."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

import kcore
from kcore import layers, ops
from kcore.autograd.recorder import RecordingError

X = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
LONG = np.linspace(-1, 1, 60, dtype="float32").reshape(20, 3)


def same(f, *args, tolerance=0.0, runs=3):
    """`f` recorded gives what it gives op by op, in every run; the program of it."""
    recorded = kcore.function(f)
    for i in range(runs):
        given = [a + np.asarray(i, a.dtype) if isinstance(a, np.ndarray) else a for a in args]
        expected = kcore.tree.flatten(f(*map(ops.convert_to_tensor, given)))
        got = kcore.tree.flatten(recorded(*given))
        assert len(got) == len(expected)
        for a, b in zip(got, expected):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=tolerance, atol=tolerance)
    assert len(recorded.programs) == 1
    return str(recorded.programs[0])


def test_cond_chooses_in_every_run():
    f = kcore.function(
        lambda x: ops.cond(ops.sum(x) > 0, lambda: {"y": x * 2, "z": x[0]}, lambda: {"y": -x, "z": x[1]})
    )
    for sign in (1, -1, 1, -1):
        x = sign * np.abs(X)
        got = f(x)
        np.testing.assert_array_equal(got["y"].numpy(), x * 2 if sign > 0 else -x)
        np.testing.assert_array_equal(got["z"].numpy(), x[0] if sign > 0 else x[1])
    text = str(f.programs[0])
    assert len(f.programs) == 1 and "cond(" in text and "\n  true:\n" in text and "\n  false:\n" in text


def test_only_one_branch_runs():
    table = ops.convert_to_tensor(X)
    f = kcore.function(lambda i: ops.cond(i < 4, lambda: ops.take(table, i, axis=0), lambda: ops.zeros(3)))
    for i in (9, 1, 30, 3):
        np.testing.assert_array_equal(f(np.int32(i)).numpy(), X[i] if i < 4 else 0)


@pytest.mark.parametrize("n", [-3, 0, 1, 2, 7])
def test_switch_takes_the_nearest_branch(n):
    def f(i, x):
        return ops.switch(i, [lambda a: a + 1, lambda a: a * 10, lambda a: a], x)

    recorded, expected = kcore.function(f), [X + 1, X * 10, X][min(max(n, 0), 2)]
    for _ in range(2):
        np.testing.assert_array_equal(recorded(np.int32(n), X).numpy(), expected)
        np.testing.assert_array_equal(recorded(np.int32(0), X).numpy(), X + 1)
    np.testing.assert_array_equal(f(n, ops.convert_to_tensor(X)).numpy(), expected)


def test_while_loop_runs_as_often_as_values_say():
    def collatz(n):
        return ops.while_loop(
            lambda n, _: n > 1,
            lambda n, k: (ops.where(n % 2 == 0, n // 2, 3 * n + 1), k + 1),
            (n, ops.zeros((), "int32")),
        )[1]

    f = kcore.function(collatz)
    for n, steps in ((6, 8), (27, 111), (1, 0), (7, 16)):
        assert f(np.int32(n)).item() == collatz(ops.convert_to_tensor(np.int32(n))).item() == steps
    g = kcore.function(lambda n: ops.while_loop(lambda n: n > 0, lambda n: n - 1, n, maximum_iterations=5))
    assert [g(np.int32(n)).item() for n in (3, 50, 0)] == [0, 45, 0]


def test_an_interrupted_loop_changes_nothing(interruptible):
    count = kcore.Variable(np.int32(0))

    @kcore.function
    def add(n):
        count.assign_add(ops.while_loop(lambda i: i < n, lambda i: i + 1, np.int32(0)))

    add(np.int32(3))
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        add(np.int32(2**31 - 1))
    assert count.numpy() == 3
    add(np.int32(4))
    assert count.numpy() == 7


def test_fori_loop_with_bounds_that_are_tensors():
    f = kcore.function(lambda n, x: ops.fori_loop(0, n, lambda i, v: v * 2 + ops.cast(i, "float32"), x))
    for n in (0, 1, 4, 11):
        expected = X
        for i in range(n):
            expected = expected * 2 + np.float32(i)
        np.testing.assert_array_equal(f(np.int32(n), X).numpy(), expected)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [0, 1, 8, 9, 20])
def test_scan(length, reverse):
    w = kcore.Variable(np.float32([0.5, -0.25, 2]))

    def f(x, c):
        def step(carry, x):
            state, count = carry
            state = ops.tanh(state * w + x["a"])
            return (state, count + 1), {"y": state * x["b"], "n": count}

        return ops.scan(step, (c, ops.zeros((), "int32")), {"a": x, "b": x[:, :1]}, reverse=reverse)

    if length:
        same(f, LONG[:length], X[0])
    else:
        carry, _ = kcore.function(f)(LONG[:0], X[0])
        np.testing.assert_array_equal(carry[0].numpy(), X[0])


def test_long_loops_are_one_call():
    text = same(lambda x: ops.scan(lambda c, x: (c + x, c), ops.zeros(3), x), LONG)
    assert text.count(" scan(") == 1 and text.count(" add(") == 1
    assert "  carries=1  slices=1  length=20" in text and "\n  body:\n    %" in text
    text = same(lambda x: ops.scan(lambda c, x: (c + x, c), ops.zeros(3), x), LONG[:5])
    assert " scan(" not in text


def test_map_and_associative_scan():
    same(lambda x: ops.map(lambda r: ops.sum(r) * r, x), LONG)
    same(lambda x: ops.vectorized_map(lambda pair: pair[0] @ pair[1], (x, x + 1)), LONG)
    for n in (1, 2, 3, 7, 8, 20):
        for reverse in (False, True):
            text = same(lambda x: ops.associative_scan(ops.add, x, reverse=reverse), LONG[:n], tolerance=1e-6)  # noqa: B023
            assert "scan(" not in text
            x = LONG[:n, :, None]
            got = ops.associative_scan(lambda a, b: {"m": a["m"] * b["m"]}, {"m": x}, reverse, axis=-3)["m"].numpy()
            expected = np.cumprod(x[::-1], 0)[::-1] if reverse else np.cumprod(x, 0)
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)


def gradient_of(f, *variables):
    """A function that gives the value of f and its gradients with respect to its arguments and the variables."""

    def both(*args):
        args = [a + 0.0 for a in args]
        with kcore.GradientTape() as tape:
            tape.watch(args)
            y = f(*args)
        return y, tape.gradient(y, [*args, *variables], unconnected_gradients="zero")

    return both


def test_gradients_of_branches():
    w = kcore.Variable(np.float32([1, 2, 3]))

    def f(x, y):
        z = ops.exp(y * 0.1)
        first = ops.cond(
            ops.sum(x) > 2, lambda: ops.sum(x * w * z), lambda: ops.sum(x**2) + ops.sum(ops.stop_gradient(z))
        )
        i = ops.cast(ops.sum(x), "int32")
        return first * ops.switch(i, [lambda: ops.sum(y), lambda: ops.sum(w), lambda: ops.sum(z)])

    same(gradient_of(f, w), X[0], X[1], tolerance=1e-6)


def test_gradients_of_what_is_passed_through():
    w = kcore.Variable(np.float32([1, 2, 3]))

    def f(x, y):
        z = ops.cond(ops.sum(x) > 2, lambda: (x, w.value), lambda: (y, x))
        _, ys = ops.scan(lambda c, r: (r, (w, x, c, r)), y, LONG * x)
        return ops.sum(z[0] * 3) + ops.sum(z[1] ** 2) + sum(ops.sum(a**2) for a in ys)

    same(gradient_of(f, w), X[0], X[1], tolerance=1e-5)


def test_gradients_of_loops():
    w = kcore.Variable(np.float32([0.5, -0.25, 2]))
    frozen = kcore.Variable(np.float32([1, 2, 3]), trainable=False)

    def f(x, c):
        scale = ops.exp(c * 0.1)

        def step(carry, x):
            state, count = carry
            state = ops.tanh(state * w + x * scale) + frozen * 0.1
            return (state, count + 1), (state * x, count)

        (state, count), (ys, counts) = ops.scan(step, (c, ops.zeros((), "int32")), x, reverse=True)
        total = ops.fori_loop(0, 12, lambda i, v: v * w * 0.5 + ops.cast(i, "float32") * scale, state)
        products = ops.map(lambda r: ops.sum(r * w), x)
        return (
            ops.sum(ys) + ops.sum(total) + ops.sum(ops.cast(counts, "float32") + ops.cast(count, "float32") * products)
        )

    text = same(gradient_of(f, w, frozen), LONG, X[0], tolerance=2e-5)
    assert text.count(" scan(") == 6


def test_gradients_of_loops_and_branches_in_each_other():
    w = kcore.Variable(np.float32([0.5, -0.25, 2]))

    def f(x, c):
        def step(state, x):
            inner = lambda s, r: (s * 0.5 + ops.sum(r) * w, ops.sum(s * x))  # noqa: E731
            state, ys = ops.scan(inner, state, LONG * 0.1)
            state = ops.cond(ops.sum(x) > 0, lambda: ops.tanh(state * w), lambda: ops.sin(state + c))
            return state, ops.sum(ys)

        state, ys = ops.scan(step, c, x)
        return ops.sum(state) + ops.sum(ys)

    same(gradient_of(f, w), LONG[5:15], X[0], tolerance=5e-5)


def test_gradients_of_gradients():
    w = kcore.Variable(np.float32([0.5, -0.25, 2]))

    def f(x):
        state, ys = ops.scan(lambda c, x: (ops.tanh(c * w + x), c**2), ops.ones(3), x)
        return ops.sum(state) + ops.cond(ops.sum(x) > 0, lambda: ops.sum(ys * x**3), lambda: ops.sum(ys**2))

    def second(x):
        with kcore.GradientTape() as tape:
            tape.watch(x)
            y, (dx, dw) = gradient_of(f, w)(x)
            loss = ops.sum(dx**2) + ops.sum(dw**2)
        return y, tape.gradient(loss, [x, w])

    same(second, LONG, tolerance=2e-4, runs=2)


def test_custom_gradients_are_kept():
    @kcore.custom_gradient
    def double(x):
        return x * 2, lambda dy: dy * 100

    text = same(gradient_of(lambda x: ops.sum(ops.scan(lambda c, r: (c + double(r), None), ops.zeros(3), x)[0])), LONG)
    assert text.count(" scan(") >= 1


def test_a_while_loop_has_no_gradient():
    f = kcore.function(gradient_of(lambda x: ops.sum(ops.while_loop(lambda x: ops.sum(x) < 9, lambda x: x * 2, x))))
    with pytest.raises(RecordingError, match=r"while_loop.*fori_loop"):
        f(np.ones(3, "float32"))


def test_variables_and_random_numbers_in_loops_and_branches():
    def run(wrap):
        total, calls = kcore.Variable(np.zeros(3, "float32")), kcore.Variable(np.int32(0))
        generator = kcore.random.SeedGenerator(7)

        def step(carry, x):
            calls.assign_add(1)
            noise = kcore.random.normal((3,), seed=generator)
            ops.cond(ops.sum(x) > 0, lambda: (total.assign_add(x * noise), x)[1], lambda: x)
            return carry + noise, total * 1.0

        f = wrap(lambda x: ops.scan(step, ops.zeros(3), x))
        results = []
        for i in range(3):
            carry, ys = f(LONG + np.float32(i * 0.1))
            results += [carry.numpy(), ys.numpy(), total.numpy(), calls.numpy(), generator.state.numpy()]
        n = ops.while_loop(lambda k: calls < 70, lambda k: (calls.assign_add(1), k + 1)[1], ops.zeros((), "int32"))
        return [*results, n.numpy(), calls.numpy()]

    for a, b in zip(run(kcore.function), run(lambda f: lambda x: f(ops.convert_to_tensor(x)))):
        np.testing.assert_array_equal(a, b)


def test_dropout_in_a_loop_drops_the_same_in_the_gradient():
    def run(wrap):
        kcore.utils.set_random_seed(3)
        dropout, w = layers.Dropout(0.5, seed=5), kcore.Variable(np.float32([1, 2, 3]))

        @wrap
        def f(x):
            with kcore.GradientTape() as tape:
                y, ys = ops.scan(lambda c, r: (dropout(c * 0.5 + r * w, training=True), c), ops.ones(3), x)
                loss = ops.sum(y) + ops.sum(ys)
            return loss, tape.gradient(loss, w)

        return [[part.numpy() for part in f(ops.convert_to_tensor(LONG))] for _ in range(3)]

    np.testing.assert_allclose(
        np.concatenate([np.ravel(p) for r in run(kcore.function) for p in r]),
        np.concatenate([np.ravel(p) for r in run(lambda f: f) for p in r]),
        rtol=2e-6,
    )


class Skipping(layers.Layer):
    """Halves until small: a loop in a layer, and a branch."""

    def build(self, shape):
        self.dense = layers.Dense(3)
        self.dense.build(shape)

    def call(self, x):
        y = ops.fori_loop(0, 10, lambda i, v: v + 0.1 * ops.tanh(self.dense(v)), x)
        return ops.cond(ops.mean(ops.abs(x)) > 0.5, lambda: y, lambda: y * 2)


def test_layers_with_loops_are_trained_by_recorded_steps():
    x, y = np.random.default_rng(0).normal(size=(64, 3)).astype("float32"), np.ones((64, 3), "float32")
    weights = []
    for eager in (False, True):
        kcore.utils.set_random_seed(1)
        net = kcore.Sequential([kcore.Input((3,)), Skipping(), layers.Dense(3)])
        net.compile("adam", "mse", jit_compile=not eager, run_eagerly=eager)
        net.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
        weights.append(net.get_weights())
    for a, b in zip(*weights):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "f, message",
    [
        (lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: x[0]), "branch's output 0 of shape"),
        (lambda x: ops.cond(ops.sum(x) > 0, lambda: (x, x), lambda: x), "structure|nest"),
        (lambda x: ops.while_loop(lambda v: ops.sum(v) > 0, lambda v: v[0], x), "while_loop.*keep shape"),
        (lambda x: ops.scan(lambda c, r: (ops.cast(c, "int32"), c), x[0], LONG), "scan.*keep.*dtype"),
        (lambda x: ops.scan(lambda c, r: (c, r), x[0], (LONG, X)), "one length"),
        (lambda x: ops.cond(ops.sum(x) > 0, lambda: x if x[0, 0] > 0 else -x, lambda: x), "cond or where for `if`"),
        (lambda x: ops.scan(lambda c, r: (c + float(r[0]), None), x[0], LONG), "value that changes"),
        (lambda x: ops.map(lambda r: kcore.Variable(r) + 1, LONG + x[0]), "variable was made in a loop"),
    ],
)
def test_what_cannot_be_recorded_says_so(f, message):
    w = kcore.Variable(np.float32(1))
    with pytest.raises((ValueError, RecordingError), match=message):
        kcore.function(lambda x: (w.assign_add(1), f(x))[1])(X)
    assert w.numpy() == 1
    np.testing.assert_array_equal(kcore.function(lambda x: x + 1)(X).numpy(), X + 1)  # nobody listens any more


def test_a_tensor_that_leaves_a_loop_is_refused():
    kept = []

    def f(x):
        ops.scan(lambda c, r: (kept.append(c) or c + r, None), x[0], LONG)
        return kept[0] + 1

    with pytest.raises(RecordingError, match="after the function had ended"):
        kcore.function(f)(X)


def test_a_step_that_fails_in_a_loop_changes_nothing():
    w = kcore.Variable(np.int32(0))

    @kcore.function
    def f(table, i):
        def body(k):
            w.assign_add(1)
            return k + ops.cast(ops.take(table, k, axis=0)[0] * 0, "int32") + 1

        return ops.while_loop(lambda k: k < i, body, ops.zeros((), "int32"))

    f(X, np.int32(3))
    with pytest.raises((IndexError, ValueError), match="take"):
        f(X, np.int32(10))
    assert w.numpy() == 3


def test_a_gradient_of_something_else_is_refused():
    state = {"h": None}

    def f(x):
        state["h"] = x * 2
        y = ops.cond(ops.sum(x) > 0, lambda: state["h"] * x, lambda: x)
        state["h"] = y
        return ops.sum(y)

    with pytest.raises(RecordingError, match=r"cond.*does something else"):
        kcore.function(gradient_of(f))(X[1])
    plain = kcore.function(f)  # without a gradient the function is called at once
    assert plain(X[2]).item() == f(ops.convert_to_tensor(X[2])).item()
