"""Models: Functional, Sequential and subclassed ones; their structure, calls, configs, clones and summaries."""

import copy
import json
import pickle
import threading

import numpy as np
import pytest

import kcore
from kcore import layers, ops
from kcore.models import Functional, Model, Sequential, clone_model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 4)).astype("float32")


def two_in_two_out():
    a, b = kcore.Input((4,), name="a"), kcore.Input((4,), name="b")
    shared = layers.Dense(3, name="shared")
    merged = layers.Concatenate(name="cat")([shared(a), shared(b)])
    return Model([a, b], {"sum": layers.Dense(1, name="p")(merged), "raw": ops.tanh(merged)}, name="two")


def assert_same_outputs(a, b, inputs):
    b.set_weights(a.get_weights())
    for x, y in zip(kcore.tree.flatten(a(inputs)), kcore.tree.flatten(b(inputs)), strict=True):
        np.testing.assert_array_equal(x, y)


# --- Functional ---------------------------------------------------------------------------------------------------------


def test_functional_computes_what_its_layers_compute():
    model = two_in_two_out()
    assert type(model) is Functional and isinstance(model, Model)
    out = model([X, X + 1])
    shared, p = model.get_layer("shared"), model.get_layer(index=-1)
    merged = np.concatenate([shared(X), shared(X + 1)], axis=1)
    np.testing.assert_allclose(out["raw"], np.tanh(merged), rtol=1e-6)
    np.testing.assert_array_equal(out["sum"], p(merged))
    assert [layer.name for layer in model.layers] == ["a", "b", "shared", "cat", "p"]
    assert [v.path for v in model.weights] == ["shared/kernel", "shared/bias", "p/kernel", "p/bias"]
    assert model.output_shape == {"sum": (None, 1), "raw": (None, 6)}
    assert model.input_names == ["a", "b"]


@pytest.mark.parametrize("form", [list, tuple, lambda x: {"a": x[0], "b": x[1]}])
def test_inputs_may_come_as_list_tuple_or_dict(form):
    model = two_in_two_out()
    np.testing.assert_array_equal(model(form([X, X]))["sum"], model([X, X])["sum"])


def test_inputs_take_their_rank_and_dtype():
    x = kcore.Input((4, 1), dtype="int32")
    model = Model(x, ops.cast(x, "float32") * 2)
    assert model(np.ones((3, 4, 1, 1))).shape == (3, 4, 1)
    assert model(np.ones((3, 4))).shape == (3, 4, 1)
    assert model.call(np.ones((3, 4, 1), "float64")).dtype == "float32"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([X], "expected 2 input"),
        ([X, X, X], "received 3"),
        ({"a": X}, "missing .'b'"),
        ([X, X[:, :3]], r"'b' of shape \(None, 4\), received shape \(2, 3\)"),
        ([X, X[0]], r"'b' of shape \(None, 4\)"),
        ([X, None], "'b', received None"),
    ],
)
def test_wrong_inputs_are_named(inputs, message):
    with pytest.raises(ValueError, match=message):
        two_in_two_out()(inputs)


def test_unexpected_keys_warn():
    model = two_in_two_out()
    with pytest.warns(UserWarning, match="structure of `inputs`"):
        model({"a": X, "b": X, "c": X})


def test_a_list_of_one_is_one():
    x = kcore.Input((4,))
    model = Model(inputs=[x], outputs=[x * 2])
    assert model(X).shape == model([X]).shape == (2, 4)
    assert model.get_config()["input_layers"] == [[model.input_names[0], 0, 0]]


def test_optional_inputs_may_be_none():
    class AddIfGiven(layers.Layer):
        def call(self, x, y=None):
            return x if y is None else x + y

        def compute_output_shape(self, x_shape, y_shape=None):
            return x_shape

    a, b = kcore.Input((4,), name="a"), kcore.Input((4,), name="b", optional=True)
    model = Model([a, b], AddIfGiven()(a, y=b))
    np.testing.assert_array_equal(model([X, None]), X)
    np.testing.assert_array_equal(model([X, X]), 2 * X)


def test_feature_extraction_shares_layers():
    model = two_in_two_out()
    features = Model(model.inputs, model.get_layer("cat").output)
    assert features.get_layer("shared") is model.get_layer("shared")
    np.testing.assert_array_equal(ops.tanh(features([X, X])), model([X, X])["raw"])


def test_a_model_may_begin_inside_another():
    model = two_in_two_out()
    middle = model.get_layer("cat").output
    head = Model(middle, model.get_layer("p")(middle))
    z = RNG.normal(size=(2, 6)).astype("float32")
    np.testing.assert_array_equal(head(z), model.get_layer("p")(z))
    assert len(head.inputs) == 1 and head.inputs[0] is not middle


