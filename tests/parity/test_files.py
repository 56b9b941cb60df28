"""Files exchanged with Keras on JAX, both ways: layout, predictions, optimizer state, and training that goes on."""

import functools
import json
import os
import warnings
import zipfile

import h5py
import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")

import kcore  # noqa: E402

pytestmark = [
    pytest.mark.parity,
    # Keras's variables meet new NumPy, and its own advice against lambdas and .h5 files, are not what is tested here.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

rng = np.random.default_rng(0)


def image(k):
    """Convolutions, pooling, normalization, padding; the whole 2D family."""
    L = k.layers
    inputs = k.Input((10, 10, 3), name="image")
    x = L.Rescaling(0.5, offset=-0.1)(inputs)
    x = L.ZeroPadding2D(((1, 0), (2, 1)))(x)
    x = L.Conv2D(4, 3, strides=2, padding="same", activation="relu", kernel_regularizer=k.regularizers.L2(1e-3))(x)
    x = L.BatchNormalization(momentum=0.9, epsilon=1e-2)(x)
    x = L.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x)
    x = L.LeakyReLU(negative_slope=0.2)(x)
    y = L.Conv2D(8, 1, use_bias=False, kernel_initializer=k.initializers.HeNormal(seed=1))(x)
    x = L.Add()([x, y])
    x = L.Concatenate(axis=-1)([x, L.Maximum()([x, y]), L.Average()([x, y])])
    x = L.MaxPooling2D(2)(x)
    x = L.UpSampling2D(2)(x)
    x = L.Cropping2D(1)(x)
    x = L.Conv2DTranspose(3, 2, strides=2, kernel_constraint=k.constraints.MaxNorm(2.0))(x)
    x = L.AveragePooling2D(2, padding="same")(x)
    x = L.PReLU(shared_axes=[1, 2])(x)
    x = L.SpatialDropout2D(0.0)(x)
    x = L.LayerNormalization(epsilon=1e-3)(x)
    x = L.GlobalAveragePooling2D()(x)
    return k.Model(inputs, L.Dense(3, activation="softmax", name="out")(x), name="image_model")


def text(k):
    """Embedding with a mask, the recurrent layers, wrappers."""
    L = k.layers
    inputs = k.Input((7,), dtype="int32", name="words")
    x = L.Embedding(11, 6, mask_zero=True)(inputs)
    x = L.Bidirectional(L.LSTM(4, return_sequences=True))(x)
    x = L.Bidirectional(L.GRU(3, return_sequences=True, reset_after=False), merge_mode="sum")(x)
    x = L.GRU(4, return_sequences=True, go_backwards=True)(x)
    x = L.RNN([L.LSTMCell(4), L.GRUCell(3)], return_sequences=True)(x)
    x = L.TimeDistributed(L.Dense(4, activation="elu"))(x)
    x = L.SimpleRNN(5, recurrent_initializer="glorot_uniform")(x)
    return k.Model(inputs, L.Dense(3, activation="softmax", name="out")(x), name="text_model")


def masked(k):
    """Attention between masked sequences."""
    L = k.layers
    inputs = k.Input((7,), dtype="int32", name="words")
    x = L.Embedding(11, 6, mask_zero=True)(inputs)
    x = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 3)(x, x)]))
    x = L.Add()([L.Dense(6)(x), L.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)])
    x = L.GlobalAveragePooling1D()(x)
    return k.Model(inputs, L.Dense(3, activation="softmax", name="out")(x), name="masked_model")


def volume(k):
    """1D and 3D layers, attention."""
    L = k.layers
    inputs = k.Input((6, 6, 6, 2), name="volume")
    x = L.Conv3D(3, 2, padding="same", groups=1)(inputs)
    x = L.MaxPooling3D(2)(x)
    x = L.ZeroPadding3D(1)(x)
    x = L.Cropping3D(1)(x)
    x = L.AveragePooling3D(3, strides=1)(x)
    x = L.Reshape((1, 3))(x)
    x = L.UpSampling1D(4)(x)
    x = L.Conv1D(4, 2, padding="causal", dilation_rate=2)(x)
    x = L.ZeroPadding1D(1)(x)
    x = L.Cropping1D(1)(x)
    x = L.MaxPooling1D(2)(x)
    x = L.MultiHeadAttention(2, 3)(x, x)
    x = L.Permute((2, 1))(x)
    x = L.SpatialDropout1D(0.0)(x)
    x = L.GlobalMaxPooling1D()(x)
    x = L.RepeatVector(3)(x)
    x = L.Flatten()(x)
    return k.Model(inputs, L.Dense(3, activation="softmax", name="out")(x), name="volume_model")


