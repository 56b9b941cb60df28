"""The symbolic graph: nested structures, names, placeholders, shape inference, ops as nodes, functions."""

import gc
import weakref
from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import kcore
from kcore import naming, ops, tree
from kcore.graph import Function, KerasTensor, Operation, compute_output_spec
from kcore.graph.op_node import symbolic_call

Point = namedtuple("Point", "x y")


def test_flatten_follows_sorted_keys_and_packs_back():
    nest = {"b": [1, (2, None)], "a": Point(3, {"z": 4}), "c": OrderedDict([("q", 5), ("p", 6)])}
    flat = tree.flatten(nest)
    assert flat == [3, 4, 1, 2, None, 5, 6]
    assert tree.pack_sequence_as(nest, flat) == nest
    assert [leaf for _, leaf in tree.flatten_with_path(nest)] == flat
    assert tree.flatten(7) == [7] and tree.flatten([]) == []


def test_map_structure_keeps_types_and_refuses_other_structures():
    doubled = tree.map_structure(lambda x: 2 * x, {"a": Point(1, [2])})
    assert doubled == {"a": Point(2, [4])} and isinstance(doubled["a"], Point)
    assert tree.map_structure(lambda a, b: a + b, [1, (2,)], [3, (4,)]) == [4, (6,)]
    for other in ([1], [1, [2]], {"a": 1, "b": 2}, 3):
        with pytest.raises(ValueError, match="same structure"):
            tree.map_structure(lambda a, b: a, [1, (2,)], other)
    with pytest.raises(ValueError, match="expected 2 values"):
        tree.pack_sequence_as([0, 0], [1])


def test_shapes_are_leaves():
    assert tree.map_shape_structure(len, {"a": (None, 3), "b": [[1], (2, 2, 2)]}) == {"a": 2, "b": [1, 3]}
    assert tree.is_shape(()) and not tree.is_shape([(1,)])


def test_automatic_names():
    naming.reset_uids()
    assert [naming.auto_name("Conv2DTranspose") for _ in range(3)] == [
        "conv2d_transpose",
        "conv2d_transpose_1",
        "conv2d_transpose_2",
    ]
    kcore.backend.clear_session()
    assert naming.auto_name("Conv2DTranspose") == "conv2d_transpose"


def test_name_scopes_nest_and_count_a_caller_once():
    with kcore.name_scope("a"), kcore.name_scope("b"):
        assert kcore.Variable(1.0, name="v").path == "a/b/v"
    caller = object()
    with naming.name_scope("a", caller), naming.name_scope("a", caller):
        assert naming.current_path() == "a"
    assert naming.current_path() == ""
    with pytest.raises(ValueError, match="without '/'"):
        kcore.name_scope("a/b")


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (bool, TypeError),
        (float, ValueError),
        (int, ValueError),
        (np.asarray, ValueError),
        (iter, NotImplementedError),
        (len, TypeError),
        (lambda x: range(10)[x], ValueError),
    ],
)
def test_a_placeholder_has_no_value(use, error):
    with pytest.raises(error):
        use(KerasTensor((None, 3)))


def test_unknown_sizes_stay_unknown():
    x = KerasTensor((None, None, 4))
    y = KerasTensor((None, 4, 6), dtype="float64")
    spec = compute_output_spec(lambda a, b: {"t": ops.transpose(a), "c": ops.concatenate([b, b], axis=1)}, x, y)
    assert spec["t"].shape == (4, None, None)
    assert spec["c"].shape == (None, 8, 6) and spec["c"].dtype == "float64"
    assert compute_output_spec(lambda a: ops.reshape(a, (-1, 12)), x).shape == (None, 12)
    assert compute_output_spec(lambda a: ops.sum(a), x).shape == ()
    assert compute_output_spec(lambda a: (a, 3), x)[1] == 3


def test_inference_has_no_side_effects():
    counter = kcore.Variable(0.0)
    seeds = kcore.random.SeedGenerator(1)
    before = seeds.state.numpy()

    def noisy(x):
        counter.assign(ops.sum(x))
        return x

    compute_output_spec(noisy, KerasTensor((None, 3)))
    assert counter.numpy() == 0
    np.testing.assert_array_equal(seeds.state.numpy(), before)


def test_inference_reports_bad_shapes():
    with pytest.raises(ValueError, match="matmul"):
        ops.matmul(kcore.Input((3,)), kcore.Input((4, 5)))


