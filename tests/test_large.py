"""Arrays larger than the caches, whose results are written around them, give what their parts give."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.autograd import apply, convert_to_tensor

# Rows of no whole cache lines, and more bytes than any cache that a result is kept in.
ROWS, WIDTH = 80_000, 125
VECTOR = np.linspace(-1, 2, WIDTH, dtype="float32")


def rows(key: int) -> np.ndarray:
    return np.random.default_rng(key).standard_normal((ROWS, WIDTH), dtype="float32")


def run(op: str, inputs: list[np.ndarray | None], attrs: dict) -> list[np.ndarray]:
    result = apply(op, [None if x is None else convert_to_tensor(x) for x in inputs], attrs)
    return [np.asarray(y) for y in (result if isinstance(result, tuple) else (result,))]


NORM = {"epsilon": 1e-3}
# op, number of large inputs, further inputs (a string: one value for each row), attributes
EACH_ROW = [
    ("batch_norm_inference", 1, [VECTOR, VECTOR**2, VECTOR, VECTOR], NORM),
    ("layer_norm", 1, [VECTOR, VECTOR], {**NORM, "dims": 1}),
    ("layer_norm", 1, [None, VECTOR], {**NORM, "dims": 1}),
    ("layer_norm_grad", 2, [VECTOR, "rows", "rows"], {**NORM, "dims": 1}),
    ("softmax", 1, [], {}),
    ("softmax_grad", 2, [], {}),
    ("log_softmax", 1, [], {}),
    ("softmax_cross_entropy", 2, [], {}),
]


@pytest.mark.parametrize(("op", "count", "others", "attrs"), EACH_ROW, ids=[case[0] for case in EACH_ROW])
def test_rows(op, count, others, attrs):
    large = [rows(i) for i in range(count)]
    each = np.random.default_rng(9).uniform(0.5, 2, ROWS).astype("float32")
    (y, *_) = run(op, [*large, *(each if isinstance(v, str) else v for v in others)], attrs)
    for part in (slice(0, 500), slice(ROWS // 2, ROWS // 2 + 500), slice(ROWS - 500, ROWS)):
        inputs = [*(x[part] for x in large), *(each[part] if isinstance(v, str) else v for v in others)]
        np.testing.assert_array_equal(y[part], run(op, inputs, attrs)[0])


POOL = {"window": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0]}


@pytest.mark.parametrize("pads", [0, 1])
def test_pool(pads):
    """Images of a large batch, and those alone."""
    attrs = {**POOL, "pads": [pads] * 4}
    x = np.random.default_rng(0).standard_normal((40, 64, 64, 64), dtype="float32")
    y, positions = run("max_pool", [x], attrs)
    np.testing.assert_array_equal(y, run("max_pool", [x], {**attrs, "caches": False})[0])
    dy = np.random.default_rng(1).standard_normal(y.shape, dtype="float32")
    (average,) = run("average_pool", [x], attrs)
    attrs_grad = {**attrs, "size": [64, 64]}
    (dx,) = run("max_pool_grad", [dy, positions], attrs_grad)
    (average_dx,) = run("average_pool_grad", [dy], attrs_grad)
    for i in (0, 17, 39):
        one = slice(i, i + 1)
        y_alone, positions_alone = run("max_pool", [x[one]], attrs)
        np.testing.assert_array_equal(y[one], y_alone)
        np.testing.assert_array_equal(positions[one], positions_alone)
        np.testing.assert_array_equal(dx[one], run("max_pool_grad", [dy[one], positions[one]], attrs_grad)[0])
        np.testing.assert_array_equal(average[one], run("average_pool", [x[one]], attrs)[0])
        np.testing.assert_array_equal(average_dx[one], run("average_pool_grad", [dy[one]], attrs_grad)[0])


def test_cross_entropy_gradients():
    logits, target = rows(0), rows(1)
    dy = np.random.default_rng(9).uniform(0.5, 2, ROWS).astype("float32")
    labels = np.random.default_rng(8).integers(0, WIDTH, ROWS)
    for op, labelled in (("softmax_cross_entropy_grad", target), ("sparse_softmax_cross_entropy_grad", labels)):
        (dx,) = run(op, [dy, logits, labelled], {})
        part = slice(ROWS - 500, ROWS)
        np.testing.assert_array_equal(dx[part], run(op, [dy[part], logits[part], labelled[part]], {})[0])


def test_batch_norm():
    x, dy = rows(0), rows(1)
    y, mean, variance = run("batch_norm_train", [x, VECTOR, VECTOR], NORM)
    np.testing.assert_allclose(mean, x.mean(0, dtype="float64"), atol=1e-6)
    np.testing.assert_allclose(variance, x.var(0, dtype="float64"), rtol=1e-6)
    np.testing.assert_allclose(y, run("batch_norm_inference", [x, mean, variance, VECTOR, VECTOR], NORM)[0], atol=1e-5)
    dx, dgamma, dbeta = run("batch_norm_grad", [dy, x, VECTOR, mean, variance], NORM)
    inverse = 1 / np.sqrt(variance.astype("float64") + 1e-3)
    hat = (x - mean) * inverse
    np.testing.assert_allclose(dbeta, dy.sum(0, dtype="float64"), atol=1e-3)
    np.testing.assert_allclose(dgamma, (dy * hat).sum(0), atol=1e-3)
    expected = VECTOR * inverse * (dy - dy.mean(0) - hat * (dy * hat).mean(0))
    np.testing.assert_allclose(dx, expected, atol=1e-5)