def branches(k):
    """Two inputs, a shared nested model, merges, calls of ops."""
    L = k.layers
    a, b = k.Input((5,), name="a"), k.Input((5,), name="b")
    encoder = k.Sequential([L.Input((5,)), L.Dense(4, activation="tanh"), L.Dropout(0.0)], name="encoder")
    x, y = encoder(a), encoder(b)
    z = L.Multiply()([L.Subtract()([x, y]), L.Dot(axes=1)([x, y])])
    z = k.ops.concatenate([z * 2.0, k.ops.relu(x) + y[:, :1]], axis=-1)
    z = L.Activation("swish")(z)
    z = L.ReLU(max_value=3.0)(L.ELU(alpha=0.5)(z))
    z = L.GaussianNoise(0.0)(z)
    return k.Model([a, b], L.Dense(3, activation="softmax", name="out")(z), name="branches_model")


def table(k):
    """Normalization with statistics, in a Sequential model with masking and augmentation's relatives."""
    L = k.layers
    norm = L.Normalization(axis=-1)
    norm.adapt(np.random.default_rng(1).normal(3.0, 2.0, (50, 6)).astype("float32"))
    stack = [L.Input((6,)), norm, L.Dense(5, activation="gelu"), L.Softmax(), L.Dense(3), L.Softmax(name="out")]
    return k.Sequential(stack, name="table_model")


def augmented(k):
    """Augmentation layers, which do nothing at inference."""
    L = k.layers
    return k.Sequential(
        [
            L.Input((8, 8, 3)),
            L.RandomFlip("horizontal", seed=1),
            L.RandomRotation(0.1, fill_mode="nearest", seed=2),
            L.RandomZoom(0.1, seed=3),
            L.RandomTranslation(0.1, 0.2, seed=4),
            L.RandomContrast(0.1, seed=5),
            L.GlobalMaxPooling2D(),
            L.Dense(3, activation="softmax", name="out"),
        ],
        name="augmented_model",
    )


def data_for(name, n=12):
    x = {
        "image": lambda: rng.normal(size=(n, 10, 10, 3)).astype("float32"),
        "text": lambda: rng.integers(0, 11, (n, 7)).astype("int32"),
        "masked": lambda: rng.integers(0, 3, (n, 7)).astype("int32"),
        "volume": lambda: rng.normal(size=(n, 6, 6, 6, 2)).astype("float32"),
        "branches": lambda: [rng.normal(size=(n, 5)).astype("float32") for _ in range(2)],
        "table": lambda: rng.normal(3, 2, size=(n, 6)).astype("float32"),
        "augmented": lambda: rng.uniform(size=(n, 8, 8, 3)).astype("float32"),
    }[name]()
    return x, rng.integers(0, 3, n).astype("int32")


BUILDERS = [image, text, masked, volume, branches, table, augmented]

# Optimizers, each with options other than the default, one per model so that all are exchanged.
OPTIMIZERS = {
    "image": lambda k: k.optimizers.Adam(k.optimizers.schedules.CosineDecay(0.01, 50), clipnorm=1.0),
    "text": lambda k: k.optimizers.RMSprop(0.005, momentum=0.3, centered=True),
    "masked": lambda k: k.optimizers.Lion(0.001),
    "volume": lambda k: k.optimizers.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "branches": lambda k: k.optimizers.AdamW(0.01, weight_decay=0.02, use_ema=True, ema_momentum=0.9),
    "table": lambda k: k.optimizers.Nadam(0.01, global_clipnorm=0.7),
    "augmented": lambda k: k.optimizers.Adagrad(0.1, initial_accumulator_value=0.2),
}

METRICS = {
    "image": lambda k: ["accuracy", k.metrics.SparseTopKCategoricalAccuracy(2, name="top2")],
    "text": lambda k: [k.metrics.SparseCategoricalAccuracy(name="hits")],
}


# Models on which training goes on after the exchange; compiling the others would take JAX minutes.
TRAINED = (table, branches)


def compiled(k, build):
    model = build(k)
    model.compile(
        optimizer=OPTIMIZERS[build.__name__](k),
        loss=k.losses.SparseCategoricalCrossentropy() if build is image else "sparse_categorical_crossentropy",
        metrics=METRICS.get(build.__name__, lambda k: ["accuracy"])(k),
    )
    return model


