"""Random numbers: their distributions, and that they depend on the seed alone. Seeds are fixed: nothing is flaky."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import kcore
from kcore import _core, random

# A p-value of a right generator is uniform; with fixed seeds it is a constant. 1e-3 tells it from a wrong one's 1e-9.
PLAUSIBLE = 1e-3
N = 50_000


def values(function, *args, **options):
    return np.asarray(function((N,), *args, seed=random.SeedGenerator(7), **options))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "function, args, distribution",
    [
        (random.uniform, (-1.0, 3.0), stats.uniform(-1, 4)),
        (random.normal, (1.0, 2.0), stats.norm(1, 2)),
        (random.truncated_normal, (1.0, 2.0), stats.truncnorm(-2, 2, 1, 2)),
        (random.gamma, (0.4,), stats.gamma(0.4)),
        (random.gamma, (5.0,), stats.gamma(5)),
        (random.beta, (2.0, 0.7), stats.beta(2, 0.7)),
    ],
)
def test_distribution(function, args, distribution, dtype):
    x = values(function, *args, dtype=dtype)
    assert x.dtype == dtype
    assert stats.kstest(x.astype("float64"), distribution.cdf).pvalue > PLAUSIBLE


def test_tails():
    x = np.asarray(random.normal((1_000_000,), seed=3))
    # The largest of a million normal values lies between 4.4 and 5.9 but for one seed in a thousand.
    assert 4.4 < x.max() < 5.9 and -5.9 < x.min() < -4.4
    assert np.abs(np.asarray(random.truncated_normal((1_000_000,), seed=3))).max() <= 2
    u = np.asarray(random.uniform((1_000_000,), seed=3))
    assert u.min() >= 0 and u.max() < 1
    # 1 - 2^-25 is 1 in float32: the upper bound stays excluded.
    assert np.asarray(random.uniform((100_000,), 1.0, 1.0 + 2.0**-22, seed=3)).max() < 1.0 + 2.0**-22


def test_neighbours_are_independent():
    x = np.asarray(random.normal((2, N), seed=1), "float64")
    for a, b in [(x[0, 1:], x[0, :-1]), (x[0, 16:], x[0, :-16]), (x[0], x[1])]:
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(N)
    first, second = (np.asarray(random.normal((N,), seed=g), "float64") for g in [random.SeedGenerator(1)] * 2)
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(N)


@pytest.mark.parametrize("low, high, dtype", [(-3, 5, "int32"), (0, 256, "uint8"), (10, 11, "int64")])
def test_randint(low, high, dtype):
    x = values(random.randint, low, high, dtype=dtype)
    assert x.dtype == dtype and x.min() >= low and x.max() < high
    counts = np.bincount(x.astype("int64") - low, minlength=high - low)
    assert high - low == 1 or stats.chisquare(counts).pvalue > PLAUSIBLE


@pytest.mark.parametrize("n, p", [(5, 0.3), (60, 0.25), (100, 0.8), (1000, 0.9), (10**6, 4e-6)])
def test_binomial(n, p):
    x = values(random.binomial, n, p).astype("int64")
    edges = np.unique(stats.binom.ppf(np.linspace(0.02, 0.98, 15), n, p)).astype("int64")
    observed = np.bincount(np.searchsorted(edges, x), minlength=len(edges) + 1)
    expected = np.diff(np.concatenate([[0], stats.binom.cdf(edges, n, p), [1]])) * N
    assert stats.chisquare(observed, expected).pvalue > PLAUSIBLE


def test_categorical():
    probabilities = np.array([[0.1, 0.6, 0.3], [0.5, 0.5, 0.0]])
    with np.errstate(divide="ignore"):
        x = np.asarray(random.categorical(np.log(probabilities), N, seed=1, dtype="int64"))
    assert x.shape == (2, N) and x.dtype == "int64"
    assert stats.chisquare(np.bincount(x[0]), probabilities[0] * N).pvalue > PLAUSIBLE
    assert stats.chisquare(np.bincount(x[1]), [N / 2, N / 2]).pvalue > PLAUSIBLE


def test_dropout():
    x = np.linspace(1, 2, N).astype("float32")
    y = np.asarray(random.dropout(x, 0.3, seed=1))
    kept = y != 0
    np.testing.assert_array_equal(y[kept], (x * np.float32(1 / 0.7))[kept])
    assert abs(kept.mean() - 0.7) < 4 * np.sqrt(0.21 / N)
    same_rows = np.asarray(random.dropout(np.ones((9, 50), "float32"), 0.5, noise_shape=(1, None), seed=1))
    assert (same_rows == same_rows[0]).all() and 0 < (same_rows == 0).mean() < 1


def test_gradient_of_dropout_has_its_mask():
    x = kcore.ops.convert_to_tensor(np.ones(1000, "float32"))
    with kcore.GradientTape() as tape:
        tape.watch(x)
        y = random.dropout(x, 0.4, seed=5)
    np.testing.assert_array_equal(np.asarray(tape.gradient(y, x)), np.asarray(y))


def test_shuffle():
    x = np.arange(60).reshape(3, 20)
    y = np.asarray(random.shuffle(x, axis=1, seed=2))
    assert not (x == y).all()
    np.testing.assert_array_equal(np.sort(y, 1), x)
    assert len({tuple(np.diff(row)) for row in y}) == 1  # rows move together


def test_the_seed_decides():
    a, b = (np.asarray(random.normal((100,), seed=4)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    generator = random.SeedGenerator(4)
    first, second = np.asarray(random.normal((100,), seed=generator)), np.asarray(random.normal((100,), seed=generator))
    assert (first != second).any()
    again = random.SeedGenerator(4)
    np.testing.assert_array_equal(np.asarray(random.normal((100,), seed=again)), first)
    assert (np.asarray(random.normal((100,))) != np.asarray(random.normal((100,)))).any()
    # A longer array begins with the values of a shorter one: element i depends on i alone.
    np.testing.assert_array_equal(np.asarray(random.normal((500,), seed=4))[:100], a)


@pytest.mark.parametrize("function", [random.uniform, random.normal, random.truncated_normal])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_do_not_matter(function, dtype):
    before = _core.num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            _core.set_num_threads(threads)
            results.append(np.asarray(function((100_001,), dtype=dtype, seed=6)))
    finally:
        _core.set_num_threads(before)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: random.uniform((2,), 1.0, 0.0), r"\[random_uniform\] expected finite minval <= maxval"),
        (lambda: random.uniform((2,), dtype="int32"), r"\[random_uniform\] expected a float dtype"),
        (lambda: random.uniform((-2,)), r"\[random_uniform\] expected dimensions of 0 or more"),
        (lambda: random.randint((2,), 3, 3), r"\[random_integers\] expected minval < maxval"),
        (lambda: random.randint((2,), 0, 300, dtype="uint8"), r"\[random_integers\] expected bounds within uint8"),
        (lambda: random.dropout([1.0], 1.5), r"\[dropout\] expected rate in \[0, 1\]"),
        (lambda: random.dropout([[1.0, 2.0]], 0.5, noise_shape=(1, 3)), r"\[dropout\] expected noise_shape"),
        (lambda: random.categorical([1.0], 2), r"\[categorical\] expected logits of shape \(batch, classes\)"),
        (lambda: random.normal((2,), seed=-1), r"\[seed\] expected None, a non-negative int or a SeedGenerator"),
        (lambda: random.shuffle([1, 2], axis=1), r"\[shuffle\] expected an axis in \[-1, 1\)"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
