"""Every layer of the table: configuration round trip, symbolic shape = eager shape, dtypes, one training step, masks."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import layers as L
from layer_cases import CASES, MASK, X3, X4

# No configuration of these gives the layer back: its code is refused without safe_mode=False.
UNSAFE = {"lambda"}
# The output's dtype is not the compute dtype.
INTEGERS = {"discretization"}


def flat(outputs) -> list:
    """The tensors of any structure."""
    return [t for o in outputs for t in flat(o)] if isinstance(outputs, (list, tuple)) else [outputs]


def call_on(layer, inputs, **options):
    """The layer called on one input, or on a list."""
    x = [kcore.ops.convert_to_tensor(a) for a in inputs]
    return layer(x if len(x) > 1 else x[0], **options)


def rebuilt(layer):
    """The layer made again from what a file would hold."""
    config = kcore.saving.serialize_keras_object(layer)
    return kcore.saving.deserialize_keras_object(config, safe_mode=False)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_config_round_trip(case):
    layer = case.make(L)
    again = rebuilt(layer)
    assert type(again) is type(layer)
    if case.name not in UNSAFE:
        assert again.get_config() == layer.get_config()
    if case.random:
        return
    first = call_on(layer, case.inputs(), **case.call)
    call_on(again, case.inputs(), **case.call)
    again.set_weights(layer.get_weights())
    second = call_on(again, case.inputs(), **case.call)
    for a, b in zip(flat(first), flat(second), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_symbolic_shape_is_eager_shape(case):
    arrays = case.inputs()
    layer = case.make(L)
    symbolic = [kcore.Input(a.shape[1:], dtype=str(a.dtype)) for a in arrays]
    options = {k: v for k, v in case.call.items() if k == "use_causal_mask"}
    outputs = layer(symbolic if len(symbolic) > 1 else symbolic[0], **options)
    eager = call_on(layer, arrays, **options, **({"training": False} if case.random else {}))
    for s, e in zip(flat(outputs), flat(eager), strict=True):
        assert s.shape[0] is None or case.name in ("dot",)
        assert tuple(s.shape[1:]) == tuple(e.shape[1:])
        if case.kinds != "pixels":
            assert s.dtype == e.dtype
    shapes = [(None, *a.shape[1:]) for a in arrays]
    inferred = layer.compute_output_shape(shapes if len(shapes) > 1 else shapes[0])
    inferred = (
        [inferred]
        if not isinstance(inferred[0], (tuple, list))
        else kcore.tree.flatten(kcore.tree.map_shape_structure(lambda s: kcore.KerasTensor(s), inferred))
    )
    for s, e in zip(inferred, flat(eager), strict=True):
        assert tuple(getattr(s, "shape", s))[1:] == tuple(e.shape[1:])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_one_training_step(case, dtype):
    layer = rebuilt_with_dtype(case, dtype)
    x = [kcore.ops.convert_to_tensor(a) for a in case.inputs(dtype)]
    signature = layer._call_signature()
    options = {"training": True} if signature.accepts("training") else {}
    with kcore.GradientTape() as tape:
        for t in x:
            if "float" in t.dtype:
                tape.watch(t)
        outputs = flat(layer(x if len(x) > 1 else x[0], **case.call, **options))
        if case.name in INTEGERS:
            return
        assert all(o.dtype == dtype for o in outputs if case.kinds != "pixels"), [o.dtype for o in outputs]
        assert all(np.isfinite(o.numpy()).all() for o in outputs)
        loss = sum(kcore.ops.sum(o * o) for o in outputs)
    variables = layer.trainable_variables
    gradients = tape.gradient(loss, variables)
    for v, g in zip(variables, gradients, strict=True):
        assert g is not None, v.path
        assert tuple(g.shape) == tuple(v.shape)
        assert g.dtype == v.dtype == dtype
        assert np.isfinite(g.numpy()).all()
        v.assign(v - 0.01 * g)


def rebuilt_with_dtype(case, dtype: str):
    """The case's layer, computing in `dtype` with all it holds."""
    before = kcore.config.floatx()
    kcore.config.set_floatx(dtype)
    try:
        return case.make(L)
    finally:
        kcore.config.set_floatx(before)