@functools.cache
def example(k, build):
    """(model, x, y): a compiled model with an optimizer state, from training or made up."""
    keras.utils.clear_session()
    kcore.utils.clear_session()
    model = compiled(k, build)
    x, y = data_for(build.__name__)
    if build in TRAINED:
        model.fit(x, y, epochs=2, batch_size=4, shuffle=False, verbose=0)
    else:
        model.optimizer.build(model.trainable_variables)
        noise = np.random.default_rng(5)
        for variable in [*model.weights, *model.optimizer.variables]:
            if variable.name not in ("iteration", "learning_rate"):
                variable.assign(noise.uniform(0.1, 0.5, variable.shape).astype(variable.dtype))
    return model, x, y


def save(model, path):
    """model.save; a legacy save of Keras removes the optimizer from the model's compile config, which is put back."""
    kept = dict(model._compile_config.config) if isinstance(model, keras.Model) else {}
    model.save(path)
    if kept:
        model._compile_config.config.update(kept)


def values_of(variables):
    return [np.asarray(v.numpy()) for v in variables]


def assert_same_model(read, written, x, optimizer=True):
    """Weights and optimizer state bit by bit, predictions to float32 rounding."""
    assert [w.path.split("/")[-1] for w in read.weights] == [w.path.split("/")[-1] for w in written.weights]
    for a, b in zip(values_of(read.weights), values_of(written.weights)):
        np.testing.assert_array_equal(a, b)
    if optimizer:
        states = values_of(read.optimizer.variables), values_of(written.optimizer.variables)
        assert len(states[0]) == len(states[1])
        for a, b in zip(*states):
            np.testing.assert_array_equal(a, b)
    # Depth times float32 rounding: these models stay below 1e-5 where their values are of order 1.
    if isinstance(x, list):  # a shared layer loses its variables in JAX's predict
        predictions = [np.asarray(m(x, training=False)) for m in (read, written)]
    else:  # for the others one compilation is quicker
        predictions = [m.predict(x, verbose=0) for m in (read, written)]
    np.testing.assert_allclose(*predictions, atol=1e-5, rtol=1e-5)


def assert_same_training(read, written, x, y):
    """Evaluation, and the losses of two further epochs."""
    results = [m.evaluate(x, y, batch_size=4, verbose=0, return_dict=True) for m in (read, written)]
    assert results[0].keys() == results[1].keys()
    for key in results[0]:
        np.testing.assert_allclose(results[0][key], results[1][key], rtol=1e-4, atol=1e-6)
    further = [m.fit(x, y, epochs=2, batch_size=4, shuffle=False, verbose=0).history["loss"] for m in (read, written)]
    # Rounding grows from step to step; six steps keep it below 1e-3.
    np.testing.assert_allclose(*further, rtol=1e-3)


def h5_tree(file):
    """Paths with shapes, dtypes and attributes, without what must differ."""
    found = {}

    def visit(name, item):
        attributes = {
            k: (v.tolist() if isinstance(v, np.ndarray) else v) for k, v in item.attrs.items() if k != "backend"
        }
        found[name] = (getattr(item, "shape", None), str(getattr(item, "dtype", None)), attributes)

    file.visititems(visit)
    return found


def weights_tree(path):
    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as member, h5py.File(member) as file:
        return h5_tree(file)


def normalized(config):
    """A config with dtype policies as names and tuples as lists, without what is free to differ.

    Keras also writes ids of shared initializers, and build_config for layers that have nothing to build.
    """
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return config["config"]["name"]
        free = ("jit_compile", "steps_per_execution", "run_eagerly", "shared_object_id", "build_config")
        if str(config.get("module")).startswith("keras.src.ops"):
            free = (*free, "module", "registered_name")  # we keep these in legacy files, where Keras needs them too
        plain = {k: normalized(v) for k, v in config.items() if k not in free}
        return {k: v for k, v in plain.items() if not (k == "compile_config" and not v)}
    return [normalized(v) for v in config] if isinstance(config, (list, tuple)) else config


