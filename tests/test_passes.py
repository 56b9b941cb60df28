"""Passes over recorded programs: models compute the same with each of them on and off, and programs show what was done."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import kcore
from kcore import _core, layers, ops
from kcore.autograd.recorder import Recorded

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
from workloads import QUICK, build

PASSES = ["batch_norm", "epilogue", "norm", "pooling", "chains", "slices", "in_place", "updates"]
ALL_OFF = ",".join("-" + name for name in PASSES)
RNG = np.random.default_rng(0)


def images(*shape):
    return RNG.normal(size=shape).astype("float32")


def mlp():
    x = images(8, 20)
    m = kcore.Sequential(
        [
            kcore.Input((20,)),
            layers.Dense(32, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(3, activation="tanh"),
        ]
    )
    return m, x, images(8, 3)


def convnet():
    m = kcore.Sequential(
        [
            kcore.Input((12, 12, 3)),
            layers.Conv2D(8, 3),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, use_bias=False),
            layers.BatchNormalization(scale=False),
            layers.LeakyReLU(),
            layers.Flatten(),
            layers.Dense(5, use_bias=False),
            layers.BatchNormalization(center=False),
        ]
    )
    return m, images(8, 12, 12, 3), images(8, 5)


def resnet():
    def normalized(x, filters, strides=1):
        return layers.BatchNormalization()(layers.Conv2D(filters, 3, strides, "same", use_bias=False)(x))

    i = x = kcore.Input((12, 12, 3))
    for filters, strides in ((8, 1), (8, 1), (16, 2)):
        y = layers.ReLU()(normalized(x, filters, strides))
        y = normalized(y, filters)
        if x.shape[-1] != filters or strides != 1:
            x = normalized(x, filters, strides)
        x = layers.ReLU()(layers.Add()([x, y]))
    return kcore.Model(i, layers.Dense(4)(layers.GlobalAveragePooling2D()(x))), images(8, 12, 12, 3), images(8, 4)


def lstm():
    m = kcore.Sequential(
        [kcore.Input((6, 5)), layers.Bidirectional(layers.LSTM(8)), layers.Dense(1, activation="sigmoid")]
    )
    return m, images(4, 6, 5), images(4, 1)


def transformer():
    i = kcore.Input((6,), dtype="int32")
    x = layers.Embedding(10, 16)(i)
    for _ in range(2):
        h = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(2, 8)(h, h, use_causal_mask=True)
        h = layers.Dense(32, activation="gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dense(16)(layers.Dropout(0.1)(h))
    return kcore.Model(i, layers.Dense(10)(x)), np.arange(24).reshape(4, 6) % 10, images(4, 6, 10)


def resnet_v2():
    """Normalizes first; sums that no activation follows."""
    i = kcore.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same")(i)
    for filters, strides in ((8, 1), (16, 2)):
        y = layers.ReLU()(layers.BatchNormalization()(x))
        if x.shape[-1] != filters:
            x = layers.Conv2D(filters, 1, strides)(y)
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, strides, "same", use_bias=False)(y))
        x = layers.Add()([x, layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(layers.ReLU()(y)))])
    return kcore.Model(i, layers.Dense(4)(layers.GlobalMaxPooling2D()(x))), images(4, 8, 8, 3), images(4, 4)


def separable():
    """Inverted residuals of depthwise convolutions, squeeze and excitation, other activations and normalizations."""
    i = x = kcore.Input((8, 8, 8))
    y = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(16, 1, use_bias=False)(x)))
    y = layers.Activation("silu")(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(y)))
    scale = layers.GlobalAveragePooling2D(keepdims=True)(y)
    scale = layers.Conv2D(16, 1, activation="sigmoid")(layers.Conv2D(4, 1, activation="relu")(scale))
    y = layers.BatchNormalization()(layers.Conv2D(8, 1)(layers.Multiply()([y, scale])))
    x = layers.GroupNormalization(2)(layers.Add()([x, y]))
    x = layers.SeparableConv2D(6, 3, activation="elu")(x)
    return kcore.Model(i, layers.Dense(3)(layers.Flatten()(x))), images(4, 8, 8, 8), images(4, 3)


def autoencoder():
    m = kcore.Sequential(
        [
            kcore.Input((8, 8, 2)),
            layers.Conv2D(8, 3, 2, "same", activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Conv2DTranspose(8, 3, 2, "same", activation="tanh"),
            layers.UpSampling2D(),
            layers.AveragePooling2D(2),
            layers.Conv2D(2, 3, padding="same", activation="sigmoid"),
        ]
    )
    return m, images(4, 8, 8, 2), images(4, 8, 8, 2)


def recurrent():
    """Masked words, convolutions over time, every other kind of cell."""
    i = kcore.Input((7,), dtype="int32")
    x = layers.Bidirectional(layers.GRU(6))(layers.Embedding(10, 8, mask_zero=True)(i))
    y = layers.Conv1D(8, 3, padding="causal", activation="relu")(layers.Embedding(10, 8)(i))
    y = layers.SimpleRNN(6, return_sequences=True)(layers.LayerNormalization()(y))
    x = layers.Concatenate()([x, layers.GlobalMaxPooling1D()(y), layers.GlobalAveragePooling1D()(y)])
    return kcore.Model(i, layers.Dense(1, activation="sigmoid")(x)), np.arange(28).reshape(4, 7) % 10, images(4, 1)


def workload(name):
    """A model of bench/train.py, small."""

    def make():
        work = QUICK[name]
        model = build(name, work, kcore)
        return model, *work.data()

    make.__name__ = name
    return make


MODELS = [mlp, convnet, resnet, resnet_v2, separable, autoencoder, lstm, recurrent, transformer, *map(workload, QUICK)]


def steps(make):
    """What a model has become after a few steps, and what it then predicts, with the passes that are on."""
    kcore.utils.set_random_seed(0)
    model, x, y = make()
    if x.dtype.kind == "f":
        x = np.resize(np.linspace(-2, 2, 97, dtype="float32"), x.shape)
    if y.dtype.kind == "f":
        y = np.resize(np.linspace(0, 1, 89, dtype="float32"), y.shape)
        model.compile("adam", "mse", metrics=["mae"])
    else:
        loss = kcore.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(kcore.optimizers.SGD(0.01, momentum=0.9), loss, metrics=["accuracy"])
    losses = [np.asarray(model.train_on_batch(x, y)) for _ in range(4)]
    trained = [v.numpy() for v in model.variables]
    predicted = [model.predict_on_batch(x) for _ in range(2)]
    # After another step, predictions are those of the new weights.
    model.train_on_batch(x, y)
    return losses, trained, [*predicted, model.predict_on_batch(x)]


@pytest.fixture(scope="module")
def unchanged():
    """The results of each model without passes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KCORE_PASSES", ALL_OFF)
        return {make: steps(make) for make in MODELS}


