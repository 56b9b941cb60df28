"""Activations against Keras: values, gradients, names."""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")

import kcore  # noqa: E402
from kcore import activations  # noqa: E402

# Far values, near ones, and those where formulas change.
X = np.array(
    [[-40.0, -7.3, -3.0, -1.0, -0.7, -0.5], [-0.2, 0.0, 0.3, 0.5, 0.9, 1.0], [1.7, 2.2, 3.0, 5.9, 6.5, 41.0]],
    dtype="float32",
)
CASES = [
    ("celu", {}),
    ("celu", {"alpha": 0.3}),
    ("elu", {}),
    ("elu", {"alpha": 0.4}),
    ("exponential", {}),
    ("gelu", {}),
    ("gelu", {"approximate": True}),
    ("glu", {}),
    ("glu", {"axis": 1}),
    ("hard_shrink", {}),
    ("hard_shrink", {"threshold": 0.8}),
    ("hard_sigmoid", {}),
    ("hard_silu", {}),
    ("hard_swish", {}),
    ("hard_tanh", {}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.05}),
    ("linear", {}),
    ("log_sigmoid", {}),
    ("log_softmax", {}),
    ("log_softmax", {"axis": 0}),
    ("mish", {}),
    ("relu", {}),
    ("relu", {"negative_slope": 0.1}),
    ("relu", {"max_value": 4.0}),
    ("relu", {"threshold": 0.4}),
    ("relu", {"threshold": -0.4}),
    ("relu", {"negative_slope": 0.1, "max_value": 6.0, "threshold": 2.0}),
    ("relu6", {}),
    ("selu", {}),
    ("sigmoid", {}),
    ("silu", {}),
    ("soft_shrink", {}),
    ("soft_shrink", {"threshold": 0.8}),
    ("softmax", {}),
    ("softmax", {"axis": 0}),
    ("softmax", {"axis": (0, 1)}),
    ("softplus", {}),
    ("softsign", {}),
    ("sparse_plus", {}),
    ("sparse_sigmoid", {}),
    ("sparsemax", {}),
    ("sparsemax", {"axis": 0}),
    ("squareplus", {}),
    ("squareplus", {"b": 1.0}),
    ("swish", {}),
    ("tanh", {}),
    ("tanh_shrink", {}),
    ("threshold", {"threshold": 0.4, "default_value": -2.0}),
]


@pytest.mark.parametrize(("name", "kwargs"), CASES)
def test_values(name, kwargs):
    expected = np.asarray(getattr(keras.activations, name)(keras.ops.array(X), **kwargs))
    received = getattr(activations, name)(kcore.ops.convert_to_tensor(X), **kwargs)
    assert received.dtype == "float32"
    # A few units in the last place of float32: both sides round exp and log.
    np.testing.assert_allclose(received.numpy(), expected, rtol=3e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "kwargs"), CASES)
def test_gradients(name, kwargs):
    # Away from the kinks, where conventions differ. Sizes at which float32 exp does not overflow.
    x = np.array([[-5.1, -2.2, -0.61, 0.11], [0.61, 0.91, 2.3, 5.4]], dtype="float32")
    dy = np.linspace(0.5, 2, 8 if name != "glu" else 4).astype("float32").reshape(2, -1)

    import jax

    expected = jax.vjp(lambda v: getattr(keras.activations, name)(v, **kwargs), x)[1](dy)[0]
    tensor = kcore.ops.convert_to_tensor(x)
    with kcore.GradientTape() as tape:
        tape.watch(tensor)
        y = getattr(activations, name)(tensor, **kwargs)
    received = tape.gradient(y, tensor, output_gradients=kcore.ops.convert_to_tensor(dy))
    # A few units in the last place; differences of products of order 1 in the softmax family.
    np.testing.assert_allclose(received.numpy(), np.asarray(expected), rtol=2e-5, atol=3e-6)


def test_every_name_of_keras_is_covered():
    functions = {n for n in dir(keras.activations) if not n.startswith("_")} - {"get", "serialize", "deserialize"}
    assert functions == {name for name, _ in CASES}
    for name in functions:
        assert activations.get(name) is getattr(activations, name)
        assert activations.serialize(activations.get(name)) == keras.activations.serialize(keras.activations.get(name))
