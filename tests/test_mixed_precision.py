"""Models under mixed_bfloat16: they learn what float32 learns, and keep float32 where it counts."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import kcore
from kcore import layers, ops

datasets = pytest.importorskip("sklearn.datasets")
IMAGES, LABELS = datasets.load_digits(return_X_y=True)
IMAGES = (IMAGES / 16).astype("float32").reshape(-1, 8, 8, 1)
TRAIN, HELD_OUT = slice(0, 1300), slice(1300, None)


@pytest.fixture
def mixed():
    kcore.config.set_dtype_policy("mixed_bfloat16")
    yield
    kcore.config.set_dtype_policy("float32")


def classifier(x, h):
    return kcore.Model(x, layers.Dense(10, activation="softmax", dtype="float32")(h))


def convolutional():
    x = kcore.Input((8, 8, 1))
    h = layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
    h = layers.MaxPooling2D()(layers.ReLU()(layers.BatchNormalization()(h)))
    h = layers.Conv2D(32, 3, padding="same", activation="relu")(h)
    return classifier(x, layers.Dropout(0.2)(layers.Flatten()(h)))


def recurrent():
    x = kcore.Input((8, 8, 1))
    return classifier(x, layers.Bidirectional(layers.LSTM(32))(layers.Reshape((8, 8))(x)))


def transformer():
    x = kcore.Input((8, 8, 1))
    h = layers.Dense(32)(layers.Reshape((8, 8))(x))
    h = layers.LayerNormalization()(layers.Add()([h, layers.MultiHeadAttention(4, 8)(h, h)]))
    h = layers.LayerNormalization()(layers.Add()([h, layers.Dense(32)(layers.Dense(64, activation="gelu")(h))]))
    return classifier(x, layers.Flatten()(h))


def accuracy(build, epochs: int, policy: str) -> float:
    kcore.utils.set_random_seed(4)
    kcore.config.set_dtype_policy(policy)
    try:
        model = build()
    finally:
        kcore.config.set_dtype_policy("float32")
    model.compile(kcore.optimizers.Adam(4e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(IMAGES[TRAIN], LABELS[TRAIN], batch_size=50, epochs=epochs, verbose=0)
    return model.evaluate(IMAGES[HELD_OUT], LABELS[HELD_OUT], verbose=0)[1]


@pytest.mark.parametrize(("build", "epochs"), [(convolutional, 12), (recurrent, 40), (transformer, 12)])
def test_learns_what_float32_learns(build, epochs):
    # 497 images: other seeds move the accuracy of either by a point, which is 5 images.
    full, mixed = accuracy(build, epochs, "float32"), accuracy(build, epochs, "mixed_bfloat16")
    assert full > 0.9 and mixed > full - 0.02, (full, mixed)


def test_variables_and_what_layers_exchange(mixed):
    model = convolutional()
    assert [layer.output.dtype for layer in model.layers] == ["float32"] + ["bfloat16"] * (len(model.layers) - 2) + [
        "float32"
    ]
    assert {v.dtype for v in model.variables if "seed" not in v.path} == {"float32"}
    seen = {}

    class Probe(layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight((shape[-1], 2), name="kernel")
            self.table = self.add_weight((2,), autocast=False, name="table")
            self.count = self.add_weight((), dtype="int32", initializer="zeros", trainable=False, name="count")

        def call(self, x, ids, scale):
            seen.update(x=x.dtype, ids=ids.dtype, scale=scale.dtype, kernel=self.kernel.dtype, table=self.table.dtype)
            seen.update(value=self.kernel.value.dtype, count=self.count.value.dtype)
            return ops.matmul(x, self.kernel) + scale

    probe = Probe()
    x, scale = np.ones((3, 4), "float32"), np.ones(2)
    with kcore.GradientTape() as tape:
        y = probe(x, ids=np.zeros(3, "int32"), scale=scale)
    assert y.dtype == "bfloat16" and probe.kernel.value.dtype == probe.kernel.dtype == "float32"
    assert seen == {
        "x": "bfloat16",
        "ids": "int32",
        "scale": "bfloat16",
        "kernel": "bfloat16",
        "value": "bfloat16",
        "table": "float32",
        "count": "int32",
    }
    dkernel = tape.gradient(y, probe.kernel)
    assert (dkernel.dtype, dkernel.tolist()) == ("float32", [[3, 3]] * 4)


def test_layers_inside_layers_have_their_own_policies(mixed):
    inner = layers.Dense(2, dtype="float32")

    class Outer(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def call(self, x):
            seen = self.inner(x)
            assert x.dtype == "bfloat16" and seen.dtype == "float32"
            assert inner.kernel.value.dtype == "bfloat16"  # here outside of the layer that owns it
            return seen

    y = Outer()(np.ones((1, 3), "float32"))
    assert y.dtype == "float32" and inner.kernel.value.dtype == "float32"
    # The float32 layer computed with its kernel as it is.
    np.testing.assert_allclose(y, np.ones((1, 3)) @ inner.kernel.numpy(), rtol=1e-6)
    with pytest.raises(ValueError):
        layers.Dense(2)(np.ones(()))
    assert inner.kernel.value.dtype == "float32"  # an error leaves no cast behind


def test_a_small_update_is_not_lost(mixed):
    layer = layers.Dense(1, kernel_initializer="ones", use_bias=False)
    layer.build((None, 1))
    optimizer = kcore.optimizers.SGD(1e-4)
    for _ in range(10):  # 1 - 1e-4 is 1 in bfloat16
        optimizer.apply([ops.ones((1, 1))], [layer.kernel])
    np.testing.assert_allclose(layer.kernel.numpy(), [[1 - 1e-3]], rtol=1e-6)


def test_losses_and_metrics_compute_in_float32():
    y, p = np.zeros((1, 1000), "float32"), np.ones((1, 1000), ml_dtypes.bfloat16)
    p[0, 0] = 3
    loss = kcore.losses.MeanSquaredError()(y, p)
    assert loss.dtype == "float32" and loss.item() == pytest.approx(1.008)
    metric = kcore.metrics.MeanSquaredError()
    metric.update_state(y, p)
    assert metric.result().dtype == "float32" and float(metric.result()) == pytest.approx(1.008)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_saved_and_loaded(tmp_path, policy):
    model = kcore.Sequential(
        [kcore.Input((8, 8, 1)), layers.Flatten(dtype=policy), layers.Dense(10, "softmax", dtype=policy)]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(IMAGES[:64], LABELS[:64], verbose=0)
    expected = model.predict(IMAGES[:8], verbose=0)
    assert expected.dtype == ml_dtypes.bfloat16
    for name in ("m.keras", "m.h5"):
        model.save(tmp_path / name)
        read = kcore.models.load_model(tmp_path / name)
        assert read.layers[-1].dtype_policy.name == policy
        assert read.layers[-1].kernel.dtype == ("float32" if policy == "mixed_bfloat16" else "bfloat16")
        np.testing.assert_array_equal(read.predict(IMAGES[:8], verbose=0), expected)
        for a, b in zip(read.optimizer.variables, model.optimizer.variables, strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_mixed_float16_is_float32_inside():
    layer = layers.Dense(2, dtype="mixed_float16")
    assert layer(np.ones((1, 3), "float16")).dtype == "float32"
    assert (layer.compute_dtype, layer.variable_dtype, layer.kernel.dtype) == ("float16", "float32", "float32")
