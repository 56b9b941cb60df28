"""Programs in files: written, read back, run, refused."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

import kcore
from kcore import _core, layers, ops


def numbers(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def mlp():
    return kcore.Sequential([layers.Input((6,)), layers.Dense(5, "relu"), layers.Dense(3, "softmax")])


def convnet():
    x = layers.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    y = layers.BatchNormalization()(y)
    y = layers.Add()([y, layers.Conv2D(4, 1)(x)])
    y = layers.MaxPooling2D()(y)
    y = layers.DepthwiseConv2D(3)(y)
    y = layers.Flatten()(y)
    return kcore.Model(x, layers.Dense(2)(layers.Dropout(0.5)(y)))


def text():
    x = layers.Input((7,), dtype="int32")
    y = layers.Embedding(11, 4)(x)
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(y)
    y = layers.GRU(4)(y)
    return kcore.Model(x, layers.Dense(2)(y))


def attention():
    x = layers.Input((5, 8), name="tokens")
    y = layers.MultiHeadAttention(2, 4)(x, x)
    y = layers.LayerNormalization()(y + x)
    return kcore.Model(x, [layers.GlobalAveragePooling1D(name="mean")(y), layers.Reshape((40,), name="flat")(y)])


def two_inputs():
    a, b = layers.Input((3,), name="a"), layers.Input((4,), name="b")
    return kcore.Model({"a": a, "b": b}, {"sum": layers.Dense(2)(a) + layers.Dense(2)(b), "a": a})


MODELS = [mlp, convnet, text, attention, two_inputs]


def data_for(model, batch):
    def one(x):
        if "int" in x.dtype:
            return np.random.default_rng(2).integers(0, 9, (batch, *x.shape[1:])).astype("int32")
        return numbers(batch, *x.shape[1:])

    return kcore.tree.map_structure(one, model.input)


def export(model, tmp_path, **kwargs):
    path = tmp_path / "model.kcore"
    model.export(path, **kwargs)
    return path


@pytest.mark.parametrize("make", MODELS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("batch", [1, 4])
def test_round_trip_with_any_batch(make, batch, tmp_path):
    model = make()
    program = kcore.export.load(export(model, tmp_path))
    x = data_for(model, batch)
    expected = kcore.tree.flatten(model.predict_on_batch(x))
    inputs = kcore.tree.flatten(x)
    got = kcore.tree.flatten(program(*inputs))
    assert len(got) == len(expected) == len(program.outputs)
    for y, e, (_, dtype, shape) in zip(got, expected, program.outputs):
        assert (y.dtype, len(y.shape)) == (dtype, len(shape)) and shape[0] is None
        np.testing.assert_allclose(y.numpy(), e, rtol=1e-5, atol=1e-6)  # recorded without folding of constants
    by_name = program(**{name: value for (name, _, _), value in zip(program.inputs, inputs)})
    for y, again in zip(got, kcore.tree.flatten(by_name)):
        np.testing.assert_array_equal(y.numpy(), again.numpy())


def test_names_of_inputs_outputs_and_weights(tmp_path):
    model = two_inputs()
    program = kcore.export.load(export(model, tmp_path))
    assert [name for name, _, _ in program.inputs] == ["a", "b"]
    assert len({name for name, _, _ in program.outputs}) == 2
    assert set(program.variables) == {v.path for v in model.variables}
    x = layers.Input((6,), name="image")
    kcore.Sequential([x, layers.Dense(3, name="scores")]).export(tmp_path / "m.kcore")
    program = kcore.export.load(tmp_path / "m.kcore")
    assert (program.inputs[0][0], program.outputs[0][0]) == ("image", "scores")


def test_fixed_batch_and_stateful_layers(tmp_path):
    x = layers.Input((4, 2), batch_size=3)
    model = kcore.Model(x, layers.LSTM(5, stateful=True, return_sequences=True)(x))
    model.predict_on_batch(numbers(3, 4, 2))  # the states are not zero when it is exported
    before = [s.numpy() for s in model.layers[-1].states]
    program = kcore.export.load(export(model, tmp_path))
    for state, value in zip(model.layers[-1].states, before):
        np.testing.assert_array_equal(state.numpy(), value)
    for block in numbers(5, 3, 4, 2):
        np.testing.assert_array_equal(program(block).numpy(), model.predict_on_batch(block))


def test_subclassed_model_wants_a_signature(tmp_path):
    class Twice(kcore.Model):
        def call(self, x):
            return 2 * x

    with pytest.raises(ValueError, match="input_signature"):
        Twice().export(tmp_path / "m.kcore")
    Twice().export(tmp_path / "m.kcore", input_signature=[layers.InputSpec(shape=(None, 2), dtype="float32")])
    y = kcore.export.load(tmp_path / "m.kcore")(np.float32([[1, 2]]))
    np.testing.assert_array_equal(y.numpy(), [[2, 4]])


def test_loops_and_branches_are_stored(tmp_path):
    def halve(x):
        return ops.while_loop(lambda v: ops.max(v) > 1.0, lambda v: (v / 2,), (x,))[0]

    archive = kcore.export.ExportArchive()
    archive.add_endpoint("halve", halve, [kcore.InputSpec(shape=(3,), dtype="float32")])
    archive.write_out(tmp_path / "m.kcore", verbose=False)
    y = kcore.export.load(tmp_path / "m.kcore")(np.float32([1, 12, 5]))
    np.testing.assert_array_equal(y.numpy(), np.float32([1, 12, 5]) / 16)


def test_several_programs_share_their_variables(tmp_path):
    w = kcore.Variable([1.0, 2.0], name="w")
    archive = kcore.export.ExportArchive()
    archive.add_endpoint("add", lambda x: w.assign_add(x), [np.float32([1, 1])])
    archive.add_endpoint("read", lambda x: w + x, [np.float32([0, 0])])
    archive.write_out(tmp_path / "m.kcore", verbose=False)
    assert [name for name, _ in _core.read_tensors(str(tmp_path / "m.kcore"))].count("w") == 1
    add = kcore.export.load(tmp_path / "m.kcore", "add")
    for k in (2, 3):
        np.testing.assert_array_equal(add(np.float32([1, 1])).numpy(), [k, k + 1])
    np.testing.assert_array_equal(w.numpy(), [1, 2])
    with pytest.raises(ValueError, match="expected one of the programs add, read, received other"):
        kcore.export.load(tmp_path / "m.kcore", "other")


def test_what_cannot_be_exported_says_so(tmp_path):
    archive = kcore.export.ExportArchive()
    rows = [kcore.InputSpec(shape=(None, 2), dtype="float32")]
    with pytest.raises(ValueError, match="free batch"):
        archive.add_endpoint(
            "square", lambda x: ops.reshape(ops.matmul(x, ops.transpose(x)), (int(x.shape[0]) ** 2,)), rows
        )
        archive.write_out(tmp_path / "m.kcore")
    with pytest.raises(ValueError, match="fixed sizes after the batch"):
        archive.add_endpoint("any", lambda x: x, [kcore.InputSpec(shape=(None, None))])
    with pytest.raises(ValueError, match=r"ending in \.kcore"):
        mlp().export(tmp_path / "folder")
    with pytest.raises(kcore.autograd.recorder.RecordingError):
        archive.add_endpoint("looks", lambda x: x * float(ops.max(x)), rows)


def test_training_goes_on_in_the_program(tmp_path):
    model = mlp()
    model.compile(kcore.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = numbers(16, 6), np.random.default_rng(3).integers(0, 3, 16)
    before = model.get_weights()
    kcore.export.training_program(model, tmp_path / "train.kcore", x, y)
    for a, b in zip(model.get_weights(), before):
        np.testing.assert_array_equal(a, b)
    step = kcore.export.load(tmp_path / "train.kcore", "train")
    names = [name for name, _, _ in step.outputs]
    for _ in range(5):
        got = dict(zip(names, step(x, y)))
        expected = model.train_on_batch(x, y, return_dict=True)
        assert got.keys() == expected.keys() == {"loss", "accuracy"}
        for name in names:
            assert float(got[name]) == pytest.approx(expected[name], rel=1e-6)
    for v in model.variables:
        np.testing.assert_array_equal(step.variables[v.path].numpy(), v.numpy())


def test_weights_by_name(tmp_path):
    model, other = mlp(), mlp()
    names = [v.path for v in model.variables]
    kcore.export.save_weights(model, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="expected a tensor named"):
        kcore.export.load_weights(other, tmp_path / "w.safetensors")
    weights = model.get_weights()
    model.set_weights([0 * w for w in weights])
    kcore.export.load_weights(model, tmp_path / "w.safetensors")
    for a, b in zip(model.get_weights(), weights):
        np.testing.assert_array_equal(a, b)
    assert names == [
        name for name, _ in sorted(_core.read_tensors(str(tmp_path / "w.safetensors")), key=lambda t: names.index(t[0]))
    ]


def test_files_of_other_libraries_are_readable(tmp_path):
    """The layout, written down once more."""
    path = export(mlp(), tmp_path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    spans = sorted(v["data_offsets"] for k, v in header.items() if k != "__metadata__")
    assert spans[0][0] == 0 and spans[-1][1] == len(data) - 8 - length
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))
    assert all(isinstance(text, str) for text in header["__metadata__"].values())