# --- numbers with known answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layer",
    [
        L.Dropout(0.25, seed=1),
        L.SpatialDropout2D(0.25, seed=1),
        L.GaussianDropout(0.25, seed=1),
        L.GaussianNoise(0.5, seed=1),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_noise_has_the_mean_of_the_input(layer):
    x = np.full((64, 8, 8, 64), 2.0, "float32")
    y = layer(x, training=True).numpy()
    # at least 64 * 64 independent draws of spread at most 2 * sqrt(1/3): a standard error of 0.018
    assert abs(y.mean() - 2) < 0.1
    assert y.std() > 0.3
    np.testing.assert_array_equal(layer(x).numpy(), x)
    assert np.abs(layer(x, training=True).numpy() - y).max() > 0  # other numbers the next time


def test_dropout_shares_its_mask_along_noise_shape():
    y = L.Dropout(0.5, noise_shape=(None, 1, 4), seed=1)(np.ones((8, 5, 4), "float32"), training=True).numpy()
    assert set(np.unique(y)) == {0.0, 2.0}
    assert (y == y[:, :1]).all()
    s = L.SpatialDropout1D(0.5, seed=1)(np.ones((8, 5, 4), "float32"), training=True).numpy()
    assert (s == s[:, :1]).all() and set(np.unique(s)) == {0.0, 2.0}


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(0).normal(size=(400, 400)).astype("float32")
    y = L.AlphaDropout(0.3, seed=1)(x, training=True).numpy()
    assert abs(y.mean()) < 0.02 and abs(y.std() - 1) < 0.02  # 160,000 draws: standard errors of 0.0025


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"zero_output_for_mask": True}, {"use_bias": False}])
def test_fused_op_and_loop_over_the_cell_agree(name, mask, options):
    layer = getattr(L, name)(3, return_sequences=True, return_state=True, bias_initializer="ones", **options)
    x = np.random.default_rng(0).normal(size=X3).astype("float32")
    fused = flat(layer(x, mask=mask))
    run = {k: v for k, v in options.items() if k != "use_bias"}
    loop = flat(L.RNN(layer.cell, return_sequences=True, return_state=True, **run)(x, mask=mask))
    for a, b in zip(fused, loop, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)  # float32, sums in another order


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_input_dropout_in_one_product_is_dropout_per_gate(name):
    layer = getattr(L, name)(3, dropout=0.5, return_sequences=True, seed=4)
    x = np.random.default_rng(0).normal(size=X3).astype("float32")
    layer(x)
    cell = layer.cell
    n = cell.dropout_mask_count or 1
    drawn = [2.0 * np.random.default_rng(i).integers(0, 2, (3, 4)) for i in range(n)]
    masks = [kcore.ops.convert_to_tensor(mask, dtype="float32") for mask in drawn]
    cell.get_dropout_mask = lambda _: masks if n > 1 else masks[0]
    fused = layer(x, training=True).numpy()
    loop = L.RNN(cell, return_sequences=True)(x, training=True).numpy()
    np.testing.assert_allclose(fused, loop, rtol=1e-5, atol=1e-6)  # float32, sums in another order
    assert np.abs(fused - layer(x).numpy()).max() > 1e-3


class Counter(L.Layer):
    """A user's cell: adds up its inputs and counts steps, with states of two sizes."""

    state_size = (4, 1)
    output_size = 4

    def call(self, inputs, states, training=False):
        total = states[0] + inputs
        return total * (2.0 if training else 1.0), [total, states[1] + 1.0]


def test_user_cell():
    x = np.random.default_rng(0).normal(size=X3).astype("float32")
    layer = L.RNN(Counter(), return_sequences=True, return_state=True)
    y, total, steps = layer(x, mask=MASK)
    kept = np.cumsum(x * MASK[..., None], axis=1)
    np.testing.assert_allclose(total.numpy(), kept[:, -1], rtol=1e-5)
    np.testing.assert_array_equal(steps.numpy()[:, 0], MASK.sum(1))
    np.testing.assert_allclose(y.numpy()[MASK], kept[MASK], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer(x, training=True)[0].numpy(), 2 * np.cumsum(x, axis=1), rtol=1e-5, atol=1e-6)
    assert layer.compute_output_shape((None, None, 4)) == ((None, None, 4), (None, 4), (None, 1))


def test_batch_normalization_follows_trainable():
    x = np.random.default_rng(0).normal(3, 2, X4).astype("float32")
    layer = L.BatchNormalization(momentum=0.0)
    y = layer(x, training=True).numpy()
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean.numpy(), x.mean((0, 1, 2)), rtol=1e-5)
    layer.trainable = False
    before = layer.moving_mean.numpy()
    layer(x + 5, training=True)
    np.testing.assert_array_equal(layer.moving_mean.numpy(), before)