def read_config(path):
    with zipfile.ZipFile(path) as archive:
        return normalized(json.loads(archive.read("config.json")))


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
@pytest.mark.parametrize("build", BUILDERS, ids=lambda b: b.__name__)
def test_keras_writes_and_we_read(tmp_path, build, name):
    if build is branches and name == "m.h5":
        pytest.skip("a legacy file of Keras does not tell the op Multiply from the layer; Keras cannot read it either")
    theirs, x, y = example(keras, build)
    save(theirs, tmp_path / name)
    ours = kcore.models.load_model(tmp_path / name)
    assert_same_model(ours, theirs, x)
    if build in TRAINED and name == "m.keras":
        again = keras.models.load_model(tmp_path / name)  # the cached model must not train on
        assert_same_training(ours, again, x, y)


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
@pytest.mark.parametrize("build", BUILDERS, ids=lambda b: b.__name__)
def test_we_write_and_keras_reads(tmp_path, build, name):
    ours, x, y = example(kcore, build)
    ours.save(tmp_path / name)
    theirs = keras.models.load_model(tmp_path / name)
    # Keras builds the optimizer without variables before it restores legacy files, its own too, and so drops its state.
    assert_same_model(theirs, ours, x, optimizer=name == "m.keras")
    if build in TRAINED and name == "m.keras":
        assert_same_training(kcore.models.load_model(tmp_path / name), theirs, x, y)


@pytest.mark.parametrize("build", BUILDERS, ids=lambda b: b.__name__)
def test_layouts_are_the_same(tmp_path, build):
    for k in (keras, kcore):
        model, _, _ = example(k, build)
        model.save_weights(tmp_path / f"{k.__name__}.weights.h5")
        for ending in (".keras", ".h5"):
            save(model, tmp_path / f"{k.__name__}{ending}")
    assert weights_tree(tmp_path / "kcore.keras") == weights_tree(tmp_path / "keras.keras")
    for ending in (".weights.h5", ".h5"):
        with h5py.File(tmp_path / f"kcore{ending}") as ours, h5py.File(tmp_path / f"keras{ending}") as theirs:
            assert h5_tree(ours) == h5_tree(theirs)
            assert set(ours.attrs) == set(theirs.attrs)
            for key in ("model_config", "training_config"):
                if key in theirs.attrs:
                    assert normalized(json.loads(ours.attrs[key])) == normalized(json.loads(theirs.attrs[key]))
    assert read_config(tmp_path / "kcore.keras") == read_config(tmp_path / "keras.keras")


@pytest.mark.parametrize("build", BUILDERS, ids=lambda b: b.__name__)
def test_weights_files_and_json(tmp_path, build):
    for writer, reader in ((kcore, keras), (keras, kcore)):
        written, _, _ = example(writer, build)
        written.save_weights(tmp_path / "m.weights.h5")
        read = reader.models.model_from_json(written.to_json())
        read.compile(OPTIMIZERS[build.__name__](reader))
        read.optimizer.build(read.trainable_variables)
        read.load_weights(tmp_path / "m.weights.h5")
        for kind in ("weights", "variables"):
            a, b = (getattr(m if kind == "weights" else m.optimizer, kind) for m in (read, written))
            for x, y in zip(values_of(a), values_of(b)):
                np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("direction", ["ours", "theirs"])
