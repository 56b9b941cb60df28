"""Recomputation: the same gradients, bit for bit, from less memory."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import layers, ops

X = np.random.default_rng(0).normal(size=(16, 8)).astype("float32")


def same_gradients(make, x=X, wrap=lambda f: f, steps=2):
    """`make(remat)` gives a model or function and its variables; with and without recomputation all comes out the same."""
    results = []
    for remat in (lambda f: f, kcore.remat):
        kcore.utils.set_random_seed(1)
        f, variables = make(remat)

        @wrap
        def step(x, f=f, variables=variables):
            with kcore.GradientTape() as tape:
                tape.watch(x)
                loss = ops.mean(ops.square(f(x)))
            return loss, tape.gradient(loss, [x, *[v for v in variables if v.trainable]])

        got = [np.asarray(part) for _ in range(steps) for part in kcore.tree.flatten(step(ops.convert_to_tensor(x)))]
        results.append(got + [v.numpy() for v in variables])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def block(*parts):
    net = kcore.Sequential([*parts])
    net.build((16, 8))
    return net


@pytest.mark.parametrize("wrap", [lambda f: f, kcore.function], ids=["op_by_op", "recorded"])
@pytest.mark.parametrize(
    "parts",
    [
        lambda: [layers.Dense(8, "relu"), layers.Dense(8, "gelu")],
        lambda: [layers.Dense(8, "tanh"), layers.Dropout(0.5), layers.GaussianNoise(0.1)],
        lambda: [layers.Dense(8), layers.BatchNormalization(), layers.Activation("silu")],
        lambda: [layers.Reshape((4, 2)), layers.LSTM(5, return_sequences=True), layers.GRU(3, dropout=0.2)],
        lambda: [layers.Reshape((4, 2, 1)), layers.Conv2D(3, 2, activation="relu"), layers.MaxPooling2D((2, 1))],
    ],
    ids=["dense", "random", "norm", "rnn", "conv"],
)
def test_gradients_are_the_same_bits(parts, wrap):
    def make(remat):
        net = block(*parts())
        call = remat(lambda x: net(x, training=True))
        return call, net.variables

    same_gradients(make, wrap=wrap)


def test_what_is_inherited_from_the_call_is_inherited_again():
    class Outer(layers.Layer):
        def __init__(self, remat, **kwargs):
            super().__init__(**kwargs)
            self.inner = [layers.Dense(8, "tanh"), layers.Dropout(0.5, seed=3)]
            self.remat = remat

        def build(self, shape):
            self.inner[0].build(shape)

        def call(self, x, training=False):
            for layer in self.inner:  # the name means another layer by the time of the gradient
                x = self.remat(lambda v: layer(v))(x)  # noqa: B023
            return x

    def make(remat, **kwargs):
        outer = Outer(remat, **kwargs)
        return (lambda x: outer(x, training=True)), outer.variables

    same_gradients(make)
    same_gradients(lambda remat: make(remat, dtype="mixed_bfloat16"))


def test_losses_added_inside_keep_their_gradient():
    def make(remat):
        net = block(layers.Dense(8, "tanh", activity_regularizer="l2"), layers.Dense(4, kernel_regularizer="l1"))
        call = remat(net)
        return (
            lambda x: ops.concatenate([ops.ravel(call(x)), *(ops.reshape(v, (1,)) for v in net.losses)])
        ), net.variables

    same_gradients(make)


def test_recomputations_nest_and_have_gradients_of_gradients():
    w = kcore.Variable(np.float32(0.5))

    def f(remat):
        inner = remat(lambda x: ops.tanh(x * w))
        outer = remat(lambda x: (inner(x) * x, x))  # an input that is an output as well
        g = kcore.grad(lambda x: ops.sum(outer(x)[0] ** 2 + outer(x)[1]))
        with kcore.GradientTape() as tape:
            x = ops.convert_to_tensor(X)
            tape.watch(x)
            y = ops.sum(g(x) ** 2)
        return [d.numpy() for d in tape.gradient(y, [x, w])]

    for a, b in zip(f(lambda f: f), f(kcore.remat)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_what_is_passed_through_has_its_gradient():
    x = ops.convert_to_tensor(X)
    grad = kcore.grad(lambda x: ops.sum(kcore.remat(lambda v: v)(x) ** 2))(x)
    np.testing.assert_array_equal(grad.numpy(), 2 * X)


def test_a_function_that_changed_is_refused():
    state = {"f": ops.tanh}
    x = ops.convert_to_tensor(X)
    with kcore.GradientTape() as tape:
        tape.watch(x)
        y = ops.sum(kcore.remat(lambda x: state["f"](x))(x))
    state["f"] = ops.sin
    with pytest.raises(RuntimeError, match="does something else"):
        tape.gradient(y, x)


def arena(remat, depth=12):
    kcore.utils.set_random_seed(1)
    nets = [block(*[layers.Dense(8, "gelu") for _ in range(4)]) for _ in range(depth // 4)]
    calls = [remat(net) for net in nets]
    variables = [v for net in nets for v in net.trainable_variables]

    @kcore.function
    def step(x):
        with kcore.GradientTape() as tape:
            y = x
            for call in calls:
                y = call(y)
            loss = ops.mean(y**2)
        return tape.gradient(loss, variables)

    grads = [g.numpy() for g in step(np.tile(X, (64, 1)))]
    again = [g.numpy() for g in step(np.tile(X, (64, 1)))]
    for a, b in zip(grads, again):
        np.testing.assert_array_equal(a, b)
    return step.programs[0].arena_bytes, grads


def test_a_recorded_step_takes_less_memory():
    (plain, grads), (light, light_grads) = arena(lambda f: f), arena(kcore.remat)
    assert light < 0.7 * plain
    for a, b in zip(grads, light_grads):
        np.testing.assert_array_equal(a, b)


class Residual(layers.Layer):
    """Two convolutions with batch normalization around a shortcut."""

    def build(self, shape):
        self.convs = [layers.Conv2D(shape[-1], 3, padding="same", use_bias=False) for _ in range(2)]
        self.norms = [layers.BatchNormalization() for _ in range(2)]
        for layer in self.convs + self.norms:
            layer.build(shape)

    def call(self, x, training=False):
        y = x
        for conv, norm in zip(self.convs, self.norms):
            y = ops.relu(norm(conv(y), training=training))
        return x + y


def resnet_step(mode, **scope):
    kcore.utils.set_random_seed(1)
    with kcore.RematScope(mode, **scope):
        net = kcore.Sequential([kcore.Input((16, 16, 3)), layers.Conv2D(8, 3, padding="same")])
        for i in range(4):
            net.add(Residual(name=f"block{i}"))
        net.add(layers.GlobalAveragePooling2D())
        net.add(layers.Dense(3, "softmax"))
    net.compile("sgd", "sparse_categorical_crossentropy", jit_compile=True)
    x = np.random.default_rng(0).normal(size=(8, 16, 16, 3)).astype("float32")
    for _ in range(3):
        net.train_on_batch(x, np.arange(8) % 3)
    (program,) = net._recorded._steps["train of " + net.name][1].programs
    return program.arena_bytes, net.get_weights()


def test_residual_blocks_in_a_scope_take_less_memory():
    plain, weights = resnet_step(None)
    for mode, scope in (("full", {}), ("list_of_layers", {"layer_names": [f"block{i}" for i in range(4)]}),
                        ("larger_than", {"output_size_threshold": 4000})):  # fmt: skip
        light, light_weights = resnet_step(mode, **scope)
        assert light < 0.7 * plain, mode
        for a, b in zip(weights, light_weights):
            np.testing.assert_array_equal(a, b)
    assert resnet_step("larger_than", output_size_threshold=10**6)[0] == plain
    assert resnet_step("list_of_layers")[0] == plain


def test_scopes():
    with kcore.RematScope("activations"):
        dense, plain = layers.Dense(4, "gelu"), layers.Dense(4)
        with kcore.RematScope(None):
            off = layers.Dense(4, "gelu")
    assert dense._remat.mode == "activations" and off._remat.mode is None and layers.Dense(2)._remat is None
    for layer in (dense, plain, off):
        layer.build((16, 8))
        other = layers.Dense(4, layer.activation)
        other.build((16, 8))
        other.set_weights(layer.get_weights())
        for _ in range(2):
            got, expected = ([g.numpy() for g in gradients(f)] for f in (layer, other))
            for a, b in zip(got, expected):
                np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="mode"):
        kcore.RematScope("half")


def gradients(layer):
    with kcore.GradientTape() as tape:
        y = ops.sum(layer(X) ** 2)
    return tape.gradient(y, layer.trainable_variables)
