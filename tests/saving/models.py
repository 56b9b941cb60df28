"""A small model to save, and how it is compared."""

import numpy as np

import kcore
from kcore import layers

PATHS = ["m.keras", "m.h5", "m.hdf5"]
_RNG = np.random.default_rng(0)
X, Y = _RNG.normal(size=(8, 6)).astype("float32"), _RNG.integers(0, 3, 8)


def make_model(units=4, activation="tanh", layer=None):
    inputs = kcore.Input((6,))
    x = layers.Dense(units, activation=activation, name="hidden")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    if layer is not None:
        x = layer(x)
    return kcore.Model(inputs, layers.Dense(3, activation="softmax", name="out")(x))


def trained(optimizer="adam", **options):
    model = make_model(**options)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(X, Y, epochs=2, batch_size=4, verbose=0)
    return model


def values(model):
    return [v.numpy() for v in model.weights]


def assert_same(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b):
        np.testing.assert_array_equal(x, y)