@pytest.mark.parametrize("on", [*PASSES, "all"])
@pytest.mark.parametrize("make", MODELS)
def test_models_compute_the_same_with_a_pass(make, on, unchanged, monkeypatch):
    monkeypatch.setenv("KCORE_PASSES", "" if on == "all" else ",".join("-" + name for name in PASSES if name != on))
    losses, trained, predicted = unchanged[make]
    losses_now, trained_now, predicted_now = steps(make)
    np.testing.assert_array_equal(losses_now, losses)
    for value, expected in zip(trained_now, trained):
        np.testing.assert_array_equal(value, expected)
    for value, expected in zip(predicted_now, predicted):
        if on in ("batch_norm", "all"):
            # Sums of at most 288 products, kernels rounded once more: (288 + 4) 2**-24 of the largest values per layer.
            np.testing.assert_allclose(value, expected, rtol=1e-5, atol=5e-5 * max(1, np.abs(expected).max()))
        else:
            np.testing.assert_array_equal(value, expected)


def program_of(function, *arguments):
    f = Recorded(function)
    tensors = [ops.convert_to_tensor(a) for a in arguments]
    first = f(*tensors)
    np.testing.assert_allclose(f(*tensors).numpy(), first.numpy(), rtol=1e-5, atol=1e-5)
    return f.programs[0]


