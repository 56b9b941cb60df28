"""Gradient tapes: what they watch, how they nest, and what they refuse."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import kcore
from kcore import GradientTape, Variable, _core, ops
from kcore.autograd import apply, convert_to_tensor


def test_watches_trainable_variables_by_itself():
    v, frozen = Variable(3.0), Variable(4.0, trainable=False)
    with GradientTape() as tape:
        y = v * v * frozen
    assert [None if g is None else g.item() for g in tape.gradient(y, [v, frozen])] == [24.0, None]


def test_watch_and_unwatched():
    x = convert_to_tensor(3.0)
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        y = x * Variable(2.0)
    assert tape.gradient(y, x).item() == 2.0
    with GradientTape() as tape:
        y = x * x
    assert tape.gradient(y, x) is None


def test_structure_of_sources_and_zero():
    a, b = Variable(2.0), Variable([1.0, 1.0])
    with GradientTape() as tape:
        y = a * 5.0
    grads = tape.gradient(y, {"a": a, "list": [b]}, unconnected_gradients="zero")
    assert grads["a"].item() == 5 and grads["list"][0].tolist() == [0, 0]


def test_assignment_keeps_what_the_tape_saw():
    v = Variable(3.0)
    with GradientTape() as tape:
        y = v * v
        v.assign(100.0)
        y = y + v
    assert tape.gradient(y, v).item() == 7.0  # 2 * 3 of the first value, 1 of the second


def test_one_gradient_unless_persistent():
    x = Variable(2.0)
    with GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.gradient(y, x)
    with GradientTape(persistent=True) as tape:
        y = x * x
        z = y * y
    assert tape.gradient(y, x).item() == 4 and tape.gradient(z, x).item() == 32


def test_nested_tapes_give_second_derivatives():
    x = Variable(2.0)
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = x * x * x
        first = inner.gradient(y, x)
    assert first.item() == 12 and outer.gradient(first, x).item() == 12


def test_third_derivative_and_argnums():
    f = kcore.grad(kcore.grad(kcore.grad(lambda x: x**4)))
    assert f(2.0).item() == pytest.approx(48)
    value, (da, db) = kcore.value_and_grad(lambda a, b: a * b, argnums=(0, 1))(3.0, 4.0)
    assert (value.item(), da.item(), db.item()) == (12, 4, 3)
    x = convert_to_tensor(3.0)
    da, db = kcore.grad(lambda a, b: a * a * b, argnums=(0, 1))(x, x)  # one tensor in two places
    assert (da.item(), db.item()) == (18, 9)


def test_output_gradients_and_several_targets():
    x = Variable([1.0, 2.0])
    with GradientTape() as tape:
        y = x * x
    assert tape.gradient(y, x, output_gradients=[1.0, 10.0]).tolist() == [2, 40]
    with GradientTape() as tape:
        targets = [x * 2.0, ops.sum(x) * 3.0]
    assert tape.gradient(targets, x).tolist() == [5, 5]


def test_jacobian():
    x = Variable([1.0, 2.0, 3.0])
    with GradientTape(persistent=True) as tape:
        y = x[:2] * x[1:]
    assert tape.jacobian(y, x).tolist() == [[2, 1, 0], [0, 3, 2]]


def test_stop_gradient_and_integers_block():
    x = Variable(3.0)
    with GradientTape(persistent=True) as tape:
        stopped = kcore.stop_gradient(x * x) * x
        rounded = ops.cast(ops.cast(x * 1.5, "int32"), "float32")
    assert tape.gradient(stopped, x).item() == 9
    assert tape.gradient(rounded, x) is None


def test_custom_gradient():
    @kcore.custom_gradient
    def doubled(x, y):
        return x * y, lambda upstream: (upstream * 100.0, None)

    x, y = Variable(2.0), Variable(5.0)
    with GradientTape() as tape:
        z = doubled(x, y) * 2.0
    assert z.item() == 20
    assert [None if g is None else g.item() for g in tape.gradient(z, [x, y])] == [200, None]


def test_tapes_are_of_their_thread():
    x = Variable(2.0)
    with GradientTape() as tape:
        y = x * x
        thread = threading.Thread(target=lambda: x * x * x)
        thread.start()
        thread.join()
    assert tape.gradient(y, x).item() == 4


def test_stop_recording():
    x = Variable(2.0)
    with GradientTape() as tape:
        y = x * x
        with tape.stop_recording():
            z = x * x
        y = y + x
    assert tape.gradient([y, z], x).item() == 5


def test_refusals():
    with GradientTape() as tape:
        with pytest.raises(TypeError, match="float tensor, received dtype int32"):
            tape.watch(convert_to_tensor(1))
        with pytest.raises(TypeError, match="received str"):
            tape.watch("x")
    with pytest.raises(TypeError, match="float target"):
        tape.gradient(convert_to_tensor(1), [])
    with pytest.raises(ValueError, match="scalar value"):
        kcore.grad(lambda x: x)(np.ones(2))
    with pytest.raises(ValueError, match="no op is named"):
        apply("no_such_op", ())
    with pytest.raises(TypeError, match=r"\[add\] has attributes"):
        apply("add", (convert_to_tensor(1.0),) * 2, {"axis": 1})


def test_memory_of_a_tape_is_freed():
    from kcore import _core

    def step():
        x = Variable(np.ones((100, 100), "float32"))
        with GradientTape() as tape:
            y = ops.sum(ops.exp(x) * x)
        tape.gradient(y, x)

    step()
    before = _core.memory_stats()["in_use"]
    for _ in range(20):
        step()
    assert _core.memory_stats()["in_use"] <= before


def test_memory_is_given_back_on_the_way_backwards():
    seen = []

    @kcore.custom_gradient
    def first(x):
        return x * 1.0, lambda upstream: seen.append(_core.memory_stats()["in_use"]) or upstream

    x = ops.zeros((1 << 18,))  # a megabyte
    for persistent in (False, True):
        with kcore.GradientTape(persistent=persistent) as tape:
            tape.watch(x)
            y = first(x)
            for _ in range(20):
                y = ops.tanh(y)
            forward = _core.memory_stats()["in_use"]
        middle = y
        assert tape.gradient(y, [x, middle])[1] is not None
        seen.append(forward)
    once, forward, again, forward_again = seen
    assert once < forward - (15 << 20)  # what is saved for the gradient went, and no gradient stayed
    assert again < forward_again + (4 << 20)  # a persistent tape keeps what it saved