@pytest.mark.parametrize("name", ["RandomFlip", "RandomContrast", "RandomBrightness", "RandomRotation", "RandomZoom"])
def test_augmentation_acts_in_training_only_and_on_each_image_for_itself(name):
    arguments = {"RandomFlip": ()}.get(name, (0.5,))
    layer = getattr(L, name)(*arguments, seed=3)
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype("uint8")
    batch = np.repeat(image[None], 32, axis=0)
    np.testing.assert_array_equal(layer(batch, training=False).numpy(), batch)
    outputs = layer(batch, training=True).numpy()
    assert outputs.shape == batch.shape
    assert len({o.tobytes() for o in outputs}) > 1
    assert layer(image, training=True).shape == image.shape


def test_random_crop_takes_a_part_of_the_image():
    image = np.arange(6 * 8, dtype="float32").reshape(1, 6, 8, 1)
    crops = [L.RandomCrop(3, 4, seed=s)(image, training=True).numpy()[0, :, :, 0] for s in range(20)]
    assert len({c[0, 0] for c in crops}) > 3
    for c in crops:
        np.testing.assert_array_equal(c - c[0, 0], image[0, :3, :4, 0])
    assert L.RandomCrop(3, 4)(image, training=False).numpy()[0, 0, 0, 0] == image[0, 1, 2, 0]


def test_merging_functions_are_the_layers():
    a, b = np.ones((2, 3), "float32"), np.full((2, 3), 2.0, "float32")
    for name, value in (
        ("add", 3),
        ("subtract", -1),
        ("multiply", 2),
        ("average", 1.5),
        ("maximum", 2),
        ("minimum", 1),
    ):
        assert (getattr(L, name)([a, b]).numpy() == value).all()
    assert L.concatenate([a, b], axis=0).shape == (4, 3)
    assert L.dot([a, b], axes=1).numpy().tolist() == [[6.0], [6.0]]