def test_models_nest():
    inner = two_in_two_out()
    x = kcore.Input((4,), name="x")
    out = inner([x, -x])
    outer = Model(x, out["sum"] + 1, name="outer")
    np.testing.assert_array_equal(outer(X), np.asarray(inner([X, -X])["sum"]) + 1)
    assert [v.path for v in outer.weights] == [v.path for v in inner.weights]
    again = Functional.from_config(json.loads(json.dumps(outer.get_config())))
    assert_same_outputs(outer, again, X)


def test_configs_rebuild_the_same_model():
    model = two_in_two_out()
    config = json.loads(json.dumps(model.get_config()))
    again = Functional.from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    assert_same_outputs(model, again, [X, X])


def test_config_leaves_out_calls_of_other_models():
    shared = layers.Dense(2, name="d")
    first, second = kcore.Input((4,), name="first"), kcore.Input((4,), name="second")
    Model(first, shared(first))
    model = Model(second, shared(second) * 2)
    config = model.get_config()
    by_name = {layer["name"]: layer for layer in config["layers"]}
    assert len(by_name["d"]["inbound_nodes"]) == 1
    again = Functional.from_config(json.loads(json.dumps(config)))
    assert_same_outputs(model, again, X)


def test_a_broken_config_is_refused():
    config = two_in_two_out().get_config()
    config["output_layers"] = ["nowhere", 0, 0]
    with pytest.raises(ValueError, match="'nowhere'"):
        Functional.from_config(config)
    config = two_in_two_out().get_config()
    config["layers"] = [layer for layer in config["layers"] if layer["name"] != "a"]
    with pytest.raises(ValueError, match="'a'"):
        Functional.from_config(config)


def test_masks_flow_through_a_graph():
    tokens = kcore.Input((5,), dtype="int32")
    x = layers.Embedding(7, 3, mask_zero=True)(tokens)
    model = Model(tokens, layers.LSTM(2)(x))
    data = np.array([[1, 2, 0, 0, 0], [3, 4, 5, 6, 1]])
    short = Model(tokens, x)
    plain = layers.LSTM(2)
    want = plain(short(data)[:1, :2])
    plain.set_weights(model.layers[-1].get_weights())
    want = plain(np.asarray(short(data))[:1, :2])
    np.testing.assert_allclose(np.asarray(model(data))[:1], want, rtol=1e-6)


def test_masks_of_attention_are_not_in_the_config_and_come_back():
    tokens = kcore.Input((None,), dtype="int32")
    x = layers.Embedding(7, 4, mask_zero=True)(tokens)
    x = layers.LayerNormalization()(layers.Add()([x, layers.MultiHeadAttention(2, 2, name="attention")(x, x)]))
    model = Model(tokens, layers.GlobalAveragePooling1D()(x))
    config = model.get_config()
    (attention,) = (layer for layer in config["layers"] if layer["name"] == "attention")
    assert attention["inbound_nodes"][0]["kwargs"] == {}
    again = Functional.from_config(json.loads(json.dumps(config)))
    again.set_weights(model.get_weights())
    data = np.array([[1, 2, 0, 0, 0], [3, 4, 5, 6, 1]])
    assert_same_outputs(model, again, data)
    np.testing.assert_allclose(np.asarray(again(data))[:1], again(data[:1, :2]), rtol=1e-5)  # the short sum's rounding


def test_training_reaches_the_layers_of_a_graph():
    x = kcore.Input((64,))
    model = Model(x, layers.Dropout(0.5)(x))
    ones = np.ones((1, 64), "float32")
    assert set(np.unique(model(ones, training=True))) == {0.0, 2.0}
    np.testing.assert_array_equal(model(ones), ones)
    always = Model(x, layers.Dropout(0.5)(x, training=True))
    assert 0.0 in np.asarray(always(ones))


def test_bad_graphs_are_refused():
    x, other = kcore.Input((4,)), kcore.Input((4,), name="other")
    with pytest.raises(ValueError, match="'other', which is not connected"):
        Model(x, layers.Add()([x, other]))
    with pytest.raises(ValueError, match="KerasTensors"):
        Model(X, x)
    with pytest.raises(ValueError, match="KerasTensors"):
        Model(x, X)
    with pytest.raises(ValueError, match="unique names"):
        Model(x, layers.Dense(2, name="d")(layers.Dense(2, name="d")(x)))


def test_get_layer_helps():
    model = two_in_two_out()
    with pytest.raises(ValueError, match="did you mean 'shared'"):
        model.get_layer("shard")
    with pytest.raises(ValueError, match="index below 5"):
        model.get_layer(index=5)
    with pytest.raises(ValueError, match="neither"):
        model.get_layer()


