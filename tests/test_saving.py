"""Files: round trips, atomic writes under kill -9, damaged and foreign files."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import zipfile

import h5py
import numpy as np
import pytest

import kcore
from kcore import layers, saving

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(8, 6)).astype("float32"), rng.integers(0, 3, 8)


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


PATHS = ["m.keras", "m.h5", "m.hdf5"]


# ---------------------------------------------------------------------------------------------------- round trips


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


# ---------------------------------------------------------------------------------------------------- atomic writes

CRASH = """
    import os, signal, sys
    import numpy as np
    import kcore
    from kcore.saving import atomic, legacy_h5, store
    path, point = sys.argv[1:]
    model = kcore.Sequential([kcore.Input((6,)), kcore.layers.Dense(40), kcore.layers.Dense(3)])
    for variable in model.weights:
        variable.assign(np.full(variable.shape, 2.0))
    def die(*args):
        os.kill(os.getpid(), signal.SIGKILL)
    if point == "middle":
        calls, real = [], store.to_numpy
        for module in (store, legacy_h5):
            module.to_numpy = lambda v: die() if len(calls) == 2 else calls.append(0) or real(v)
    elif point == "sync":
        atomic.sync = die
    elif point == "rename":
        os.replace = die
    model.save_weights(path) if path.endswith(".weights.h5") else model.save(path)
    sys.exit("the save went through")
