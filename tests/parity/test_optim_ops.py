"""Optimizer updates against Keras's optimizers on JAX: twenty steps, with zero gradients among them."""

from __future__ import annotations

import os

import numpy as np
import pytest

from kcore.ops import optim

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")
# Keras reads its own variables in a way that NumPy warns of.
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore:__array__ implementation")]

STEPS, RATE = 20, 0.03
W = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
GRADIENTS = np.random.default_rng(1).normal(size=(STEPS, 4, 3)).astype("float32")
GRADIENTS[3] = 0
ZERO = np.zeros_like(W)


def plain(update, slots, scalars=lambda step: ()):
    """Runs `update(w, g, lr, *scalars(step), *slots)` over the steps."""

    def train():
        w, state = W, list(slots)
        for step, g in enumerate(GRADIENTS, 1):
            w, *state = update(w, g, np.float32(RATE), *scalars(step), *state)
        return np.asarray(w)

    return train


def with_step(step):
    return (np.asarray(step, "int32"),)


def nadam(**attrs):
    def train():
        w, m, v, product = W, ZERO, ZERO, np.float32(1)
        for step, g in enumerate(GRADIENTS, 1):
            product = np.float32(product * np.float32(attrs.get("beta_1", 0.9)) * np.float32(1 - 0.5 * 0.96**step))
            w, m, v = optim.nadam(w, g, np.float32(RATE), np.asarray(step), product, m, v, **attrs)
        return np.asarray(w)

    return train


def bound(function, **attrs):
    return lambda *args: function(*args, **attrs)


ONES = np.full_like(W, 0.1)
RHO = {"rho": 0.8, "epsilon": 1e-4}
BETAS = {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-4}
FTRL = {"l1": 0.1, "l2": 0.2, "l2_shrinkage": 0.3, "beta": 0.4}
FTRL_NAMES = {
    "l1": "l1_regularization_strength",
    "l2": "l2_regularization_strength",
    "l2_shrinkage": "l2_shrinkage_regularization_strength",
    "beta": "beta",
}
CASES = [
    ("SGD", {}, plain(optim.sgd, [None])),
    ("SGD", {"momentum": 0.8}, plain(bound(optim.sgd, momentum=0.8), [ZERO])),
    ("SGD", {"momentum": 0.8, "nesterov": True}, plain(bound(optim.sgd, momentum=0.8, nesterov=True), [ZERO])),
    ("RMSprop", {}, plain(optim.rmsprop, [ZERO, None, None])),
    ("RMSprop", {**RHO, "centered": True}, plain(bound(optim.rmsprop, **RHO), [ZERO, ZERO, None])),
    (
        "RMSprop",
        {**RHO, "centered": True, "momentum": 0.5},
        plain(bound(optim.rmsprop, **RHO, momentum=0.5), [ZERO, ZERO, ZERO]),
    ),
    ("Adagrad", {"epsilon": 1e-4}, plain(bound(optim.adagrad, epsilon=1e-4), [ONES])),
    ("Adadelta", RHO, plain(bound(optim.adadelta, **RHO), [ZERO, ZERO])),
    ("Adam", {}, plain(optim.adam, [ZERO, ZERO, None], with_step)),
    ("Adam", {**BETAS, "amsgrad": True}, plain(bound(optim.adam, **BETAS), [ZERO, ZERO, ZERO], with_step)),
    ("Adamax", BETAS, plain(bound(optim.adamax, **BETAS), [ZERO, ZERO], with_step)),
    ("Nadam", {}, nadam()),
    ("Nadam", BETAS, nadam(**BETAS)),
    ("Lion", {"beta_1": 0.8, "beta_2": 0.9}, plain(bound(optim.lion, beta_1=0.8, beta_2=0.9), [ZERO])),
    ("Ftrl", {}, plain(optim.ftrl, [np.full_like(W, 0.1), ZERO])),
    (
        "Ftrl",
        {"learning_rate_power": -0.7, "initial_accumulator_value": 0.1, **{FTRL_NAMES[k]: v for k, v in FTRL.items()}},
        plain(bound(optim.ftrl, learning_rate_power=-0.7, **FTRL), [ONES, ZERO]),
    ),
]


@pytest.mark.parametrize("name, options, train", CASES, ids=[f"{n}-{'-'.join(o)}" for n, o, _ in CASES])
def test_twenty_steps(name, options, train):
    optimizer = getattr(keras.optimizers, name)(RATE, **options)
    variable = keras.Variable(W)
    optimizer.build([variable])
    for g in GRADIENTS:
        optimizer.apply([keras.ops.convert_to_tensor(g)], [variable])
    want = np.asarray(variable)
    assert np.abs(want - W).max() > 1e-3
    # Twenty updates of about 0.03, each rounded to float32 in another order: 1e-6 of the weights.
    np.testing.assert_allclose(train(), want, rtol=2e-6, atol=2e-6)