def test_threads_may_share_a_model():
    model = two_in_two_out()
    data = [RNG.normal(size=(3, 4)).astype("float32") for _ in range(8)]
    want = [np.asarray(model([x, x])["sum"]) for x in data]
    got = [None] * len(data)

    def run(i):
        got[i] = np.asarray(model([data[i], data[i]])["sum"])

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(data))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(got, want)


# --- Sequential ---------------------------------------------------------------------------------------------------------


def test_sequential_is_built_by_its_input_or_its_first_call():
    lazy = Sequential([layers.Dense(3), layers.Dense(2)], name="s")
    assert not lazy.built and lazy.weights == []
    with pytest.raises(AttributeError, match="no defined output"):
        _ = lazy.output
    lazy(X)
    assert lazy.built and lazy.input_shape == (2, 4)
    assert [v.path for v in lazy.weights] == [f"s/{d.name}/{n}" for d in lazy.layers for n in ("kernel", "bias")]
    eager = Sequential([kcore.Input((4,)), layers.Dense(3), layers.Dense(2)])
    assert eager.built and eager.output_shape == (None, 2) and len(eager.layers) == 2
    assert_same_outputs(lazy, eager, X)


def test_sequential_grows_and_shrinks():
    model = Sequential()
    model.add(kcore.Input((4,)))
    model.add(layers.Dense(3))
    model.add(layers.Dense(2))
    assert model.output_shape == (None, 2)
    last = model.pop()
    assert model.output_shape == (None, 3) and last not in model.layers and len(model.weights) == 2
    np.testing.assert_array_equal(model(X), model.layers[0](X))


@pytest.mark.parametrize(
    ("layer", "message"),
    [(3, "expected a Layer"), (layers.Dense(2, name="twin"), "unique names"), (kcore.Input((4,)), "one Input")],
)
def test_sequential_refuses(layer, message):
    model = Sequential([kcore.Input((4,)), layers.Dense(3, name="twin")])
    with pytest.raises(ValueError, match=message):
        model.add(layer)


def test_sequential_config_round_trip():
    for model in (
        Sequential([kcore.Input((4,)), layers.Dense(3), layers.BatchNormalization()]),
        Sequential([layers.Dense(3)]),
    ):
        config = json.loads(json.dumps(model.get_config()))
        again = Sequential.from_config(config)
        assert json.loads(json.dumps(again.get_config())) == config
        model(X)
        again(X)
        assert_same_outputs(model, again, X)


def test_sequential_on_placeholders_and_around_models():
    inner = Sequential([kcore.Input((4,)), layers.Dense(3)])
    x = kcore.Input((4,))
    model = Model(x, inner(x))
    np.testing.assert_array_equal(model(X), inner(X))
    outer = Sequential([inner, layers.Dense(1)])
    assert outer.built and outer.output_shape == (None, 1)


def test_building_twice_for_another_shape_is_refused():
    model = Sequential([kcore.Input((4,)), layers.Dense(3)])
    with pytest.raises(ValueError, match=r"\(None, 4\), received \(None, 5\)"):
        model.build((None, 5))
    with pytest.raises(ValueError, match=r"received shape \(2, 3\)"):
        model(X[:, :3])


# --- subclasses ---------------------------------------------------------------------------------------------------------


class Net(Model):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = [layers.Dense(units), layers.Dense(units)]
        self.dropout = layers.Dropout(0.5)
        self.head = layers.Dense(1)

    def call(self, x, training=None):
        for layer in self.hidden:
            x = layer(x)
        return self.head(self.dropout(x, training=training))


def test_subclassed_model():
    model = Net(name="net")
    model(X)
    assert len(model.layers) == 4 and len(model.weights) == 6
    assert model.weights[0].path == f"net/{model.hidden[0].name}/kernel"
    assert model.get_build_config() == {"input_shape": (2, 4)}
    again = Net.from_config(model.get_config())
    again.build((None, 4))
    assert_same_outputs(model, again, X)


def test_subclassed_model_on_placeholders():
    model = Net()
    x = kcore.Input((4,))
    wrapped = Model(x, model(x))
    assert wrapped.output_shape == (None, 1)
    np.testing.assert_array_equal(wrapped(X), model(X))
    # sublayers built while shapes were inferred do not remember a made-up batch
    assert model.hidden[0].get_build_config() == {"input_shape": (None, 4)}


