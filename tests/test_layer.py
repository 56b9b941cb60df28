"""The Layer base class: building, calling, dtypes, masks, tracking, losses, configuration, errors."""

import copy
import warnings

import numpy as np
import pytest

import kcore
from kcore import layers, ops
from kcore.layers import InputSpec, Layer

X = np.arange(6, dtype="float32").reshape(2, 3)


class Affine(Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), initializer="ones", name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias", trainable=False)
        self.input_spec = InputSpec(min_ndim=2, axes={-1: input_shape[-1]})

    def call(self, inputs):
        return ops.matmul(inputs, self.kernel) + self.bias

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Block(Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = Affine(2)
        self.rest = [Affine(2), {"last": Affine(1)}]

    def call(self, x, training=None):
        x = self.rest[0](self.first(x))
        return self.rest[1]["last"](x)


def test_the_first_call_builds():
    layer = Affine(4, name="affine")
    assert not layer.built and layer.weights == [] and layer.path is None
    np.testing.assert_array_equal(layer(X), X.sum(axis=1, keepdims=True).repeat(4, axis=1))
    assert layer.built and layer.get_build_config() == {"input_shape": (2, 3)}
    assert [v.path for v in layer.variables] == ["affine/kernel", "affine/bias"]
    assert layer.count_params() == 16


def test_build_from_config_makes_the_same_variables():
    layer = Affine(4)
    layer(kcore.Input((3,)))
    again = Affine.from_config(layer.get_config())
    again.build_from_config({"input_shape": [None, 3]})  # as JSON has it
    assert [v.shape for v in again.weights] == [(3, 4), (4,)]


def test_build_by_argument_names():
    class Two(Layer):
        def build(self, query_shape, value_shape):
            self.shapes = (query_shape, value_shape)

        def call(self, query, value):
            return query

    layer = Two()
    layer(X, value=[X, {"a": X[:1]}])
    assert tuple(layer.shapes[0]) == (2, 3) and layer.shapes[1][0] == (2, 3)
    assert layer.get_build_config()["shapes_dict"].keys() == {"query_shape", "value_shape"}


def test_variables_of_sublayers_come_after_own_ones_each_once():
    block = Block(name="block")
    block.shared = block.first
    block.extra = kcore.Variable(1.0, name="extra")
    block(X)
    paths = [v.path for v in block.variables]
    affine = [layer.path for layer in block._layers]
    assert paths == ["extra"] + [f"{path}/{name}" for path in affine for name in ("kernel", "bias")]
    assert all(path.startswith("block/") for path in affine) and len(affine) == 3
    assert [v.name for v in block.trainable_variables] == ["extra", "kernel", "kernel", "kernel"]
    assert [v.name for v in block.non_trainable_variables] == ["bias"] * 3


def test_trainable_reaches_down():
    block = Block()
    block(X)
    block.trainable = False
    assert block.trainable_variables == [] and not block.rest[1]["last"].kernel.trainable
    frozen = Affine(2, trainable=False)
    frozen(X)
    assert not frozen.kernel.trainable and frozen.trainable_weights == []


def test_seed_generators_are_variables_but_not_weights():
    layer = layers.Dropout(0.5, seed=3)
    layer(X, training=True)
    assert len(layer.variables) == 1 and layer.weights == []


def test_containers_track_what_changes():
    block = Block()
    block.rest.append(Affine(5))
    assert len(block._layers) == 4
    removed = block.rest.pop()
    assert removed not in block._layers and len(block._layers) == 3
    block.rest[1]["more"] = Affine(5)
    assert len(block._layers) == 4
    del block.first
    assert len(block._layers) == 3
    assert copy.deepcopy(list(block.rest)) is not None


def test_no_new_state_once_built():
    layer = Affine(2)
    layer(X)
    with pytest.raises(ValueError, match="already built"):
        layer.more = Affine(2)
    with pytest.raises(ValueError, match="already built"):
        layer.add_weight(shape=(1,))


def test_floats_are_cast_to_the_compute_dtype():
    seen = {}

    class Look(Layer):
        def call(self, x, flag=None):
            seen.update(x=x.dtype, flag=None if flag is None else flag.dtype)
            return x

    Look()(X.astype("float64"), flag=np.ones(2, "int32"))
    assert seen == {"x": "float32", "flag": "int32"}
    assert Look(dtype="float64")(X).dtype == "float64"
    Look(autocast=False)(X.astype("float64"))
    assert seen["x"] == "float64"
    assert Affine(2)(kcore.Input((3,), dtype="float64")).dtype == "float32"


def test_policies():
    assert Affine(1, dtype="float64").variable_dtype == "float64"
    assert Affine(1, dtype=kcore.DTypePolicy("mixed_float16")).compute_dtype == "float16"
    config = Affine(1, dtype="float64").get_config()["dtype"]
    assert config == {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": "float64"},
        "registered_name": None,
    }
    assert Affine.from_config(Affine(1, dtype="float64").get_config()).dtype == "float64"
    kcore.config.set_dtype_policy("float64")
    try:
        assert Affine(1).dtype == "float64"
    finally:
        kcore.config.set_dtype_policy(None)
    with pytest.raises(ValueError, match="'foo'"):
        Affine(1, dtype="foo")


class Training(Layer):
    def call(self, x, training=None):
        self.seen.append(training)
        return x

    seen: list = []  # noqa: RUF012 - all instances note into it


class Outer(Layer):
    def __init__(self, **inner):
        super().__init__()
        self.inner, self.options = Training(), inner

    def call(self, x, training=False):
        return self.inner(x, **self.options)


@pytest.mark.parametrize(
    ("given", "inner", "expected"),
    [
        ({}, {}, False),  # the default of the outer call
        ({"training": True}, {}, True),
        ({"training": True}, {"training": False}, False),
        ({"training": True}, {"training": None}, None),
    ],
)
def test_training_is_passed_down(given, inner, expected):
    Training.seen = []
    Outer(**inner)(X, **given)
    Training()(X)
    assert Training.seen == [expected, None]


def test_masks_travel_with_tensors():
    class Mean(Layer):
        def call(self, x, mask=None):
            self.got = mask
            return ops.mean(x, axis=1)

    x = np.array([[[1.0], [0.0]], [[2.0], [3.0]]], "float32")
    masked = layers.Masking()(x)
    np.testing.assert_array_equal(masked.keras_mask, [[True, False], [True, True]])
    dense = layers.Dense(2)(masked)
    np.testing.assert_array_equal(dense.keras_mask, masked.keras_mask)
    mean = Mean()
    with pytest.warns(UserWarning, match="does not support masking"):
        mean(dense)
    np.testing.assert_array_equal(mean.got, masked.keras_mask)
    mean(x, mask=np.zeros((2, 2), bool))
    assert not np.any(mean.got)
    given = np.array([[True, False], [True, True]])
    np.testing.assert_array_equal(layers.BatchNormalization()(x, mask=given).keras_mask, given)


def test_losses_are_those_of_the_last_call():
    class Penalty(Layer):
        def call(self, x):
            self.add_loss(ops.sum(x))
            return x

    class Holder(Layer):
        def __init__(self):
            super().__init__()
            self.penalty = Penalty()
            self.dense = layers.Dense(
                1, kernel_initializer="ones", kernel_regularizer="l2", activity_regularizer=kcore.regularizers.L1(1.0)
            )

        def call(self, x):
            return self.dense(self.penalty(x))

    holder = Holder()
    for _ in range(2):
        holder(X)
    # sum of X; l1 of the outputs per sample; 0.01 * three squared ones
    np.testing.assert_allclose([float(x) for x in holder.losses], [15.0, 7.5, 0.03], rtol=1e-6)
    assert len(holder.penalty.losses) == 1
    holder.dense.trainable = False
    assert len(holder.losses) == 2


def test_metrics_are_tracked():
    layer = Affine(1)
    layer.metric = kcore.metrics.Mean(name="m")
    assert [m.name for m in layer.metrics] == ["m"] and layer.variables == []


def test_set_weights_checks_everything_first():
    layer = Affine(2)
    layer(X)
    before = layer.get_weights()
    with pytest.raises(ValueError, match="expected 2 weights"):
        layer.set_weights(before[:1])
    with pytest.raises(ValueError, match=r"expected shape \(2,\).*received \(3,\)"):
        layer.set_weights([before[0] + 1, np.zeros(3)])
    np.testing.assert_array_equal(layer.get_weights()[0], before[0])
    layer.set_weights([w + 1 for w in before])
    np.testing.assert_array_equal(layer.get_weights()[0], before[0] + 1)


def test_stateless_call_leaves_the_variables():
    layer = Affine(2)
    layer(X)
    kernel = layer.kernel.numpy()
    out, rest = layer.stateless_call([kernel * 2], [layer.bias.value], X)
    np.testing.assert_array_equal(out, 2 * X.sum(axis=1, keepdims=True).repeat(2, axis=1))
    np.testing.assert_array_equal(layer.kernel.numpy(), kernel)
    assert len(rest) == 1


def test_shapes_without_data_need_no_compute_output_shape():
    layer = Affine(5)
    assert layer.compute_output_shape((None, 3)) == (None, 5)
    assert not layer.built  # shapes were asked for, not variables
    assert layer(kcore.Input((7, 3))).shape == (None, 7, 5)


def test_compute_output_shape_is_used_where_it_is_written():
    class Host(Layer):
        def call(self, x):
            return ops.convert_to_tensor(np.asarray(x).sum(axis=1))

        def compute_output_shape(self, input_shape):
            return input_shape[:1]

    x = kcore.Input((3,))
    model = kcore.Model(x, Host()(x))
    np.testing.assert_array_equal(model(X), X.sum(axis=1))


def test_config_without_get_config():
    class Plain(Layer):
        def __init__(self, units, rate=0.5, **kwargs):
            super().__init__(**kwargs)

    config = Plain(3).get_config()
    assert config["units"] == 3 and config["rate"] == 0.5 and config["trainable"] is True
    assert Plain.from_config(config).get_config()["units"] == 3
    with pytest.raises(NotImplementedError, match="get_config"):
        Plain(object()).get_config()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Affine(2)(X[0]), ValueError, "min_ndim=2.*ndim=1"),
        (lambda: Affine(2)(), TypeError, "inputs"),
        (lambda: Affine(2)(X, 3), ValueError, "received 3"),
        (lambda: Affine(2)(X, foo=3), TypeError, "foo"),
        (lambda: Affine(2)("abc"), ValueError, "'abc'"),
        (lambda: Affine(2)(None), ValueError, "None"),
        (lambda: Affine(2)(np.array(["a"])), TypeError, "numbers"),
        (lambda: Affine(2)(np.array([[object()]])), TypeError, "numbers"),
        (lambda: Affine(2).count_params(), ValueError, "built"),
        (lambda: Affine(2).output, AttributeError, "never been called"),
        (lambda: Affine(2, naem="x"), ValueError, "did you mean 'name'"),
        (lambda: Affine(2, name="a/b"), ValueError, "a/b"),
        (lambda: Affine(2, name=3), ValueError, "int"),
        (lambda: Layer()(X), NotImplementedError, "call"),
        (lambda: Affine(2).add_weight(shape=(None, 2)), ValueError, "known sizes"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_errors_name_the_innermost_layer_once():
    class Bad(Layer):
        def call(self, x):
            raise ValueError("[op] bad thing")

    class Around(Layer):
        def __init__(self):
            super().__init__()
            self.bad = Bad(name="inner")

        def call(self, x):
            return self.bad(x)

    with pytest.raises(ValueError) as info:
        Around()(X)
    assert str(info.value) == '[op] bad thing (layer "inner")'
    layer = Affine(2, name="affine")
    layer(X)
    with pytest.raises(ValueError, match=r"axis -1.*to be 3.*\(2, 4\)") as info:
        layer(np.ones((2, 4)))
    assert str(info.value).count("affine") == 1


def test_forgetting_super_init_is_explained():
    class Forgot(Layer):
        def __init__(self):
            self.inner = Affine(1)

    with pytest.raises(RuntimeError, match=r"super\(\).__init__\(\)"):
        Forgot()(X)


def test_a_failed_call_leaves_the_context_clean():
    class Fails(Layer):
        def call(self, x, training=None):
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        Fails()(X, training=True)
    Training.seen = []
    Training()(X)
    assert Training.seen == [None]


def test_old_shape_arguments_warn():
    with pytest.warns(UserWarning, match="Input"):
        layer = layers.Dense(2, input_shape=(3,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kcore.Sequential([layer]).output_shape == (None, 2)


def test_input_takes_what_keras_takes():
    assert kcore.Input((2, None), batch_size=4).shape == (4, 2, None)
    assert kcore.Input(batch_shape=(3, 2), dtype="int32").dtype == "int32"
    for bad in (
        {},
        {"shape": "ab"},
        {"shape": (1,), "batch_shape": (2, 1)},
        {"shape": (-1,)},
        {"shape": (1,), "foo": 1},
    ):
        with pytest.raises(ValueError, match="Input"):
            kcore.Input(**bad)
