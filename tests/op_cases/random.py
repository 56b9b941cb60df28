"""Random ops against Philox4x32-10 written out in Python; what the numbers are like is for tests/test_random.py."""

import numpy as np
from scipy.special import ndtr, ndtri

from .case import Case, positive

SEED = np.array([12345, 7], "uint32")
QUANTILE = "Wichura's AS 241, 1e-7 in float32 and 1e-16 in float64, and its logarithm in the tails"


def philox(counter, key):
    """Ten rounds on four words; uint64 arrays that hold 32 bits."""
    c, k = list(counter), list(key)
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        high0, high1 = p0 >> np.uint64(32), p1 >> np.uint64(32)
        c = [high1 ^ c[1] ^ k[0], p1 & low, high0 ^ c[3] ^ k[1], p0 & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return c


def words(seed, count):
    """Chunks of 64 words: the four words of 16 blocks, all first words first. (chunks, 64)"""
    chunks = -(-count // 64)
    blocks = np.arange(16 * chunks, dtype="uint64")
    zero = np.zeros_like(blocks)
    out = philox([blocks, zero, zero + np.uint64(seed[1]), zero], [np.uint64(seed[0]), np.uint64(0)])
    return np.stack([w.reshape(chunks, 16) for w in out], 1).reshape(chunks, 64)


def bits(seed, shape, wide):
    """Random integers below 2^32, or below 2^64 from words j and j + 32 of a chunk."""
    count = int(np.prod(shape))
    w = words(seed, 2 * count if wide else count)
    w = w[:, :32] | w[:, 32:] << np.uint64(32) if wide else w
    return w.reshape(-1)[:count].reshape(shape)


def uniform(seed, shape, minval=0.0, maxval=1.0, dtype="float32"):
    wide = dtype == "float64"
    u = (bits(seed, shape, wide) >> np.uint64(11 if wide else 8)).astype("float64") * 2.0 ** (-53 if wide else -24)
    return minval + u * (maxval - minval)


def normal(seed, shape, mean=0.0, stddev=1.0, dtype="float32", low=0.0):
    wide = dtype == "float64"
    b = bits(seed, shape, wide)
    u = ((b >> np.uint64(1)).astype("float64") + 0.5) * 2.0 ** (-63 if wide else -31)
    z = ndtri(low + u * (0.5 - low))
    return mean + stddev * np.where(b & np.uint64(1), z, -z)


def truncated_normal(seed, shape, **attrs):
    return normal(seed, shape, **attrs, low=ndtr(-2.0))


def integers(seed, shape, minval, maxval, dtype="int32"):
    values = [minval + (int(b) * (maxval - minval) >> 64) for b in bits(seed, shape, True).reshape(-1)]
    return np.array(values).reshape(shape).astype(dtype)


def dropout(x, seed, rate=0.5):
    keep = bits(seed, x.shape, False) >= np.uint64(rate * 2**32)
    return np.where(keep, x / (1 - rate), 0.0)


def case(op, oracle, attrs, dtype=None, **options):
    if dtype is not None:
        attrs, options = {**attrs, "dtype": dtype}, {"name": dtype, **options}
    return Case(op, [SEED], oracle, attrs, grad=False, **options)


SHAPE = [3, 67]  # more than a chunk, with a tail
CENTERED = {"shape": SHAPE, "mean": 1.0, "stddev": 2.0}

CASES = [
    case("random_uniform", uniform, {"shape": SHAPE}, "float32", ulps=0, why="exact: 24 bits"),
    case("random_uniform", uniform, {"shape": SHAPE, "minval": -2.0, "maxval": 3.0}, "float64"),
    case("random_uniform", uniform, {"shape": [], "minval": 2.0, "maxval": 2.0}, name="empty-range"),
    *(case("random_normal", normal, CENTERED, dtype, ulps=8, why=QUANTILE) for dtype in ("float32", "float64")),
    *(
        case("random_truncated_normal", truncated_normal, CENTERED, dtype, ulps=8, why=QUANTILE)
        for dtype in ("float32", "float64")
    ),
    case("random_integers", integers, {"shape": SHAPE, "minval": -5, "maxval": 20}, "int32"),
    case("random_integers", integers, {"shape": [40], "minval": 0, "maxval": 256}, "uint8"),
    case("random_integers", integers, {"shape": [40], "minval": -(2**62), "maxval": 2**62}, "int64"),
    Case("random_gamma", [positive(70), SEED], lambda alpha, seed: (None,), grad=False),
    Case(
        "random_binomial",
        [np.arange(70.0), np.arange(70) % 2.0, SEED],
        lambda n, p, seed: n * p,
        grad=False,
        ulps=0,
        why="exact: probabilities 0 and 1",
    ),
    Case("dropout", [positive(3, 67), SEED], dropout, {"rate": 0.3}),
    Case("dropout", [positive(5), SEED], lambda x, seed, rate: 0 * x, {"rate": 1.0}, name="all"),
]
