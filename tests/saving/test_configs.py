"""Configs: what serialize_keras_object writes and deserialize_keras_object reads, with and without custom objects."""

import numpy as np
import pytest

import kcore
from kcore import saving
from kcore.saving import deserialize_keras_object, registration, scopes, serialize_keras_object


@pytest.fixture(autouse=True)
def no_registrations():
    """Registers nothing beyond one test."""
    objects, names = dict(registration._OBJECTS), dict(registration._NAMES)
    yield
    for table, old in ((registration._OBJECTS, objects), (registration._NAMES, names)):
        table.clear()
        table.update(old)


class Point:
    def __init__(self, x=0, other=None):
        self.x, self.other = x, other

    def get_config(self):
        return {"x": self.x, "other": self.other}

    @classmethod
    def from_config(cls, config):
        return cls(config["x"], deserialize_keras_object(config["other"]))


def halve(x):
    return x / 2


PLAIN = [None, True, 3, 2.5, "text", [1, [2]], {"a": {"b": [1, None]}}]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_values_stay(value):
    assert serialize_keras_object(value) == value
    assert deserialize_keras_object(value) == value


@pytest.mark.parametrize("value", [slice(1, None, 2), b"bytes", Ellipsis, [slice(None), Ellipsis]], ids=repr)
def test_tagged_values(value):
    assert deserialize_keras_object(serialize_keras_object(value)) == value


def test_arrays_and_tensors():
    array = np.arange(6, dtype="int32").reshape(2, 3)
    back = deserialize_keras_object(serialize_keras_object(array))
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype
    tensor = kcore.ops.convert_to_tensor(array)
    back = deserialize_keras_object(serialize_keras_object({"t": tensor}))["t"]
    assert back.dtype == "int32" and back.numpy().tolist() == array.tolist()
    for scalar in (np.float32(2.5), np.array(2.5), np.float64(2.5)):
        assert serialize_keras_object(scalar) == 2.5 and type(serialize_keras_object(scalar)) is float
    assert serialize_keras_object(np.dtype("float32")) == "float32"


def test_objects_of_the_library_carry_names_of_keras():
    config = serialize_keras_object(kcore.initializers.HeNormal(seed=3))
    assert config == {
        "module": "keras.initializers",
        "class_name": "HeNormal",
        "config": {"seed": 3, "input_axes": None, "output_axes": None},
        "registered_name": None,
    }
    assert isinstance(deserialize_keras_object(config), kcore.initializers.HeNormal)
    for module in ("keras.initializers", "keras.src.initializers.random_initializers", "kcore.initializers", None):
        assert isinstance(deserialize_keras_object({**config, "module": module}), kcore.initializers.HeNormal)


def test_functions_of_the_library():
    config = serialize_keras_object(kcore.activations.relu)
    assert config["class_name"] == "function" and config["config"] == "relu"
    assert deserialize_keras_object(config) is kcore.activations.relu


def test_registered_class_and_function():
    saving.register_keras_serializable("pack")(Point)
    saving.register_keras_serializable("pack", "half")(halve)
    assert saving.get_registered_name(Point) == "pack>Point"
    assert saving.get_registered_object("pack>half") is halve
    config = serialize_keras_object(Point(1, Point(2)))
    assert config["registered_name"] == "pack>Point" and config["config"]["other"]["registered_name"] == "pack>Point"
    back = deserialize_keras_object(config)
    assert isinstance(back, Point) and back.other.x == 2
    config = serialize_keras_object(halve)
    assert config == {
        "module": "builtins",
        "class_name": "function",
        "config": "pack>half",
        "registered_name": "function",
    }
    assert deserialize_keras_object(config) is halve
    # Keras up to 3.6 wrote the function without its package
    assert deserialize_keras_object({**config, "config": "half"}) is halve


def test_custom_objects_by_argument_scope_and_global_dict():
    config = serialize_keras_object(Point(5))
    with pytest.raises(TypeError, match="expected a known class, received 'Point'"):
        deserialize_keras_object(config)
    assert deserialize_keras_object(config, custom_objects={"Point": Point}).x == 5
    with saving.custom_object_scope({"Point": Point}):
        assert deserialize_keras_object(config).x == 5
        with saving.CustomObjectScope({"halve": halve}):
            assert saving.get_registered_object("Point") is None
        assert saving.get_registered_object("Point") is Point
    assert saving.get_registered_object("Point") is None
    saving.get_custom_objects()["Point"] = Point
    assert deserialize_keras_object(config).x == 5


