"""Branches and loops, op by op and recorded, against Keras: values, and gradients where JAX has them."""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")
jax = pytest.importorskip("jax")

import kcore  # noqa: E402

X = np.linspace(-1, 1.2, 36, dtype="float32").reshape(12, 3)
C = np.float32([0.5, -0.25, 2])


def cond(k, x, c):
    return k.cond(k.sum(x) > 0, lambda: k.sum(x * c), lambda: k.sum(x**2 + c))


def switch(k, x, c):
    i = k.cast(k.sum(c) * 3, "int32")
    return k.switch(
        i, [lambda a, b: k.sum(a * b), lambda a, b: k.sum(a) + k.sum(b**2), lambda a, b: k.sum(k.sin(a) * b)], x, c
    )


def scan(k, x, c):
    carry, ys = k.scan(lambda s, r: (k.tanh(s * c + r), {"y": s * r}), c, x)
    return k.sum(carry) + k.sum(ys["y"] * x)


def scan_reverse(k, x, c):
    (carry, n), ys = k.scan(
        lambda s, r: ((s[0] * 0.9 + r[0] * r[1], s[1] + 1), s[0]), (c, k.zeros((), "int32")), (x, x * 2), reverse=True
    )
    return k.sum(carry * k.cast(n, "float32")) + k.sum(ys[3] * c)


def scan_of_nothing(k, x, c):
    carry, ys = k.scan(lambda s, _: (s * c, k.sum(s)), k.sum(x, axis=0), length=12)
    return k.sum(carry) + k.sum(ys)


def fori_loop(k, x, c):
    return k.sum(k.fori_loop(0, 11, lambda i, v: v * 0.5 + c * k.cast(i, "float32") + k.sin(v), x))


def mapped(k, x, c):
    return k.sum(k.map(lambda r: k.sum(r * c) * r, x))


def vectorized(k, x, c):
    return k.sum(k.vectorized_map(lambda r: k.sum(r * c) ** 2, x))


def partial_products(k, x, c):
    return k.sum(k.associative_scan(k.multiply, x * c + 1) * x) + k.sum(
        k.associative_scan(k.add, x, reverse=True, axis=1) * c
    )


def nested(k, x, c):
    def step(s, r):
        s = k.cond(k.sum(s) > 0, lambda: k.tanh(s * r), lambda: s + r)
        s = k.fori_loop(0, 9, lambda i, v: v * 0.9 + c * 0.01, s)
        return s, k.sum(s)

    s, ys = k.scan(step, c, x)
    return k.sum(s) + k.sum(ys)


DIFFERENTIABLE = [
    cond, switch, scan, scan_reverse, scan_of_nothing, fori_loop, mapped, vectorized, partial_products, nested,
]  # fmt: skip


@pytest.mark.parametrize("f", DIFFERENTIABLE, ids=lambda f: f.__name__)
def test_values_and_gradients(f):
    recorded = kcore.function(kcore.value_and_grad(lambda x, c: f(kcore.ops, x, c), argnums=(0, 1)))
    oracle = jax.jit(jax.value_and_grad(lambda x, c: f(keras.ops, x, c), argnums=(0, 1)))
    for shift in (0.0, -0.3, 0.4):
        x, c = X + np.float32(shift), C - np.float32(shift)
        value, grads = recorded(x, c)
        expected, expected_grads = oracle(x, c)
        eager = f(kcore.ops, kcore.ops.convert_to_tensor(x), kcore.ops.convert_to_tensor(c))
        np.testing.assert_allclose(value.numpy(), expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(eager.numpy(), expected, rtol=1e-5, atol=1e-5)
        for got, want in zip(grads, expected_grads):
            np.testing.assert_allclose(got.numpy(), want, rtol=1e-4, atol=1e-4)
    assert len(recorded.programs) == 1


def collatz(k, n):
    more = lambda n, steps: n > 1  # noqa: E731
    step = lambda n, steps: (k.where(n % 2 == 0, n // 2, 3 * n + 1), steps + 1)  # noqa: E731
    return k.while_loop(more, step, (n, k.zeros((), "int32")))[1]


def capped(k, n):
    return k.while_loop(lambda v: v > 0, lambda v: v - 2, n, maximum_iterations=4)


def bounded(k, n):
    return k.fori_loop(k.cast(2, "int32"), n, lambda i, v: v * 2 + i, k.ones((), "int32"))


@pytest.mark.parametrize("f", [collatz, capped, bounded], ids=lambda f: f.__name__)
def test_loops_without_gradients(f):
    recorded = kcore.function(lambda n: f(kcore.ops, n))
    for n in (1, 6, 9, 14):
        expected = int(f(keras.ops, keras.ops.convert_to_tensor(np.int32(n))))
        assert recorded(np.int32(n)).item() == expected
        assert f(kcore.ops, kcore.ops.convert_to_tensor(np.int32(n))).item() == expected


def test_reverse_gradients_of_while_loops_are_refused_by_both():
    def f(k, x):
        return k.sum(k.while_loop(lambda v: k.sum(v) < 9, lambda v: v * 2, x))

    with pytest.raises(ValueError, match=r"[Rr]everse"):
        jax.grad(lambda x: f(keras.ops, x))(np.abs(C))
    with pytest.raises(RuntimeError, match="gradient"):
        kcore.function(kcore.grad(lambda x: f(kcore.ops, x)))(np.abs(C))
