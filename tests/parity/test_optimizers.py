"""Optimizers and schedules against Keras on JAX: the same gradients must give the same variables, state and configs."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import Variable, constraints, ops, optimizers

keras = pytest.importorskip("keras")
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

# Several float32 operations per step, fused here and apart there: each step may differ in the last bits.
TOLERANCE = dict(rtol=2e-5, atol=2e-6)

CASES = [
    ("SGD", {}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.8}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    ("RMSprop", {}),
    ("RMSprop", {"learning_rate": 0.01, "rho": 0.8, "momentum": 0.7, "epsilon": 1e-3, "centered": True}),
    ("RMSprop", {"learning_rate": 0.01, "centered": True, "clipnorm": 0.5}),
    ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.3, "epsilon": 1e-2, "clipvalue": 0.4}),
    ("Adadelta", {"learning_rate": 1.0, "rho": 0.8, "epsilon": 1e-3, "global_clipnorm": 1.0}),
    ("Adam", {}),
    ("Adam", {"learning_rate": 0.05, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3, "amsgrad": True}),
    ("Adam", {"learning_rate": 0.05, "use_ema": True, "ema_momentum": 0.7}),
    ("Adam", {"learning_rate": 0.05, "use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 3}),
    ("Adam", {"learning_rate": 0.05, "gradient_accumulation_steps": 3, "clipnorm": 0.5, "weight_decay": 0.2}),
    ("SGD", {"learning_rate": 0.05, "gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.6}),
    ("SGD", {"learning_rate": 0.05, "gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.6,
             "ema_overwrite_frequency": 2}),
    ("SGD", {"learning_rate": 0.1, "loss_scale_factor": 4.0, "global_clipnorm": 0.3}),
    ("AdamW", {"learning_rate": 0.05, "weight_decay": 0.3, "beta_1": 0.8}),
    ("Adamax", {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.7, "epsilon": 1e-3}),
    ("Nadam", {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.7, "epsilon": 1e-3}),
    ("Ftrl", {"learning_rate": 0.1}),
    ("Ftrl", {"learning_rate": 0.1, "learning_rate_power": -0.7, "initial_accumulator_value": 0.2, "beta": 0.1,
              "l1_regularization_strength": 0.01, "l2_regularization_strength": 0.02,
              "l2_shrinkage_regularization_strength": 0.03}),
    ("Lion", {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.7}),
    ("Lamb", {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.7, "epsilon": 1e-3}),
    ("Adafactor", {"learning_rate": 0.05}),
    ("Adafactor", {"learning_rate": 0.05, "beta_2_decay": -0.6, "clip_threshold": 0.5, "relative_step": False}),
]  # fmt: skip

SHAPES = [(3, 4), (4,)]


def run(module, make_variable, to_tensor, optimizer, constraint=None, steps=6):
    """Variables after each step, and the optimizer's."""
    rng = np.random.default_rng(3)
    variables = [make_variable(rng.normal(size=s).astype("float32"), f"v{i}") for i, s in enumerate(SHAPES)]
    if constraint is not None:
        variables[0].constraint = constraint
    history = []
    for _ in range(steps):
        gradients = [to_tensor(rng.normal(size=s).astype("float32")) for s in SHAPES]
        optimizer.apply_gradients(zip(gradients, variables))
        history.append([np.asarray(v) for v in variables])
    optimizer.finalize_variable_values(variables)
    history.append([np.asarray(v) for v in variables])
    return history, optimizer.variables


def both(theirs, ours, constraint=None):
    want, want_state = run(
        keras, lambda x, n: keras.Variable(x, name=n), keras.ops.convert_to_tensor, theirs,
        constraint and getattr(keras.constraints, constraint)(),
    )  # fmt: skip
    got, got_state = run(
        None,
        lambda x, n: Variable(x, name=n),
        ops.convert_to_tensor,
        ours,
        constraint and getattr(constraints, constraint)(),
    )
    for step, (a, b) in enumerate(zip(want, got)):
        for x, y in zip(a, b):
            np.testing.assert_allclose(y, x, **TOLERANCE, err_msg=f"step {step}")
    assert len(got_state) == len(want_state)
    for x, y in zip(want_state, got_state):
        assert tuple(y.shape) == tuple(x.shape) and y.dtype == x.dtype, (x, y)
        np.testing.assert_allclose(y.numpy(), np.asarray(x), **TOLERANCE, err_msg=x.path)


@pytest.mark.parametrize("name, options", CASES, ids=[f"{n}-{'-'.join(o) or 'default'}" for n, o in CASES])
def test_optimizer(name, options):
    theirs = getattr(keras.optimizers, name)(**options, name="opt")
    ours = getattr(optimizers, name)(**options, name="opt")
    assert ours.get_config() == theirs.get_config()
    both(theirs, ours)
    assert [v.name for v in ours.variables if "variable" not in v.name] == [
        v.name for v in theirs.variables if "variable" not in v.name
    ]


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_constraint_is_applied_after_the_update(name):
    both(getattr(keras.optimizers, name)(0.1), getattr(optimizers, name)(0.1), constraint="NonNeg")


def test_weight_decay_spares_what_is_excluded():
    theirs, ours = keras.optimizers.AdamW(0.1, weight_decay=0.3), optimizers.AdamW(0.1, weight_decay=0.3)
    for optimizer in (theirs, ours):
        optimizer.exclude_from_weight_decay(var_names=["v1"])
    both(theirs, ours)


SCHEDULES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [2, 5], "values": [0.1, 0.05, 0.01]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 5, "end_learning_rate": 0.01, "power": 2.0}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "power": 0.5, "cycle": True}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 6, "alpha": 0.1}),
    ("CosineDecay", {"initial_learning_rate": 0.01, "decay_steps": 6, "warmup_target": 0.1, "warmup_steps": 3}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 3, "m_mul": 0.8, "alpha": 0.1}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 3, "t_mul": 1.0}),
]


@pytest.mark.parametrize("name, options", SCHEDULES, ids=[f"{n}{i}" for i, (n, _) in enumerate(SCHEDULES)])
def test_schedule(name, options):
    theirs, ours = (getattr(m.schedules, name)(**options) for m in (keras.optimizers, optimizers))
    want, got = [float(theirs(i)) for i in range(12)], [float(ours(i)) for i in range(12)]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)  # a float32 power or cosine
    assert ours.get_config() == theirs.get_config()
    assert optimizers.schedules.serialize(ours) == keras.optimizers.schedules.serialize(theirs)
    both(keras.optimizers.SGD(theirs, momentum=0.9), optimizers.SGD(ours, momentum=0.9))
    config = optimizers.serialize(optimizers.Adam(ours, name="a"))
    assert config == keras.optimizers.serialize(keras.optimizers.Adam(theirs, name="a"))
    again = optimizers.deserialize(config)
    assert float(again.learning_rate) == pytest.approx(want[0], rel=1e-5)