def calls_of(program):
    """The names of the ops that run each time."""
    text = str(program).split("# computed when")[0]
    return [line.split(" = ")[1].split("(")[0] for line in text.splitlines() if " = " in line and "(%" in line]


def test_a_residual_block_predicts_with_convolutions_alone():
    model, x, _ = resnet()
    program = program_of(lambda x: model(x, training=False), x)
    assert calls_of(program) == ["conv"] * 8 + ["mean", "matmul"]


def test_normalization_in_training_takes_the_activation_and_the_shortcut():
    """Of the relus of a residual network only the gradients remain that are the gradients of shortcuts as well."""
    model, x, y = resnet()
    model.compile("sgd", "mse")
    for _ in range(3):
        model.train_on_batch(x, y)
    (recorded,) = [recorded for name, (_, recorded) in model._recorded._steps.items() if "train" in name]
    calls = calls_of(recorded.programs[0])
    # Three relus and shortcuts; the last relu's gradient is one of its own, the others follow an addition.
    assert calls.count("batch_norm_train") == calls.count("batch_norm_grad") == 8
    assert "relu" not in calls and str(recorded.programs[0]).count("relu_grad") == 3


def test_folded_kernels_follow_the_variables():
    model = kcore.Sequential([kcore.Input((6, 6, 2)), layers.Conv2D(3, 3), layers.BatchNormalization()])
    x = images(2, 6, 6, 2)
    f = Recorded(lambda x: model(x, training=False))
    for scale in (1.0, 2.0, -3.0):
        model.layers[1].gamma.assign(np.full(3, scale, "float32"))
        model.layers[1].moving_mean.assign(np.full(3, scale / 2, "float32"))
        for _ in range(2):
            expected = model(x, training=False).numpy()
            np.testing.assert_allclose(f(ops.convert_to_tensor(x)).numpy(), expected, rtol=1e-5, atol=1e-5)
    assert calls_of(f.programs[0]) == ["conv"]


def pooled_gradient(x, window, strides, padding):
    with kcore.GradientTape() as tape:
        tape.watch(x)
        p = ops.max_pool(ops.relu(x), window, strides, padding)
        loss = ops.sum(p * ops.sin(p + 1.0))
    return tape.gradient(loss, x)


@pytest.mark.parametrize("window, strides, padding", [(2, 2, "valid"), (3, 2, "same"), (3, 1, "same"), (2, 3, "valid")])
def test_relu_before_pooling_masks_what_was_pooled(window, strides, padding):
    x = images(2, 7, 8, 3)
    x[0, 2, 3, 1], x[1, 4, 4] = np.nan, -np.inf
    f = Recorded(lambda x: pooled_gradient(x, window, strides, padding))
    x = ops.convert_to_tensor(x)
    eager = pooled_gradient(x, window, strides, padding).numpy()
    f(x)
    np.testing.assert_array_equal(f(x).numpy(), eager)
    assert calls_of(f.programs[0])[-1] == "max_pool_grad"


def shortcuts(outputs):
    """More than a core's cache holds for 16 images; all kinds of calls that know no other image."""
    i = kcore.Input((24, 24, 8))
    x = y = layers.Conv2D(16, 3, padding="same", activation="relu")(i)
    y = layers.BatchNormalization()(layers.AveragePooling2D(2)(y))
    x = layers.Conv2D(16, 1, 2)(x)
    x = layers.ReLU()(layers.Add()([x, layers.Conv2D(16, 3, padding="same")(y)])) * 0.5
    x = layers.MaxPooling2D()(layers.Activation("gelu")(x))
    flat = layers.Dense(5, activation="softmax")(layers.Flatten()(x))
    vector = layers.Dense(4)(layers.GlobalAveragePooling2D()(x) + layers.GlobalMaxPooling2D()(x))
    return kcore.Model(i, [flat, vector, ops.sum(vector, axis=0)][:outputs])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("batch, threads, cut", [(16, 1, 1), (16, 2, 1), (48, 3, 1), (16, 8, 0), (13, 2, 0), (4, 1, 0)])
