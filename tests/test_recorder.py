"""Recorded steps: the same values as without recording, for every kind of state, and no surprise where Python looks on."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import layers, ops
from kcore._core import Recorder
from kcore.autograd.recorder import Recorded, RecordingError, decided

X = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)


def tensor(x):
    return ops.convert_to_tensor(x)


def test_a_recorded_function_computes_with_its_arguments():
    f = Recorded(lambda a, b: {"sum": a + b, "product": ops.matmul(a, ops.transpose(b))})
    for scale in (1.0, 2.0, 3.0):
        a, b = X * scale, X - scale
        got = f(tensor(a), tensor(b))
        np.testing.assert_array_equal(got["sum"].numpy(), a + b)
        np.testing.assert_allclose(got["product"].numpy(), a @ b.T, rtol=1e-5)
    assert len(f.programs) == 1


def test_each_kind_of_arguments_has_a_program():
    f = Recorded(lambda x, twice: x * 2 if twice else x)
    for x in (X, X[:2], X.astype("float64")):
        for twice in (True, False):
            for _ in range(2):
                assert f(tensor(x), twice).numpy().tolist() == (x * (1 + twice)).tolist()
    assert len(f.programs) == 6


def test_the_same_tensor_twice_is_two_arguments():
    f = Recorded(lambda a, b: a - b)
    assert f(tensor(X), tensor(X)).numpy().any() == False  # noqa: E712
    x = tensor(X)
    g = Recorded(lambda a, b: a - b)
    g(x, x)
    np.testing.assert_array_equal(g(tensor(X), tensor(X * 3)).numpy(), X - X * 3)


def test_variables_live_on():
    total, count = kcore.Variable(np.zeros(3, "float32")), kcore.Variable(np.int32(0))

    @Recorded
    def add(x):
        total.assign_add(ops.sum(x, axis=0))
        count.assign_add(1)
        return total.value * 1.0

    for i in range(4):
        got = add(tensor(X))
        np.testing.assert_allclose(got.numpy(), X.sum(0) * (i + 1), rtol=1e-6)
    assert int(count) == 4
    total.assign(np.ones(3, "float32"))  # from outside, between two runs
    np.testing.assert_allclose(add(tensor(X)).numpy(), X.sum(0) + 1, rtol=1e-6)


def test_variables_that_hold_one_array_stay_two():
    start = tensor(np.zeros(3, "float32"))
    a, b = kcore.Variable(start), kcore.Variable(start)
    f = Recorded(lambda x: (a.assign_add(x).value + 0, b.assign_sub(x).value + 0))
    for i in range(3):
        plus, minus = f(tensor(np.ones(3, "float32")))
        assert plus.numpy().tolist() == [i + 1.0] * 3
        assert minus.numpy().tolist() == [-i - 1.0] * 3


def test_values_taken_before_a_run_do_not_change():
    w = kcore.Variable(X)
    f = Recorded(lambda x: w.assign(w + x))
    one = tensor(np.ones_like(X))
    f(one)
    kept = w.value
    before = kept.numpy()
    f(one)
    np.testing.assert_array_equal(kept.numpy(), before)


def test_outputs_of_a_run_are_the_callers():
    f = Recorded(lambda x: (x + 1, ops.reshape(x, (12,)), x))
    first = f(tensor(X))
    f(tensor(X)), f(tensor(X * 5))
    np.testing.assert_array_equal(first[0].numpy(), X + 1)
    np.testing.assert_array_equal(first[1].numpy(), X.reshape(12))
    np.testing.assert_array_equal(f(tensor(X * 2))[1].numpy(), X.reshape(12) * 2)


def test_constants_are_computed_once():
    f = Recorded(lambda x: x + ops.sum(ops.arange(10, dtype="float32")) * ops.exp(ops.zeros(3)))
    f(tensor(X))
    assert len(f.programs[0]) == 1
    np.testing.assert_array_equal(f(tensor(X)).numpy(), X + 45)


def test_what_nobody_reads_is_not_computed():
    def f(x):
        ops.exp(ops.matmul(x, ops.transpose(x)))
        return x * 2

    recorded = Recorded(f)
    recorded(tensor(X))
    assert len(recorded.programs[0]) == 1


@pytest.mark.parametrize(
    "look", [lambda x: x.numpy(), lambda x: float(ops.sum(x)), lambda x: 1 if ops.sum(x) > 0 else 2]
)
def test_looking_at_a_value_is_an_error_that_changes_nothing(look):
    w = kcore.Variable(np.zeros(3, "float32"))

    @Recorded
    def f(x):
        w.assign_add(ops.sum(x, axis=0))
        return look(x * 2)

    with pytest.raises(RecordingError, match="run_eagerly=True"):
        f(tensor(X))
    assert w.numpy().tolist() == [0, 0, 0]
    assert not Recorder.active()


def test_looking_at_a_constant_is_allowed():
    f = Recorded(lambda x: x * float(ops.sum(ops.arange(4, dtype="float32"))))
    for _ in range(2):
        np.testing.assert_array_equal(f(tensor(X)).numpy(), X * 6)


def test_a_function_that_fails_leaves_its_variables():
    w = kcore.Variable(np.zeros(3, "float32"))

    @Recorded
    def f(x):
        w.assign_add(x)
        raise KeyError("no")

    with pytest.raises(KeyError):
        f(tensor(np.ones(3, "float32")))
    assert w.numpy().tolist() == [0, 0, 0]


def test_a_run_that_fails_leaves_its_variables():
    w = kcore.Variable(np.int32(0))

    @Recorded
    def f(table, i):
        w.assign_add(1)
        return ops.take(table, i, axis=0)

    f(tensor(X), tensor(np.int32(1)))
    with pytest.raises((IndexError, ValueError), match="take"):
        f(tensor(X), tensor(np.int32(40)))
    assert int(w) == 1
    f(tensor(X), tensor(np.int32(2)))
    assert int(w) == 2


def test_random_numbers_go_on():
    kcore.utils.set_random_seed(1)
    plain, generator = kcore.random.SeedGenerator(3), kcore.random.SeedGenerator(3)
    f = Recorded(lambda: kcore.random.normal((5,), seed=generator))
    for _ in range(3):
        np.testing.assert_array_equal(f().numpy(), kcore.random.normal((5,), seed=plain).numpy())


def test_seeds_reach_what_was_recorded():
    f = Recorded(lambda: kcore.random.normal((5,)))
    kcore.utils.set_random_seed(1)
    first, second = f().numpy(), f().numpy()
    assert (first != second).all() and len(f.programs) == 1
    kcore.utils.set_random_seed(1)
    np.testing.assert_array_equal(f().numpy(), first)
    np.testing.assert_array_equal(f().numpy(), second)


def model(**compiling):
    kcore.utils.set_random_seed(5)
    net = kcore.Sequential([
        kcore.Input((8, 8, 1)), layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(), layers.MaxPooling2D(),
        layers.Flatten(), layers.Dropout(0.3), layers.Dense(3, activation="softmax", kernel_regularizer="l2"),
    ])  # fmt: skip
    net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **compiling)
    return net


def images(n=40):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 8, 8, 1)).astype("float32"), rng.integers(0, 3, n)


def test_recorded_training_is_eager_training():
    x, y = images()
    nets, histories = [], []
    for eager in (False, True):
        nets.append(model(run_eagerly=eager))
        kcore.utils.set_random_seed(2)  # the order of the samples
        histories.append(nets[-1].fit(x, y, epochs=3, batch_size=16, verbose=0, validation_split=0.2).history)
    assert histories[0] == histories[1]
    for a, b in zip(nets[0].variables + nets[0].optimizer.variables, nets[1].variables + nets[1].optimizer.variables):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)
    np.testing.assert_array_equal(*[net.predict(x, verbose=0) for net in nets])
    assert nets[0].evaluate(x, y, verbose=0) == nets[1].evaluate(x, y, verbose=0)


def test_frozen_layers_and_other_settings_are_seen():
    x, y = images(16)
    net = model()
    for _ in range(2):
        net.train_on_batch(x, y)
    kernel = net.layers[0].kernel.numpy()
    net.layers[0].trainable = False
    net.train_on_batch(x, y)
    np.testing.assert_array_equal(net.layers[0].kernel.numpy(), kernel)
    net.optimizer.learning_rate = 0.0
    dense = net.layers[-1].kernel.numpy()
    net.train_on_batch(x, y)
    np.testing.assert_array_equal(net.layers[-1].kernel.numpy(), dense)


def test_a_schedule_set_later_is_seen():
    x, y = images(16)
    net = model()
    for _ in range(2):
        net.train_on_batch(x, y)
    net.optimizer.learning_rate = kcore.optimizers.schedules.ExponentialDecay(0.0, 1, 0.5)
    dense = net.layers[-1].kernel.numpy()
    net.train_on_batch(x, y)
    np.testing.assert_array_equal(net.layers[-1].kernel.numpy(), dense)


class Looking(kcore.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, x):
        return self.dense(x) if float(ops.sum(x)) > 0 else self.dense(-x)


def test_steps_that_look_at_values_run_op_by_op():
    net = Looking()
    net.compile("sgd", "mse")
    losses = net.fit(np.abs(X), np.ones((4, 1)), epochs=3, verbose=0).history["loss"]
    assert losses[2] < losses[0]
    required = Looking()
    required.compile("sgd", "mse", jit_compile=True)
    with pytest.raises(RecordingError, match="item"):
        required.fit(np.abs(X), np.ones((4, 1)), verbose=0)


def test_a_program_prints_what_it_does():
    w = kcore.Variable(X, name="w")
    f = Recorded(lambda x: w.assign(ops.matmul(x, w)))
    f(tensor(np.eye(4, dtype="float32")))
    text = str(f.programs[0])
    assert "matmul(%0, %1" in text
    assert "w = %2" in text


@pytest.mark.parametrize(
    "arguments",
    [
        {"gradient_accumulation_steps": 3},
        {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
        {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2, "gradient_accumulation_steps": 2},
        {"weight_decay": 0.01, "global_clipnorm": 0.1, "gradient_accumulation_steps": 2},
        {"rates": [0.1, 0.01, 0.2, 0.03], "weight_decay": 0.1},
        {"rates": [0.1, 0.01, 0.2, 0.03], "gradient_accumulation_steps": 2, "loss_scale_factor": 8.0},
    ],
    ids=lambda a: "-".join(a),
)
def test_what_optimizers_decide_in_python_is_recorded(arguments):
    x, y = images(48)
    nets, rates = [], arguments.pop("rates", None)
    for eager in (False, True):
        net = model()
        given = [0]

        def rate():
            given[0] += 1  # noqa: B023
            return rates[given[0] % len(rates)]  # noqa: B023

        optimizer = kcore.optimizers.SGD(rate if rates else 0.1, momentum=0.9, **arguments)
        net.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=eager, jit_compile=not eager)
        kcore.utils.set_random_seed(2)
        net.fit(x, y, epochs=3, batch_size=16, verbose=0)
        nets.append((net, given[0]))
    (recorded, calls), (plain, plain_calls) = nets
    assert calls == plain_calls
    for a, b in zip(recorded.variables + recorded.optimizer.variables, plain.variables + plain.optimizer.variables):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)
    kinds = len(recorded._recorded._steps["train of " + recorded.name][1].programs)
    assert 1 <= kinds <= 6


def test_two_updates_in_a_step_keep_their_phases():
    def train(wrap):
        w = kcore.Variable(np.ones(3, "float32"))
        optimizer = kcore.optimizers.SGD(0.1, gradient_accumulation_steps=3)
        optimizer.build([w])

        @wrap
        def step(g):
            optimizer.apply([g], [w])
            optimizer.apply([g * 2], [w])

        return [(step(ops.full(3, i + 1.0)), w.numpy())[1] for i in range(8)]

    np.testing.assert_array_equal(train(Recorded), train(lambda f: f))


def test_a_learning_rate_of_python_that_fails_changes_nothing():
    left = [3]

    def rate():
        left[0] -= 1
        if left[0] < 0:
            raise KeyError("no rate")
        return 0.1

    w = kcore.Variable(np.ones(3, "float32"))
    optimizer = kcore.optimizers.SGD(rate)
    optimizer.build([w])
    step = Recorded(lambda g: optimizer.apply([g], [w]))
    for _ in range(3):
        step(ops.ones(3))
    before = w.numpy()
    with pytest.raises(KeyError):
        step(ops.ones(3))
    np.testing.assert_array_equal(w.numpy(), before)
    assert len(step.programs) == 1


def small():
    model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2, activation="relu")])
    model.compile(kcore.optimizers.SGD(0.5), "mse")
    x = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
    for _ in range(3):
        model.train_on_batch(x, x[:, :2])
        model.predict_on_batch(x)
    return model, x


def test_a_new_optimizer_is_used_by_the_next_step():
    model, x = small()
    before = model.get_weights()
    model.optimizer = kcore.optimizers.SGD(0.0)
    model.train_on_batch(x, x[:, :2])
    for now, then in zip(model.get_weights(), before):
        np.testing.assert_array_equal(now, then)
    assert int(model.optimizer.iterations) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model.optimizer, "weight_decay", 0.25),
        lambda model: setattr(model.optimizer, "loss_scale_factor", 3.0),
        lambda model: setattr(model.layers[-1], "activation", kcore.activations.tanh),
        lambda model: setattr(model.layers[-1], "activation", None),
        lambda model: setattr(model.layers[-1], "use_bias", False),
    ],
)
def test_steps_follow_what_is_set(change):
    weights = []
    for eager in (True, False):
        kcore.utils.set_random_seed(0)
        model, x = small()
        change(model)
        model.run_eagerly = eager
        for _ in range(3):
            model.train_on_batch(x, x[:, :2])
        weights.append([*model.get_weights(), model.predict_on_batch(x)])
    for recorded, op_by_op in zip(*weights):
        np.testing.assert_array_equal(recorded, op_by_op)


def test_building_another_model_forgets_nothing():
    model, x = small()
    _, recorded = model._recorded._steps[f"predict of {model.name}"]
    programs = recorded.programs
    other = kcore.Sequential([kcore.layers.Dense(4)])
    other(x)
    model.predict_on_batch(x)
    assert len(programs) == 1 and recorded.programs[0] is programs[0]


def test_the_first_step_is_recorded_before_it_runs():
    x, y = images(16)
    net = model(jit_compile=True)
    before = net.get_weights()
    net.train_on_batch(x, y)  # makes the variables of the metrics
    assert all(np.isfinite(w).all() for w in net.get_weights())
    assert any((w != v).any() for w, v in zip(net.get_weights(), before))
    net.predict_on_batch(x)
    assert len(net._recorded._steps[f"predict of {net.name}"][1].programs) == 1


@pytest.fixture
def computed(monkeypatch):
    """The op calls that were computed one by one."""
    calls, run = [], kcore._core.run

    def counted(op, inputs, attrs):
        result = run(op, inputs, attrs)
        first = result[0] if isinstance(result, tuple) else result
        if not first.is_symbolic:
            calls.append(op)
        return result

    monkeypatch.setattr(kcore._core, "run", counted)
    return calls


def test_nothing_is_computed_while_a_step_is_recorded_ahead(computed):
    w, count = kcore.Variable(X), kcore.Variable(np.int32(3))
    f = Recorded(lambda x: (w.assign(ops.exp(w) * x).value + 1, count.assign_add(1).value), ahead=lambda: True)
    plain = np.exp(X) * X
    del computed[:]
    got, counted = f(
        tensor(X),
    )
    assert computed == ["add"]  # of the counter
    np.testing.assert_allclose(got.numpy(), plain + 1, rtol=1e-6)
    np.testing.assert_allclose(w.numpy(), plain, rtol=1e-6)
    assert int(counted) == int(count) == 4 and len(f.programs) == 1


def test_a_recording_ahead_shows_no_variable_without_values():
    w = kcore.Variable(X)
    seen = []

    def f(x):
        w.assign(w + x)
        with kcore._core.Unheard():  # as another thread would
            seen.append(w.numpy())
        return w.value * 2

    np.testing.assert_array_equal(Recorded(f, ahead=lambda: True)(tensor(X)).numpy(), X * 4)
    np.testing.assert_array_equal(seen, [X])


@pytest.mark.parametrize("kind", ["kept", "caught", "initial", "held", "branch", "decided"])
def test_what_needs_values_is_recorded_as_it_runs(kind):
    kept, calls, count = [], [], kcore.Variable(np.int32(1))

    def f(x):
        calls.append(1)
        y = x + 1
        if kind == "kept":
            kept[:] = [y]
        elif kind == "caught" and len(calls) == 1:
            try:
                kcore.Variable(y)
            except Exception:
                y = y * 7
        elif kind == "initial" and not kept:
            kept.append(kcore.Variable(y))
        elif kind == "held":
            y = kcore.remat(lambda z: z + 0.0)(y)
            with kcore.GradientTape() as tape:
                tape.watch(x)
                loss = ops.sum(kcore.remat(lambda z: z * count.value)(x))
            y = y + tape.gradient(loss, x) - 1
        elif kind == "branch":
            y = ops.cond(ops.sum(x) > -100, lambda: y + 0, lambda: y * 2)
        elif kind == "decided":
            count.assign(ops.cast(ops.sum(x) * 0 + 2, "int32"))
            y = y * decided(count, lambda n: n) / 2
        return y

    recorded = Recorded(f, ahead=lambda: True)
    for _ in range(2):
        np.testing.assert_allclose(recorded(tensor(X)).numpy(), X + 1, rtol=1e-5, atol=1e-6)
    assert len(calls) >= 2
    for leaf in kept:
        np.testing.assert_array_equal(leaf.numpy(), X + 1)


def test_looking_at_a_value_ahead_is_the_same_error():
    w, calls = kcore.Variable(np.zeros(3, "float32")), []

    def f(x):
        calls.append(1)
        w.assign_add(ops.sum(x, axis=0))
        return float(ops.sum(x))

    with pytest.raises(RecordingError, match="run_eagerly=True"):
        Recorded(f, ahead=lambda: True)(tensor(X))
    assert calls == [1] and w.numpy().tolist() == [0, 0, 0] and not Recorder.active()


def test_a_first_run_that_fails_leaves_its_variables():
    w = kcore.Variable(np.int32(0))

    def f(table, i):
        w.assign_add(1)
        return ops.take(table, i, axis=0)

    with pytest.raises((IndexError, ValueError), match="take"):
        Recorded(f, ahead=lambda: True)(tensor(X), tensor(np.int32(40)))
    assert int(w) == 0


def test_losses_of_layers_have_values_after_the_first_step():
    net = kcore.Sequential([kcore.Input((3,)), layers.Dense(2, activity_regularizer="l2")])
    net.compile("sgd", "mse")
    net.train_on_batch(X, X[:, :2])
    assert all(np.isfinite(float(loss)) for loss in net.losses)
