"""Seeds, shapes, dtypes and errors of initializers. Distributions are compared in tests/parity."""

import numpy as np
import pytest

import kcore
from kcore import initializers


def test_a_seed_gives_the_same_values_at_every_call():
    first = initializers.GlorotUniform(seed=3)
    assert np.array_equal(first((4, 5)).numpy(), first((4, 5)).numpy())
    assert np.array_equal(first((4, 5)).numpy(), initializers.GlorotUniform(seed=3)((4, 5)).numpy())
    assert not np.array_equal(first((4, 5)).numpy(), initializers.GlorotUniform(seed=4)((4, 5)).numpy())


def test_without_a_seed_instances_differ_unless_the_process_is_seeded():
    assert not np.array_equal(initializers.HeNormal()((9,)).numpy(), initializers.HeNormal()((9,)).numpy())
    drawn = []
    for _ in range(2):
        kcore.utils.set_random_seed(5)
        drawn.append(initializers.HeNormal()((9,)).numpy())
    assert np.array_equal(*drawn)


def test_a_seed_generator_gives_new_values_each_time():
    initializer = initializers.RandomNormal(seed=kcore.random.SeedGenerator(1))
    assert not np.array_equal(initializer((9,)).numpy(), initializer((9,)).numpy())
    again = initializers.deserialize(initializers.serialize(initializer))
    assert isinstance(again.seed, kcore.random.SeedGenerator)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["zeros", "ones", "random_normal", "truncated_normal", "he_uniform", "orthogonal"])
def test_shapes_and_dtypes(name, dtype):
    values = initializers.get(name)((3, 4), dtype=dtype)
    assert values.shape == (3, 4) and values.dtype == dtype


def test_a_layer_sized_draw_has_the_variance_asked_for():
    kernel = initializers.HeNormal(seed=1)((3, 3, 64, 128)).numpy()
    # 73,728 samples of variance 2 / 576: the standard error of a variance is about 0.5 %.
    assert kernel.var() == pytest.approx(2 / (3 * 3 * 64), rel=0.03)


def test_an_array_initializes_to_itself():
    values = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(initializers.get(values)((2, 3)).numpy(), values)
    with pytest.raises(ValueError, match=r"expected shape \(2, 3\)"):
        initializers.get(values)((3, 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: initializers.VarianceScaling(scale=0), "scale > 0"),
        (lambda: initializers.VarianceScaling(scale=float("nan")), "scale > 0"),
        (lambda: initializers.VarianceScaling(mode="fan"), "expected mode"),
        (lambda: initializers.VarianceScaling(distribution="cauchy"), "expected distribution"),
        (lambda: initializers.RandomNormal(seed=1.5), "expected seed"),
        (lambda: initializers.RandomNormal(seed=1)((2, -1)), "integers >= 0"),
        (lambda: initializers.Zeros()("ab"), "shape of integers"),
        (lambda: initializers.Identity()((2, 2, 2)), "rank 2"),
        (lambda: initializers.Orthogonal()((3,)), "rank 2 or more"),
        (lambda: initializers.STFT(side="left"), "expected side"),
        (lambda: initializers.STFT()((4, 2, 3)), "frame_length, 1, bins"),
        (lambda: initializers.Constant(np.ones(3))((2,)), "expected"),
        (lambda: initializers.get("glorot_uniforn"), 'did you mean "glorot_uniform"'),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_user_written_initializer():
    class Sevens(initializers.Initializer):
        def __call__(self, shape, dtype=None, **kwargs):
            return kcore.ops.full(shape, 7, dtype=dtype)

    variable = kcore.Variable(Sevens(), shape=(2,))
    assert variable.numpy().tolist() == [7.0, 7.0]
    with pytest.raises(NotImplementedError, match="__call__"):
        initializers.Initializer()((2,))