def test_inference_goes_through_the_network_in_slices(batch, threads, cut, dtype, monkeypatch):
    model = shortcuts(3)
    x = ops.cast(images(batch, 24, 24, 8), dtype)
    expected = [y.numpy() for y in model(x, training=False)]
    before = _core.num_threads()
    _core.set_num_threads(threads)
    try:
        f = Recorded(lambda x: model(x, training=False))
        for _ in range(3):
            received = [y.numpy() for y in f(x)]
    finally:
        _core.set_num_threads(before)
    assert calls_of(f.programs[0]).count("slices") == cut
    monkeypatch.setenv("KCORE_PASSES", "-slices")
    g = Recorded(lambda x: model(x, training=False))
    for _ in range(2):
        unsliced = [y.numpy() for y in g(x)]
    assert "slices" not in calls_of(g.programs[0])
    for value, same, near in zip(received, unsliced, expected):
        np.testing.assert_array_equal(value, same)
        tolerance = 2e-2 if dtype == "bfloat16" else 1e-5  # the batch normalization has been folded
        np.testing.assert_allclose(value.astype("float32"), near.astype("float32"), rtol=tolerance, atol=tolerance)


def test_training_and_what_reads_several_images_are_not_cut():
    model = shortcuts(1)
    x = images(16, 24, 24, 8)
    model.compile("sgd", "mse")
    for _ in range(3):
        model.train_on_batch(x, images(16, 5))
    assert all("slices(" not in str(p) for _, r in model._recorded._steps.values() for p in r.programs)
    flipped = Recorded(lambda x: ops.flip(model(ops.flip(x, axis=0), training=False), axis=0))
    for _ in range(2):
        received = flipped(ops.convert_to_tensor(x)).numpy()
    np.testing.assert_allclose(received, model(x, training=False).numpy(), rtol=1e-5, atol=1e-6)


def test_what_others_read_is_not_taken_over():
    a, b = images(4, 5), images(5, 6)

    def f(a, b):
        y = ops.matmul(a, b)
        return ops.relu(y) + ops.sum(y)

    program = program_of(f, a, b)
    assert calls_of(program) == ["matmul", "sum", "chain"] and "activation" not in str(program)


@pytest.mark.parametrize("bias", [(6,), (1, 6), (2, 3)])
def test_biases_and_residuals_become_the_products(bias):
    a, b, c, d = images(4, 5), images(5, 6), images(*bias), images(4, 6)
    if bias == (2, 3):
        d = d.reshape(4, 2, 3)

    def f(a, b, c, d):
        y = ops.matmul(a, b)
        if bias == (2, 3):
            y = ops.reshape(y, (4, 2, 3))
        return ops.tanh(d + (y + c))

    assert [name for name in calls_of(program_of(f, a, b, c, d)) if name != "reshape"] == ["matmul"]


def test_rows_and_columns_that_repeat_otherwise_are_no_bias():
    a, b, column = images(4, 5), images(5, 4), images(4, 1)
    assert calls_of(program_of(lambda a, b, c: ops.matmul(a, b) + c, a, b, column)) == ["matmul", "add"]


def test_elementwise_calls_become_one(monkeypatch):
    """Operands of every kind that a chain takes, several results, dtypes of all sizes, more elements than a tile has."""

    def f(x, row, rows, one):
        y = ops.tanh(x * row + one) - rows
        mask = ops.logical_and(y > row, x < one)
        z = ops.where(mask, ops.cast(ops.cast(y, "int32"), "float32"), ops.clip(y, -0.5, 0.5))
        return ops.concatenate([y, z * z + y], axis=0)

    arguments = images(3, 50, 70), images(70), images(1, 50, 70), images(1, 1)
    tensors = [ops.convert_to_tensor(a) for a in arguments]
    f = Recorded(f)
    expected = f(*tensors).numpy()
    assert calls_of(f.programs[0]) == ["chain", "concat"]
    assert "tanh(t" in str(f.programs[0])
    for threads in (1, 2):
        before = _core.num_threads()
        _core.set_num_threads(threads)
        np.testing.assert_array_equal(f(*tensors).numpy(), expected)
        _core.set_num_threads(before)