def test_subclass_made_from_inputs_and_outputs():
    class Custom(Model):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.counter = kcore.Variable(0.0, trainable=False, name="counter")

        def train_step(self, data):
            return {"mine": 1}

    x = kcore.Input((4,))
    model = Custom(x, layers.Dense(2)(x))
    assert isinstance(model, Custom) and isinstance(model, Functional) and model.train_step(None) == {"mine": 1}
    assert model(X).shape == (2, 2) and len(model.weights) == 3

    class Fixed(Model):
        def __init__(self, units):
            x = kcore.Input((4,))
            super().__init__(inputs=x, outputs=layers.Dense(units)(x))
            self.units = units

    assert Fixed(5)(X).shape == (2, 5)


def test_a_class_may_be_used_both_ways():
    class Both(Model):
        def call(self, x):
            return x + 1

    x = kcore.Input((4,))
    assert Both(x, x * 3)(X).shape == (2, 4)
    np.testing.assert_array_equal(Both()(X), X + 1)


def test_unfinished_models_say_so():
    with pytest.raises(NotImplementedError, match="call"):
        Model()(X)
    with pytest.raises(AttributeError, match="reserved"):
        Net().layers = []


def test_state_trees_follow_paths():
    model = Net(name="net")
    model(X)
    state = model.get_state_tree("numpy_array")
    kernel = state["trainable_variables"]["net"][model.head.name]["kernel"]
    np.testing.assert_array_equal(kernel, model.head.kernel)
    model.set_state_tree({"trainable_variables": {"net": {model.head.name: {"kernel": kernel + 1}}}})
    np.testing.assert_array_equal(model.head.kernel, kernel + 1)
    with pytest.raises(ValueError, match="nowhere"):
        model.set_state_tree({"trainable_variables": {"nowhere": 1.0}})


# --- clones, freezing, summaries ---------------------------------------------------------------------------------------


def test_clones_have_their_own_weights():
    for model in (two_in_two_out(), Sequential([kcore.Input((4,)), layers.Dense(3)])):
        data = [X, X] if isinstance(model, Functional) else X
        clone = clone_model(model)
        assert clone.name == model.name and type(clone) is type(model)
        assert all(a is not b for a, b in zip(model.layers, clone.layers))
        assert_same_outputs(model, clone, data)
    seen = []

    def note(layer):
        seen.append(layer.name)
        return type(layer).from_config(layer.get_config())

    clone_model(two_in_two_out(), clone_function=note)
    assert seen == ["shared", "cat", "p"]
    moved = clone_model(two_in_two_out(), input_tensors=[kcore.Input((4,), name="u"), kcore.Input((4,), name="v")])
    assert moved.input_names == ["u", "v"]


@pytest.mark.parametrize("copy", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_models_can_be_copied_and_pickled(copy):
    x = kcore.Input((4,))
    y = x
    for _ in range(150):  # deeper than Python's stack would bear
        y = layers.Activation("tanh")(y)
    deep = Model(x, layers.Dense(2)(y))
    net = Net()
    net(X)
    sequential = Sequential([kcore.Input((4,)), layers.Dense(3)])
    sequential.compile("adam", "mse")
    sequential.fit(X, np.ones((2, 3)), verbose=0)
    for model in (deep, net, sequential):
        other = copy(model)
        np.testing.assert_array_equal(other(X), model(X))
        other.weights[0].assign(other.weights[0].numpy() + 1)
        assert not np.array_equal(other.get_weights()[0], model.get_weights()[0])
    assert [np.array_equal(a, b) for a, b in zip(other.optimizer.variables, sequential.optimizer.variables)] == [
        True
    ] * 6


def test_freezing():
    model = two_in_two_out()
    model.get_layer("shared").trainable = False
    assert [v.path for v in model.trainable_variables] == ["p/kernel", "p/bias"]
    model.trainable = False
    assert model.trainable_variables == [] and len(model.non_trainable_variables) == 4


def test_summary_counts():
    lines = []
    model = Sequential([kcore.Input((4,)), layers.Dense(3), layers.BatchNormalization()])
    model.summary(print_fn=lines.append)
    text = lines[0]
    assert "Total params: 27 (108.00 B)" in text
    assert "Trainable params: 21 (84.00 B)" in text
    assert "Non-trainable params: 6 (24.00 B)" in text
    assert "(None, 3)" in text
    lines.clear()
    Net().summary(print_fn=lines.append)
    assert "0 (unbuilt)" in lines[0]


def test_summary_of_a_range():
    lines = []
    two_in_two_out().summary(print_fn=lines.append, layer_range=["shared", "cat"])
    assert "shared" in lines[0] and "p (Dense)" not in lines[0]
    with pytest.raises(ValueError, match="layer_range"):
        two_in_two_out().summary(layer_range=["shared", "nothing"])