# --- what bad arguments get -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: L.Dense(0), ["Dense", "units", "0"]),
        (lambda: L.Dense(2.5), ["units", "2.5"]),
        (lambda: L.Dense(3, activation="rleu"), ["rleu", "relu"]),
        (lambda: L.Dense(3, lora_rank=2), ["lora_rank", "2"]),
        (lambda: L.Dense(3)(np.ones(4, "float32")), ["min_ndim=2", "(4,)"]),
        (lambda: L.Conv2D(3, (3, 0)), ["kernel_size", "(3, 0)"]),
        (lambda: L.Conv2D(3, 3, padding="causal"), ["padding", "causal"]),
        (lambda: L.Conv2D(3, 3, padding="sane"), ["'same'", "sane"]),
        (lambda: L.Conv2D(3, 3, strides=2, dilation_rate=2), ["strides", "dilation_rate"]),
        (lambda: L.Conv2D(3, 3, groups=2), ["filters", "groups"]),
        (lambda: L.Conv2D(4, 3, groups=2).build((None, 5, 5, 3)), ["groups=2", "3"]),
        (lambda: L.Conv2D(4, 7)(np.ones((1, 5, 5, 3), "float32")), ["conv"]),
        (lambda: L.Conv2DTranspose(3, 3, strides=2, output_padding=2), ["output_padding", "strides"]),
        (lambda: L.MaxPooling2D((2, 2, 2)), ["pool_size", "(2, 2, 2)"]),
        (lambda: L.Dropout(1.5), ["rate", "1.5"]),
        (lambda: L.Embedding(0, 3), ["input_dim", "0"]),
        (lambda: L.BatchNormalization(axis=4).build((None, 3)), ["axis", "4"]),
        (lambda: L.GroupNormalization(5).build((None, 3)), ["groups", "5"]),
        (lambda: L.Reshape((5, 5))(np.ones((2, 12), "float32")), ["Reshape", "(5, 5)", "12"]),
        (lambda: L.Reshape((-1, -1)), ["-1"]),
        (lambda: L.Permute((1, 3)), ["dims", "(1, 3)"]),
        (lambda: L.Cropping2D(3)(np.ones((1, 5, 5, 1), "float32")), ["cropping", "3"]),
        (lambda: L.UpSampling2D(2, interpolation="linear"), ["interpolation", "bilinear"]),
        (lambda: L.Add()([np.ones((2, 3)), np.ones((2, 4))]), ["(2, 3)", "(2, 4)"]),
        (lambda: L.Add()([np.ones((2, 3)), np.ones((3, 3))]), ["batch", "(3, 3)"]),
        (lambda: L.Add()(np.ones((2, 3))), ["list", "(2, 3)"]),
        (lambda: L.Subtract()([np.ones((2, 3))] * 3), ["2"]),
        (lambda: L.Concatenate()([np.ones((2, 3)), np.ones((3, 3))]), ["(2, 3)", "(3, 3)"]),
        (lambda: L.Dot(1)([np.ones((2, 3)), np.ones((2, 4))]), ["3", "4"]),
        (lambda: L.ReLU(max_value=-1), ["max_value", "-1"]),
        (lambda: L.RNN(3), ["cell", "3"]),
        (lambda: L.LSTM(3)(np.ones((2, 4), "float32")), ["ndim=3", "(2, 4)"]),
        (lambda: L.LSTM(3)(np.ones((2, 0, 4), "float32")), ["step", "(2, 0, 4)"]),
        (lambda: L.LSTM(3)(np.ones((2, 2, 4)), initial_state=[np.ones((2, 3))]), ["initial_state", "(2, 3)"]),
        (lambda: L.LSTM(3)(np.ones((2, 2, 4)), mask=np.ones((2, 3), bool)), ["mask", "(2, 3)"]),
        (lambda: L.LSTM(3, stateful=True).build((None, 2, 4)), ["batch", "stateful"]),
        (lambda: L.Bidirectional(L.LSTM(3), merge_mode="cat"), ["merge_mode", "cat"]),
        (lambda: L.Bidirectional(L.Dense(3)), ["go_backwards"]),
        (lambda: L.TimeDistributed(L.Dense(3))(np.ones((2, 3), "float32")), ["3 axes", "(2, 3)"]),
        (lambda: L.RandomRotation(2.0), ["factor", "2.0"]),
        (lambda: L.RandomFlip("horizontl"), ["horizontl", "horizontal"]),
        (lambda: L.Normalization(mean=1.0), ["variance"]),
        (lambda: L.CategoryEncoding(3)(np.array([[0, 3]])), ["[0, 3)", "3"]),
        (lambda: L.EinsumDense("abc->abd", 3).build((None, 2, 3)), ["abc->abd"]),
        (lambda: L.EinsumDense("ab,bc->ac", (None,)).build((None, 3)), ["'c'"]),
        (lambda: L.MultiHeadAttention(0, 3), ["num_heads", "0"]),
    ],
)
def test_bad_arguments_are_named(make, words):
    with pytest.raises((ValueError, TypeError, NotImplementedError)) as error:
        make()
    for word in words:
        assert word in str(error.value)


def test_lambda_is_refused_in_safe_mode():
    config = L.Lambda(lambda x: x + 1).get_config()
    with pytest.raises(ValueError, match="safe_mode"):
        L.Lambda.from_config(config)
    layer = L.Lambda.from_config(config, safe_mode=False)
    np.testing.assert_array_equal(layer(np.zeros((1, 2), "float32")).numpy(), np.ones((1, 2)))


def test_batch_normalization_follows_its_batches():
    x = np.random.default_rng(0).normal(3.0, 2.0, size=(50, 4)).astype("float32")
    layer = L.BatchNormalization(momentum=0.8)
    for _ in range(2):
        layer(x, training=True)
    # Two steps of 0.8 old + 0.2 new from mean 0 and variance 1; float32 statistics of 50 values.
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.36 * x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.64 + 0.36 * x.var(0), rtol=1e-5)
    before = layer.moving_mean.numpy()
    layer(x, training=False)
    layer.trainable = False
    layer(x, training=True)  # frozen: inference, whatever is asked for
    np.testing.assert_array_equal(layer.moving_mean.numpy(), before)


def test_time_distributed_batch_statistics_are_of_each_step():
    x = np.random.default_rng(0).normal(size=(6, 3, 4)).astype("float32") * np.array([1, 2, 3], "float32")[:, None]
    layer = L.TimeDistributed(L.BatchNormalization())
    y = layer(x, training=True).numpy()
    want = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3)
    np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-5)  # float32 statistics of six values
    moving = np.zeros(4)
    for step in range(3):
        moving = 0.99 * moving + 0.01 * x[:, step].mean(0)
    np.testing.assert_allclose(layer.layer.moving_mean.numpy(), moving, rtol=1e-4, atol=1e-7)