def test_long_and_branching_chains():
    def f(x, other):
        values = [x]
        for i in range(40):
            values.append((values[-1] + values[i // 2]) * 0.5)
            if i % 7 == 3:
                values[-1] = values[-1] + ops.mean(values[-2])
        return ops.stack(values[::5]) + other

    x, other = images(9, 33), images(33)
    f = Recorded(f)
    arguments = ops.convert_to_tensor(x), ops.convert_to_tensor(other)
    expected = f(*arguments).numpy()
    np.testing.assert_array_equal(f(*arguments).numpy(), expected)


def test_chains_of_large_arrays():
    """Results that are written around the cache."""
    x = np.resize(np.linspace(-3, 3, 1009, dtype="float32"), (3, 3_000_001))
    f = Recorded(lambda x: ops.sum(ops.stack([x * 2 + 1, ops.relu(x * 2 + 1)]), axis=-1) + (ops.tanh(x) * x)[:, 5])
    expected = f(ops.convert_to_tensor(x)).numpy()
    np.testing.assert_array_equal(f(ops.convert_to_tensor(x)).numpy(), expected)


def test_values_are_computed_in_place(monkeypatch):
    def f(x):
        y = ops.exp(x)
        y = ops.tanh(y + ops.mean(y))
        return ops.sum(ops.where(y > 0.5, y, -y), axis=1)

    x = images(64, 64)
    monkeypatch.setenv("KCORE_PASSES", "-chains")
    with_pass = program_of(f, x)
    monkeypatch.setenv("KCORE_PASSES", "-chains,-in_place")
    without = program_of(f, x)
    assert with_pass.arena_bytes < 0.75 * without.arena_bytes and with_pass.value_bytes == without.value_bytes
    assert "in place" in str(with_pass) and "in place" not in str(without)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int32"])
def test_elementwise_kernels_may_write_where_they_read(dtype, monkeypatch):
    """Every op that may: with another input that repeats, sizes with a rest."""
    monkeypatch.setenv("KCORE_PASSES", "-chains")
    floating = dtype != "int32"
    unary = ["negative", "absolute", "sign", "square", "relu"]
    if floating:
        unary += ["exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "sin", "cos", "tan", "tanh", "sinh", "cosh", "erf"]
        unary += ["floor", "round", "sigmoid", "softplus", "silu", "gelu"]
    binary = ["add", "subtract", "multiply", "maximum", "minimum", "mod", "floor_divide", "power"]
    x = ops.cast(ops.convert_to_tensor(images(7, 131) * 3 + 0.5), dtype)
    row = ops.cast(ops.convert_to_tensor(np.linspace(1, 3, 131, dtype="float32")), dtype)
    for name in unary + binary:
        op = getattr(ops, name)
        if name in binary:

            def f(x, row, op=op):
                return ops.sum(op(op(x + row, row), x), axis=0)  # in place as first input
        else:

            def f(x, row, op=op):
                return ops.sum(op(x + row), axis=0)

        recorded = Recorded(f)
        expected = recorded(x, row).numpy().astype("float64")  # which knows NaN, as bfloat16 does not
        np.testing.assert_array_equal(recorded(x, row).numpy().astype("float64"), expected, err_msg=name)
        assert "in place" in str(recorded.programs[0]), name


def test_programs_say_what_they_do():
    model, x, y = mlp()
    model.compile("adam", "mse")
    model.train_on_batch(x, y)
    text = str(program_of(lambda x: model(x, training=False), x))
    assert text.startswith("# 2 calls of ops")
    assert "matmul(%0" in text and "# reads 3.3 KB, writes 1.0 KB" in text


def test_a_pass_that_there_is_not(monkeypatch):
    monkeypatch.setenv("KCORE_PASSES", "-epilogues")
    with pytest.raises(
        ValueError, match=r"expected some of -batch_norm, -epilogue, -norm, -pooling, .*received '-epilogues'"
    ):
        program_of(lambda x: x + x, images(3))


def test_bodies_of_loops_are_optimized():
    w = images(5, 5)

    def f(x):
        return ops.fori_loop(0, 3, lambda i, x: ops.relu(ops.matmul(x, w) + x), x)

    text = str(program_of(f, images(4, 5)))
    assert "activation=relu" in text
