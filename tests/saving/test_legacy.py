"""The .h5 format that Keras 2 wrote."""

import json

import h5py
import numpy as np

import kcore
from kcore import layers

from .models import X, assert_same, values


def test_long_lists_of_names_are_split_over_attributes(tmp_path):
    names = [f"layer_{i:03d}_" + "x" * 200 for i in range(400)]
    model = kcore.Sequential([kcore.Input((2,)), *[layers.Activation("linear", name=n) for n in names]])
    model.add(layers.Dense(1))
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        attributes = file["model_weights"].attrs
        assert "layer_names" not in attributes and "layer_names1" in attributes
    other = kcore.models.load_model(tmp_path / "m.h5")
    assert_same(values(other), values(model))


def write_keras2_file(path):
    """A functional model as TensorFlow's Keras 2.11 wrote it."""

    def dense(name, units, source, activation):
        start = {"class_name": "GlorotUniform", "config": {"seed": None}}
        config = {"name": name, "trainable": True, "dtype": "float32", "units": units, "activation": activation}
        config |= {"kernel_initializer": start, "bias_initializer": {"class_name": "Zeros", "config": {}}}
        return {"class_name": "Dense", "config": config, "name": name, "inbound_nodes": [[[source, 0, 0, {}]]]}

    entry = {"batch_input_shape": [None, 4], "dtype": "float32", "sparse": False, "ragged": False, "name": "in"}
    model = {
        "name": "model",
        "layers": [
            {"class_name": "InputLayer", "config": entry, "name": "in", "inbound_nodes": []},
            dense("a", 3, "in", "relu"),
            dense("b", 2, "a", "softmax"),
        ],
        "input_layers": [["in", 0, 0]],
        "output_layers": [["b", 0, 0]],
    }
    accuracy = {"name": "accuracy", "dtype": "float32", "fn": "sparse_categorical_accuracy"}
    training = {
        "loss": "sparse_categorical_crossentropy",
        "metrics": [[{"class_name": "MeanMetricWrapper", "config": accuracy}]],
        "weighted_metrics": None,
        "loss_weights": None,
        "optimizer_config": {"class_name": "Adam", "config": {"name": "Adam", "learning_rate": 0.002, "beta_1": 0.8}},
    }
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": model})
        file.attrs["training_config"] = json.dumps(training)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"in", b"a", b"b"]
        group.create_group("in").attrs["weight_names"] = []
        for name, shape in (("a", (4, 3)), ("b", (3, 2))):
            layer = group.create_group(name)
            layer.attrs["weight_names"] = [f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()]
            layer[f"{name}/kernel:0"] = np.full(shape, 0.5, "float32")
            layer[f"{name}/bias:0"] = np.arange(shape[1], dtype="float32")


def test_files_of_keras_2(tmp_path):
    write_keras2_file(tmp_path / "old.h5")
    model = kcore.models.load_model(tmp_path / "old.h5")
    hidden = np.maximum(X[:, :4] @ np.full((4, 3), 0.5) + np.arange(3), 0)
    logits = hidden @ np.full((3, 2), 0.5) + np.arange(2)
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(model.predict(X[:, :4], verbose=0), expected, rtol=1e-5)
    assert model.optimizer.beta_1 == 0.8 and float(model.optimizer.learning_rate) == np.float32(0.002)
    results = model.evaluate(X[:, :4], np.ones(8), verbose=0, return_dict=True)
    assert results["accuracy"] == 1.0
