"""Files of whole models and of weights, written and read again."""

import json
import os
import zipfile

import h5py
import numpy as np
import pytest

import kcore
from kcore import layers, saving

from .models import PATHS, X, Y, assert_same, make_model, trained, values


@pytest.mark.parametrize("name", PATHS)
def test_whole_model(tmp_path, name):
    model = trained(kcore.optimizers.SGD(kcore.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5), momentum=0.9))
    model.save(tmp_path / name)
    back = kcore.models.load_model(tmp_path / name)
    assert_same(values(back), values(model))
    assert_same([v.numpy() for v in back.optimizer.variables], [v.numpy() for v in model.optimizer.variables])
    np.testing.assert_array_equal(back.predict(X, verbose=0), model.predict(X, verbose=0))
    assert back.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    further = [m.fit(X, Y, epochs=2, batch_size=4, shuffle=False, verbose=0).history for m in (model, back)]
    assert further[0] == further[1]  # training goes on where it was


@pytest.mark.parametrize("name", PATHS)
def test_without_compile(tmp_path, name):
    model = trained()
    model.save(tmp_path / name)
    back = kcore.models.load_model(tmp_path / name, compile=False)
    assert_same(values(back), values(model))
    assert not back.compiled


def test_include_optimizer_false(tmp_path):
    trained().save(tmp_path / "m.h5", include_optimizer=False)
    with h5py.File(tmp_path / "m.h5") as file:
        assert "training_config" not in file.attrs and "optimizer_weights" not in file


def test_weights(tmp_path):
    model, other = trained(), trained()
    model.save_weights(tmp_path / "m.weights.h5")
    other.load_weights(tmp_path / "m.weights.h5")
    assert_same(values(other), values(model))
    assert_same([v.numpy() for v in other.optimizer.variables], [v.numpy() for v in model.optimizer.variables])
    for name in PATHS:  # weights out of a file with a whole model
        model.save(tmp_path / name)
        other = make_model()
        other.load_weights(tmp_path / name)
        assert_same(values(other), values(model))


def test_folder(tmp_path):
    model = trained()
    for _ in range(2):  # the second replaces the first
        model.save(tmp_path / "folder", zipped=False)
        assert sorted(os.listdir(tmp_path / "folder")) == ["config.json", "metadata.json", "model.weights.h5"]
    assert os.listdir(tmp_path) == ["folder"]
    assert_same(values(kcore.models.load_model(tmp_path / "folder")), values(model))


def test_open_h5_file(tmp_path):
    model = trained()
    with h5py.File(tmp_path / "x.h5", "w") as file:
        saving.save_model(model, file)
        assert_same(values(saving.load_model(file)), values(model))


def test_json():
    model = make_model()
    back = kcore.models.model_from_json(model.to_json())
    assert [w.shape for w in back.weights] == [w.shape for w in model.weights]
    assert json.loads(model.to_json(indent=2))["class_name"] == "Functional"
    for bad in ("no json", None, "3"):
        with pytest.raises((ValueError, TypeError)):
            kcore.models.model_from_json(bad)


def test_archive_layout(tmp_path):
    trained().save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        assert json.loads(archive.read("metadata.json"))["keras_version"].startswith("3.")


@saving.register_keras_serializable("test_saving")
class Scale(layers.Layer):
    """A custom layer with a weight, a list, a dict and private parts of layers."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.parts = [layers.Dense(units), [layers.Dense(2)]]
        self.named = {"b": layers.Dense(units), "a": layers.Dense(units)}
        self._hidden = layers.Dense(2)

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(1,), initializer="ones", name="factor")

    def call(self, x):
        x = self.parts[1][0](self._hidden(self.parts[0](x)))
        return self.named["a"](self.named["b"](x)) * self.factor

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@pytest.mark.parametrize("name", PATHS)
def test_custom_layer(tmp_path, name):
    model = make_model(layer=Scale())
    for i, variable in enumerate(model.weights):
        variable.assign(np.full(variable.shape, i, "float32"))
    model.save(tmp_path / name)
    back = kcore.models.load_model(tmp_path / name)
    assert_same(values(back), values(model))


def test_paths_of_parts(tmp_path):
    model = make_model(layer=Scale())
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5") as file:
        found = []
        file.visit(found.append)
    found = [name for name in found if name.startswith("layers/scale/") and name.endswith("vars/0")]
    assert sorted(found) == [
        "layers/scale/_hidden/vars/0",
        "layers/scale/named/dense/vars/0",
        "layers/scale/named/dense_1/vars/0",
        "layers/scale/parts/container/dense/vars/0",
        "layers/scale/parts/dense/vars/0",
        "layers/scale/vars/0",
    ]


def test_unknown_custom_layer(tmp_path):
    class Stranger(layers.Layer):
        def call(self, x):
            return x

    make_model(layer=Stranger()).save(tmp_path / "m.keras")
    with pytest.raises(TypeError, match=r"received 'Stranger'.*register_keras_serializable"):
        kcore.models.load_model(tmp_path / "m.keras")
    assert kcore.models.load_model(tmp_path / "m.keras", custom_objects={"Stranger": Stranger}).built


def test_subclassed_model(tmp_path):
    @saving.register_keras_serializable("test_saving", "Subclassed")
    class Subclassed(kcore.Model):
        def __init__(self, units=4, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.body = kcore.Sequential([layers.Dense(units, activation="relu"), layers.Dropout(0.1)])
            self.head = layers.Dense(3)

        def call(self, x):
            return self.head(self.body(x))

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    model = Subclassed(5)
    with pytest.raises(ValueError, match="expected a built model"):
        model.save_weights(tmp_path / "m.weights.h5")
    model.compile("rmsprop", kcore.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.keras")
    back = kcore.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(back.predict(X, verbose=0), model.predict(X, verbose=0))
    assert_same([v.numpy() for v in back.optimizer.variables], [v.numpy() for v in model.optimizer.variables])


def test_shared_and_nested_models(tmp_path):
    encoder = kcore.Sequential([kcore.Input((6,)), layers.Dense(4, name="twin")], name="encoder")
    a, b = kcore.Input((6,), name="a"), kcore.Input((6,), name="b")
    model = kcore.Model([a, b], layers.Subtract()([encoder(a), encoder(b)]))
    for name in PATHS:
        model.save(tmp_path / name)
        back = kcore.models.load_model(tmp_path / name)
        assert len(back.weights) == 2
        assert_same([back.predict([X, -X], verbose=0)], [model.predict([X, -X], verbose=0)])