"""


@pytest.mark.parametrize("point", ["middle", "sync", "rename"])
@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5"])
def test_a_killed_save_leaves_the_old_file(tmp_path, name, point):
    model = kcore.Sequential([kcore.Input((6,)), layers.Dense(40), layers.Dense(3)])
    path = str(tmp_path / name)
    save = model.save_weights if name.endswith(".weights.h5") else model.save
    save(path)
    before = (tmp_path / name).read_bytes()
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(CRASH), path, point], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (tmp_path / name).read_bytes() == before
    save(path)  # and a later save is not in the way of what the dead process left


def test_a_failing_save_leaves_the_old_file(tmp_path, monkeypatch):
    model = trained()
    model.save(tmp_path / "m.keras")
    before = (tmp_path / "m.keras").read_bytes()
    monkeypatch.setattr(layers.Dense, "save_own_variables", lambda self, store: 1 / 0)
    for save, name in ((model.save, "m.keras"), (model.save_weights, "m.weights.h5")):
        with pytest.raises(ZeroDivisionError):
            save(tmp_path / name)
    assert (tmp_path / "m.keras").read_bytes() == before
    assert os.listdir(tmp_path) == ["m.keras"]


def test_saving_keeps_permissions_and_links(tmp_path):
    model = make_model()
    model.save(tmp_path / "real.keras")
    os.chmod(tmp_path / "real.keras", 0o640)
    (tmp_path / "link.keras").symlink_to("real.keras")
    model.save(tmp_path / "link.keras")
    assert (tmp_path / "link.keras").is_symlink()
    assert os.stat(tmp_path / "real.keras").st_mode & 0o777 == 0o640


def test_overwrite_asks(tmp_path, monkeypatch, capsys):
    model, other = make_model(), make_model()
    for name, save in (("m.keras", "save"), ("m.h5", "save"), ("m.weights.h5", "save_weights")):
        path = tmp_path / name
        getattr(model, save)(path, overwrite=False)  # nothing there: no question
        before = path.read_bytes()
        answers = iter(["what", "n"])
        monkeypatch.setattr("builtins.input", lambda prompt, answers=answers: next(answers))
        getattr(other, save)(path, overwrite=False)
        assert path.read_bytes() == before
        monkeypatch.setattr("builtins.input", lambda prompt: " Y ")
        getattr(other, save)(path, overwrite=False)
        assert path.read_bytes() != before
        assert "overwrite=True" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------------- bad files


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5"])
def test_truncated_and_foreign_files(tmp_path, name):
    model = trained()
    weights_only = name.endswith(".weights.h5")
    (model.save_weights if weights_only else model.save)(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    target = trained()
    before = values(target)
    damaged = [whole[:n] for n in (0, 10, len(whole) // 3, len(whole) // 2, len(whole) - 30)]
    for content in [*damaged, b"not a model" * 50]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"\[load_"):
            target.load_weights(tmp_path / name)
        if not weights_only:
            with pytest.raises(ValueError, match=r"\[load_model\]"):
                kcore.models.load_model(tmp_path / name)
    assert_same(values(target), before)


def test_flipped_bytes_never_crash(tmp_path):
    model = make_model()
    for name in ("m.keras", "m.h5", "m.weights.h5"):
        (model.save_weights if "weights" in name else model.save)(tmp_path / name)
        whole = bytearray((tmp_path / name).read_bytes())
        noise = np.random.default_rng(1)
        for _ in range(12):
            content = bytearray(whole)
            for position in noise.integers(0, len(content), 20):
                content[position] ^= 0xFF
            (tmp_path / name).write_bytes(content)
            with contextlib.suppress(ValueError):
                model.load_weights(tmp_path / name)


def test_other_models_are_refused_and_leave_the_target(tmp_path):
    smaller = kcore.Sequential([kcore.Input((6,)), layers.Dense(4)])
    wider = make_model(units=5)
    for name in ("m.weights.h5", "m.keras", "m.h5"):
        for other, pattern in ((smaller, "layers|could not be loaded"), (wider, "expected shape|could not be loaded")):
            (other.save_weights if "weights" in name else other.save)(tmp_path / name)
            target = make_model()
            before = values(target)
            with pytest.raises(ValueError, match=pattern):
                target.load_weights(tmp_path / name)
            assert_same(values(target), before)


def test_skip_mismatch(tmp_path):
    wider = make_model(units=5)
    for name in ("m.weights.h5", "m.h5"):
        (wider.save_weights if "weights" in name else wider.save)(tmp_path / name)
        target = make_model()
        before = values(target)
        with pytest.warns(UserWarning, match="expected shape|could not be loaded"):
            target.load_weights(tmp_path / name, skip_mismatch=True)
        after = values(target)
        np.testing.assert_array_equal(after[-1], wider.get_layer("out").bias.numpy())
        np.testing.assert_array_equal(after[0], before[0])


def test_more_layers_in_the_file_than_in_the_model_warn(tmp_path):
    make_model().save_weights(tmp_path / "m.weights.h5")
    smaller = kcore.Sequential([kcore.Input((6,)), layers.Dense(4)])
    with pytest.warns(UserWarning, match=r"no object.*layers/"):
        smaller.load_weights(tmp_path / "m.weights.h5")


def test_by_name(tmp_path):
    model = make_model()
    model.save(tmp_path / "m.h5")
    inputs = kcore.Input((6,))
    other = kcore.Model(inputs, layers.Dense(2, name="new")(layers.Dense(4, name="hidden")(inputs)))
    new = other.get_layer("new").kernel.numpy()
    other.load_weights(tmp_path / "m.h5", by_name=True)
    assert_same(other.get_layer("hidden").get_weights(), model.get_layer("hidden").get_weights())
    np.testing.assert_array_equal(other.get_layer("new").kernel.numpy(), new)
    with pytest.raises(ValueError, match="by_name"):
        other.load_weights(tmp_path / "m.keras", by_name=True)


def test_objects_to_skip(tmp_path):
    model, other = make_model(), make_model()
    model.save_weights(tmp_path / "m.weights.h5")
    before = other.get_layer("out").kernel.numpy()
    with pytest.warns(UserWarning, match="no object"):
        other.load_weights(tmp_path / "m.weights.h5", objects_to_skip=[other.get_layer("out")])
    np.testing.assert_array_equal(other.get_layer("out").kernel.numpy(), before)
    assert_same(other.get_layer("hidden").get_weights(), model.get_layer("hidden").get_weights())


@pytest.mark.parametrize("name", PATHS)
def test_lambda_is_refused_in_every_format(tmp_path, name):
    model = make_model(layer=layers.Lambda(lambda x: x * 3, name="triple"))
    model.save(tmp_path / name)
    with pytest.raises(ValueError, match="safe_mode=False"):
        kcore.models.load_model(tmp_path / name)
    back = kcore.models.load_model(tmp_path / name, safe_mode=False)
    assert_same([back.predict(X, verbose=0)], [model.predict(X, verbose=0)])
    with pytest.raises(ValueError, match="safe_mode=False"):
        kcore.models.model_from_json(model.to_json())


def test_links_out_of_a_file_are_refused(tmp_path):
    model = make_model()
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["0"] = np.zeros((6, 4), "float32")
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/0")
    with pytest.raises(ValueError, match="link to another file"):
        model.load_weights(tmp_path / "m.weights.h5")


def test_sizes_are_checked_before_memory_is_taken(tmp_path):
    model = make_model()
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset("0", (1 << 40,), "float32", chunks=(1 << 20,))
    with pytest.raises(ValueError, match="bytes of data"):
        model.load_weights(tmp_path / "m.weights.h5")


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


def test_arguments(tmp_path):
    model = make_model()
    calls = [
        (ValueError, "ending in .keras", lambda: model.save(tmp_path / "m.pb")),
        (ValueError, "unknown arguments", lambda: saving.save_model(model, tmp_path / "m.keras", colour=1)),
        (ValueError, "ending in .weights.h5", lambda: model.save_weights(tmp_path / "m.h5")),
        (ValueError, "unknown arguments", lambda: saving.save_weights(model, tmp_path / "m.weights.h5", a=1)),
        (ValueError, "File not found", lambda: kcore.models.load_model(tmp_path / "absent.keras")),
        (ValueError, "File not found", lambda: kcore.models.load_model(tmp_path / "absent.h5")),
        (FileNotFoundError, "absent", lambda: model.load_weights(tmp_path / "absent.weights.h5")),
        (ValueError, "ending in", lambda: model.load_weights(tmp_path / "absent.txt")),
        (ValueError, "config.json", lambda: kcore.models.load_model(tmp_path)),
    ]
    for error, pattern, call in calls:
        with pytest.raises(error, match=pattern):
            call()
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(ValueError, match="ending in"):
        kcore.models.load_model(tmp_path / "x.txt")
    model.save_weights(tmp_path / "m.weights.h5")
    os.rename(tmp_path / "m.weights.h5", tmp_path / "m.h5")
    for call in (kcore.models.load_model, model.load_weights):
        with pytest.raises(ValueError, match=r"expected a legacy .h5 file"):
            call(tmp_path / "m.h5")
