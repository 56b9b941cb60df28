"""Looking activations up, symbolic shapes, errors. Values are compared in tests/parity."""

import numpy as np
import pytest

import kcore
from kcore import activations


def test_none_is_linear_and_a_callable_is_itself():
    assert activations.get(None) is activations.linear
    assert activations.get(np.abs) is np.abs


def test_an_unknown_name_gives_the_nearest():
    with pytest.raises(ValueError, match=r'\[activation\] unknown activation "rely"; did you mean "relu"'):
        activations.get("rely")
    with pytest.raises(ValueError, match="expected a name"):
        activations.get(3)


def test_a_registered_function_goes_through_its_config():
    @kcore.saving.register_keras_serializable("test_activations")
    def halve(x):
        return x / 2

    assert activations.deserialize(activations.serialize(halve)) is halve
    with kcore.saving.custom_object_scope({"halve": halve}):
        assert activations.get("halve") is halve


def test_glu_needs_an_even_axis():
    with pytest.raises(ValueError, match=r"\[glu\] expected an even number"):
        activations.glu(np.ones((2, 3), "float32"))


def test_integers_become_floats():
    assert activations.sigmoid(np.array([0, 1])).dtype == "float32"
    assert activations.softsign([3, -1]).numpy().tolist() == [0.75, -0.5]


@pytest.mark.parametrize("name", sorted(set(activations.__all__) - {"get", "serialize", "deserialize", "threshold"}))
def test_applies_to_inputs_of_a_model(name):
    x = kcore.Input((4,))
    y = getattr(activations, name)(x)
    assert y.shape == ((None, 2) if name == "glu" else (None, 4))


@pytest.mark.parametrize("x", [np.nan, np.inf, -np.inf])
def test_relu_propagates_what_is_not_finite(x):
    expected = {np.inf: np.inf, -np.inf: 0.0}.get(x, np.nan)
    np.testing.assert_equal(activations.relu(np.float32([x])).numpy(), np.float32([expected]))