def test_a_custom_name_does_not_replace_a_class_of_the_library():
    config = serialize_keras_object(kcore.regularizers.L2(0.5))
    assert deserialize_keras_object(config, custom_objects={"L2": Point}).l2 == 0.5


def test_unknown_names_get_the_nearest_match():
    config = serialize_keras_object(kcore.initializers.HeNormal())
    with pytest.raises(TypeError, match="did you mean 'HeNormal'"):
        deserialize_keras_object({**config, "class_name": "HeNormall"})
    with pytest.raises(TypeError, match="did you mean 'relu'"):
        deserialize_keras_object({**serialize_keras_object(kcore.activations.relu), "config": "rellu"})


@pytest.mark.parametrize(
    ("module", "name"),
    [("keras.models", "load_model"), ("keras.utils", "get_file"), ("os", "system"), ("builtins", "eval")],
)
def test_files_reach_no_other_functions(module, name):
    for kind in (name, "function"):
        config = {"module": module, "class_name": kind, "config": name, "registered_name": name}
        with pytest.raises(TypeError, match="expected"):
            deserialize_keras_object(config, safe_mode=False)


def test_lambda_only_outside_safe_mode():
    shift = 3
    with pytest.warns(UserWarning, match="lambda"):
        config = serialize_keras_object(lambda x, y=2: x * y + shift)
    with pytest.raises(ValueError, match="safe_mode=False"):
        deserialize_keras_object(config)
    with pytest.raises(ValueError, match="safe_mode=False"):
        deserialize_keras_object({"nested": [config]})
    assert deserialize_keras_object(config, safe_mode=False)(5) == 13
    with scopes.SafeModeScope(True), pytest.raises(ValueError, match="safe_mode=False"):
        deserialize_keras_object(config, safe_mode=False)  # an outer safe mode wins
    with pytest.raises(ValueError, match="marshalled"):
        deserialize_keras_object(
            {"class_name": "__lambda__", "config": {"value": ["AAAA", None, None]}}, safe_mode=False
        )


def test_unsafe_deserialization_can_be_enabled(monkeypatch):
    monkeypatch.setattr(scopes, "_unsafe_everywhere", False)
    with pytest.warns(UserWarning, match="lambda"):
        config = serialize_keras_object(lambda x: x + 1)
    scopes.enable_unsafe_deserialization()
    assert deserialize_keras_object(config)(1) == 2


def test_shared_objects_become_one_again():
    shared = kcore.initializers.Ones()
    with scopes.ObjectSharingScope():
        config = serialize_keras_object({"a": shared, "b": [shared, kcore.initializers.Ones()]})
    assert config["a"]["shared_object_id"] == config["b"][0]["shared_object_id"]
    assert "shared_object_id" not in config["b"][1]
    with scopes.ObjectSharingScope():
        back = deserialize_keras_object(config)
    assert back["a"] is back["b"][0] and back["a"] is not back["b"][1]
    assert "shared_object_id" not in serialize_keras_object([shared, shared])[0]


@pytest.mark.parametrize("bad", [object(), Point, len.__self__], ids=["object", "class", "module"])
def test_what_cannot_be_written(bad):
    with pytest.raises(TypeError, match="serialize_keras_object"):
        serialize_keras_object(bad)


@pytest.mark.parametrize(
    "bad",
    [
        ...,
        {"class_name": "__slice__", "config": {}},
        {"class_name": "__unheard__", "config": {}},
        {"class_name": "L2", "config": 3, "module": "keras.regularizers"},
        {"class_name": "L2", "config": {"l3": 3}, "module": "keras.regularizers"},
        {"class_name": "function", "config": {}, "module": "builtins"},
    ],
    ids=repr,
)
def test_what_cannot_be_read(bad):
    with pytest.raises((TypeError, ValueError)):
        deserialize_keras_object(bad)


def test_registering_needs_a_config():
    with pytest.raises(ValueError, match="get_config"):
        saving.register_keras_serializable()(type("Bare", (), {}))