def test_ops_on_placeholders_compute_what_they_compute_on_arrays():
    rng = np.random.default_rng(0)
    data_x, data_y = rng.normal(size=(2, 4)).astype("float32"), rng.normal(size=(2, 4, 5)).astype("float32")
    x, y = kcore.Input((4,)), kcore.Input((4, 5))

    def formulas(x, y):
        return [
            x + 1,
            1 - x,
            x / 2,
            -x,
            abs(x),
            x**2,
            x > 0,
            y[:, 0],
            y[:, 1:3, ...],
            y[..., None],
            ops.mean(y, axis=1, keepdims=True),
            ops.concatenate([x, y[:, :, 0]], axis=-1),
            ops.matmul(ops.expand_dims(x, 1), y),
            ops.where(x > 0, x, 0.0),
            ops.reshape(y, (-1, 20)),
            ops.split(x, 2, axis=1)[1],
            ops.stack([x, x], axis=1),
            ops.softmax(x),
            ops.clip(x, -0.5, 0.5),
            ops.cast(x, "int32"),
            ops.einsum("bi,bij->bj", x, y),
        ]

    outputs = formulas(x, y)
    got = Function([x, y], outputs)([data_x, data_y])
    want = formulas(ops.convert_to_tensor(data_x), ops.convert_to_tensor(data_y))
    for placeholder, a, b in zip(outputs, got, want, strict=True):
        assert placeholder.dtype == a.dtype
        assert all(e in (None, s) for e, s in zip(placeholder.shape, a.shape, strict=True))
        np.testing.assert_array_equal(a, b)


def test_nodes_are_named_and_configured_after_the_function():
    naming.reset_uids()
    x = kcore.Input((4, 5))
    names = [ops.mean(x, axis=1).keras_history.operation.name for _ in range(2)]
    assert names == ["mean", "mean_1"]
    operation = ops.max_pool(kcore.Input((8, 8, 1)), 2, padding="same").keras_history.operation
    assert type(operation).__name__ == "MaxPool" and operation.keras_module == "keras.src.ops.nn"
    config = operation.get_config()
    assert config["pool_size"] == 2 and config["padding"] == "same"
    assert type(operation).from_config(config).get_config() == config


def test_numpy_operands_keep_their_side():
    x = kcore.Input((2,))
    y = np.array([1.0, 2.0], "float32") - x
    assert isinstance(y, KerasTensor)
    np.testing.assert_array_equal(Function(x, y)(np.ones((1, 2), "float32")), [[0.0, 1.0]])


def test_a_function_runs_each_node_once_and_frees_what_is_done():
    calls, seen = [], []

    class Probe(Operation):
        def call(self, x):
            calls.append(self.name)
            out = x + 1
            seen.append(weakref.ref(out))
            return out

        def compute_output_spec(self, x):
            return KerasTensor(x.shape, x.dtype)

    class Last(Operation):
        def call(self, x, y):
            gc.collect()
            calls.append(sum(ref() is not None for ref in seen))
            return x + y

        def compute_output_spec(self, x, y):
            return KerasTensor(x.shape, x.dtype)

    x = kcore.Input((1,))
    shared = Probe(name="a")(x)
    deep = Probe(name="c")(Probe(name="b")(shared))
    Function(x, Last()(shared, deep))(np.zeros((1, 1), "float32"))
    assert calls[:3] == ["a", "b", "c"]
    assert calls[3] == 2  # `b` was only needed by `c`


def test_outputs_must_come_from_the_inputs():
    x, other = kcore.Input((2,)), kcore.Input((2,), name="other")
    with pytest.raises(ValueError, match="'other', which is not connected"):
        Function(x, x + other)
    with pytest.raises(ValueError, match="unique names"):
        Function(x, kcore.layers.Identity(name="same")(kcore.layers.Identity(name="same")(x)))


def test_what_a_list_in_a_config_means():
    x = kcore.Input((4, 5))
    operation = x[:, 0].keras_history.operation
    out = operation(np.ones((2, 4, 5), "float32"), [slice(None), 0])
    assert out.shape == (2, 5)
    assert symbolic_call(ops.get_item.__wrapped__, (x, (slice(None), 1)), {}).shape == (None, 5)


def test_ops_go_by_the_names_of_their_keras_modules():
    assert ops.nn.softmax is ops.softmax and ops.numpy.mean is ops.mean
    for namespace in (ops.nn, ops.numpy):
        with pytest.raises(AttributeError, match="no_such_op"):
            _ = namespace.no_such_op


def test_sublayers_may_have_any_usual_width():
    class Net(kcore.Model):
        def __init__(self):
            super().__init__()
            self.wide, self.head = kcore.layers.Dense(840), kcore.layers.Dense(1680)

        def call(self, x):
            return self.head(self.wide(x))

    assert Net()(kcore.Input((None, 3))).shape == (None, None, 1680)
    assert compute_output_spec(lambda x: x + 1, KerasTensor((None,) * 5)).shape == (None,) * 5