@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_lambdas(tmp_path, name, direction):
    writer, reader = (kcore, keras) if direction == "ours" else (keras, kcore)
    inputs = writer.Input((4,))
    model = writer.Model(inputs, writer.layers.Lambda(lambda t: t * 2.0 + 1.0)(inputs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(tmp_path / name)
    with pytest.raises(ValueError, match="lambda"):
        reader.models.load_model(tmp_path / name)
    back = reader.models.load_model(tmp_path / name, safe_mode=False)
    x = rng.normal(size=(3, 4)).astype("float32")
    np.testing.assert_allclose(back.predict(x, verbose=0), x * 2 + 1, rtol=1e-6)


def subclassed(k):
    """The same custom model and layer for either library."""

    class Block(k.layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.zeta = k.layers.Dense(units)
            self.alpha = [k.layers.Dense(units), k.layers.LayerNormalization(), [k.layers.Dense(units)]]
            self.middle = {"q": k.layers.Dense(units), "p": k.layers.Dropout(0.5)}
            self._private = k.layers.Dense(units)

        def build(self, input_shape):
            self.gain = self.add_weight(shape=(1,), initializer="ones", name="gain")

        def call(self, x):
            for layer in (self.zeta, *self.alpha[:2], self.alpha[2][0], self.middle["q"], self._private):
                x = layer(x)
            return x * self.gain

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    class Net(k.Model):
        def __init__(self, units=5, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.block = Block(units, name="block")
            self.tail = (k.layers.Dense(units), k.layers.Dense(3))

        def call(self, x, training=False):
            x = self.block(x)
            for layer in self.tail:
                x = layer(x)
            return x

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return Net, {"Net": Net, "Block": Block}


def test_subclassed_models(tmp_path):
    x, y = rng.normal(size=(8, 4)).astype("float32"), rng.normal(size=(8, 3)).astype("float32")
    made = {}
    for k in (keras, kcore):
        Net, objects = subclassed(k)
        model = Net(6)
        model.compile("adam", "mse")
        model.fit(x, y, verbose=0, batch_size=4, shuffle=False)
        model.save(tmp_path / f"{k.__name__}.keras")
        made[k] = (model, objects)
    assert weights_tree(tmp_path / "kcore.keras") == weights_tree(tmp_path / "keras.keras")
    for reader, writer in ((kcore, keras), (keras, kcore)):
        back = reader.models.load_model(tmp_path / f"{writer.__name__}.keras", custom_objects=made[reader][1])
        model = made[writer][0]
        np.testing.assert_allclose(back.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5, rtol=1e-5)
        for a, b in zip(back.optimizer.variables, model.optimizer.variables):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def cell_class(k):
    """A user's recurrent cell, for either library."""

    class Cell(k.layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = self.state_size = self.output_size = units

        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
            self.recurrent = self.add_weight(shape=(self.units, self.units), name="recurrent", initializer="orthogonal")

        def call(self, inputs, states):
            h = k.ops.tanh(k.ops.matmul(inputs, self.kernel) + k.ops.matmul(states[0], self.recurrent))
            return h, [h]

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return Cell


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_cells_written_by_users(tmp_path, name):
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    for writer, reader in ((kcore, keras), (keras, kcore)):
        inputs = writer.Input((5, 3))
        masked = writer.layers.Masking()(inputs)
        outputs = writer.layers.RNN(cell_class(writer)(4), return_sequences=True, go_backwards=True)(masked)
        model = writer.Model(inputs, writer.layers.GRU(2, unroll=True)(outputs))
        model.save(tmp_path / name)
        with pytest.raises((TypeError, ValueError), match="Cell"):
            reader.models.load_model(tmp_path / name)
        back = reader.models.load_model(tmp_path / name, custom_objects={"Cell": cell_class(reader)})
        np.testing.assert_allclose(back.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5, rtol=1e-5)


OBJECTS = [
    lambda k: k.initializers.VarianceScaling(2.0, "fan_out", "uniform", seed=3),
    lambda k: k.initializers.Constant(0.3),
    lambda k: k.initializers.Orthogonal(gain=1.5),
    lambda k: k.initializers.TruncatedNormal(0.1, 0.2),
    lambda k: k.regularizers.L1L2(0.1, 0.2),
    lambda k: k.constraints.MinMaxNorm(0.1, 0.9, rate=0.5, axis=1),
    lambda k: k.constraints.NonNeg(),
    lambda k: k.losses.Huber(delta=0.5, reduction="sum"),
    lambda k: k.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
    lambda k: k.losses.BinaryCrossentropy(label_smoothing=0.2),
    lambda k: k.losses.CosineSimilarity(axis=1),
    lambda k: k.metrics.AUC(num_thresholds=20, curve="PR"),
    lambda k: k.metrics.Precision(thresholds=[0.3, 0.6], class_id=1),
    lambda k: k.metrics.F1Score(average="macro"),
    lambda k: k.metrics.MeanIoU(num_classes=3),
    lambda k: k.metrics.BinaryAccuracy(threshold=0.3),
    lambda k: k.optimizers.Adadelta(0.5, rho=0.9),
    lambda k: k.optimizers.Adamax(0.01, beta_1=0.8),
    lambda k: k.optimizers.SGD(0.1, clipvalue=0.5),
    lambda k: k.optimizers.schedules.PiecewiseConstantDecay([5, 9], [0.1, 0.05, 0.01]),
    lambda k: k.optimizers.schedules.PolynomialDecay(0.1, 10, power=2.0, cycle=True),
    lambda k: k.optimizers.schedules.InverseTimeDecay(0.1, 10, 0.5, staircase=True),
]


@pytest.mark.parametrize("make", OBJECTS, ids=lambda make: str(OBJECTS.index(make)))
def test_objects_have_the_same_config(make):
    ours, theirs = (k.saving.serialize_keras_object(make(k)) for k in (kcore, keras))
    # Keras forgets some options of losses (delta of Huber); we write those too, and Keras takes them.
    assert {**ours, "config": {key: ours["config"][key] for key in theirs["config"]}} == theirs
    assert set(ours["config"]) - set(theirs["config"]) <= {"delta", "axis"}
    back = kcore.saving.deserialize_keras_object(theirs)
    if ours == theirs:
        assert kcore.saving.serialize_keras_object(back) == theirs
    assert keras.saving.serialize_keras_object(keras.saving.deserialize_keras_object(ours)) == theirs
