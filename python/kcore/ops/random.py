"""Random numbers, counter-based: the same seed gives the same numbers on every machine, with any number of threads.

`seed` is None (the default generator), a non-negative int or a `SeedGenerator`. An int gives the same numbers each
time.
"""

from __future__ import annotations

import random as python_random
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.autograd import Tensor, apply, convert_to_tensor, standardize_dtype, vjp
from kcore.autograd.random import SeedGenerator, draw_seed
from kcore.ops import elementwise as ew
from kcore.ops.gather import take
from kcore.ops.operands import as_float, as_tensor, cast_to, full_of, normalize_axis
from kcore.ops.public import public
from kcore.ops.shape import broadcast_to, expand_dims
from kcore.ops.sort import argsort, top_k

Seed = int | SeedGenerator | None


def _dims(shape: Any) -> list[int]:
    return [int(shape)] if np.ndim(shape) == 0 else [int(d) for d in shape]


def uniform(
    shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Seed = None
) -> Tensor:
    """Values from the uniform distribution on [minval, maxval).

    Args:
        shape: Shape of the result.
        minval: Lower bound, included.
        maxval: Upper bound, excluded.
        dtype: `"float32"` or `"float64"`; the default float if None.
        seed: None, int or SeedGenerator.

    >>> x = kcore.random.uniform((1000,), minval=2.0, maxval=3.0, seed=1).numpy()
    >>> bool((x >= 2).all() and (x < 3).all())
    True
    """
    attrs = {"shape": _dims(shape), "minval": float(minval), "maxval": float(maxval), "dtype": standardize_dtype(dtype)}
    return apply("random_uniform", (draw_seed(seed),), attrs)


def normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Seed = None
) -> Tensor:
    """Values from the normal distribution, as quantiles of uniform ones (Wichura, Applied Statistics 37, 1988).

    >>> kcore.random.normal((2, 3), seed=1).shape
    (2, 3)
    """
    attrs = {"shape": _dims(shape), "mean": float(mean), "stddev": float(stddev), "dtype": standardize_dtype(dtype)}
    return apply("random_normal", (draw_seed(seed),), attrs)


def truncated_normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Seed = None
) -> Tensor:
    """Values from the normal distribution given that they lie within two standard deviations of the mean.

    >>> float(abs(kcore.random.truncated_normal((1000,), seed=1).numpy()).max()) <= 2
    True
    """
    attrs = {"shape": _dims(shape), "mean": float(mean), "stddev": float(stddev), "dtype": standardize_dtype(dtype)}
    return apply("random_truncated_normal", (draw_seed(seed),), attrs)


def randint(shape: Sequence[int], minval: int, maxval: int, dtype: Any = "int32", seed: Seed = None) -> Tensor:
    """Integers from the uniform distribution on [minval, maxval).

    >>> sorted(set(kcore.random.randint((100,), 0, 3, seed=1).tolist()))
    [0, 1, 2]
    """
    attrs = {"shape": _dims(shape), "minval": int(minval), "maxval": int(maxval), "dtype": standardize_dtype(dtype)}
    return apply("random_integers", (draw_seed(seed),), attrs)


@public
def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Seed = None) -> Tensor:
    """Classes drawn with the probabilities softmax(logits), by the Gumbel trick.

    Args:
        logits: (batch, classes) unnormalized log-probabilities.
        num_samples: Draws for each row.
        dtype: Integer dtype of the result.
        seed: None, int or SeedGenerator.

    Returns:
        (batch, num_samples) class numbers.

    >>> kcore.random.categorical([[0.0, 100.0]], 3, seed=1).tolist()
    [[1, 1, 1]]
    """
    logits = as_float(logits)
    if logits.ndim != 2:
        raise ValueError(f"[categorical] expected logits of shape (batch, classes), received {logits.shape}")
    batch, classes = logits.shape
    u = uniform((batch, int(num_samples), classes), dtype=logits.dtype, seed=seed)
    gumbel = ew.negative(ew.log(ew.negative(ew.log(u))))
    best = top_k(ew.add(expand_dims(logits, 1), gumbel), 1)[1]
    return cast_to(apply("reshape", (best,), {"shape": [batch, int(num_samples)]}), standardize_dtype(dtype))


def gamma(shape: Sequence[int], alpha: Any, dtype: Any = None, seed: Seed = None) -> Tensor:
    """Values from the gamma distribution of shape parameter `alpha`, which broadcasts to `shape`, and scale 1.

    >>> bool((kcore.random.gamma((10,), 2.0, seed=1).numpy() > 0).all())
    True
    """
    alpha = broadcast_to(convert_to_tensor(alpha, dtype=standardize_dtype(dtype)), _dims(shape))
    return apply("random_gamma", (alpha, draw_seed(seed)))


def beta(shape: Sequence[int], alpha: Any, beta: Any, dtype: Any = None, seed: Seed = None) -> Tensor:
    """Values from the beta distribution, from two gamma variables. alpha and beta broadcast to `shape`."""
    dtype, dims = standardize_dtype(dtype), _dims(shape)
    first = draw_seed(seed)
    second = ew.add(first, np.array([_SECOND_STREAM, 0], "uint32"))
    a = apply("random_gamma", (broadcast_to(convert_to_tensor(alpha, dtype=dtype), dims), first))
    b = apply("random_gamma", (broadcast_to(convert_to_tensor(beta, dtype=dtype), dims), second))
    return ew.divide(a, ew.add(a, b))


_SECOND_STREAM = 0x9E3779B9  # far from any key in use


def binomial(shape: Sequence[int], counts: Any, probabilities: Any, dtype: Any = None, seed: Seed = None) -> Tensor:
    """The number of successes among `counts` trials of the given probabilities, which broadcast to `shape`.

    >>> kcore.random.binomial((2,), 10, [0.0, 1.0], seed=1).tolist()
    [0.0, 10.0]
    """
    dtype, dims = standardize_dtype(dtype), _dims(shape)
    counts = broadcast_to(convert_to_tensor(counts, dtype=dtype), dims)
    probabilities = broadcast_to(convert_to_tensor(probabilities, dtype=dtype), dims)
    return apply("random_binomial", (counts, probabilities, draw_seed(seed)))


@public
def dropout(inputs: Any, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Seed = None) -> Tensor:
    """Sets a fraction `rate` of the values to zero and scales the others by 1 / (1 - rate).

    Args:
        inputs: (...) floats.
        rate: Between 0 and 1.
        noise_shape: Shape of the mask, which broadcasts to that of `inputs`; None stands for the inputs' dimension.
        seed: None, int or SeedGenerator.

    >>> sorted(set(kcore.random.dropout([1.0] * 100, 0.5, seed=1).tolist()))
    [0.0, 2.0]
    """
    x, seed = as_float(inputs), draw_seed(seed)
    dims = x.shape if noise_shape is None else [n if d is None else int(d) for n, d in zip(x.shape, noise_shape)]
    if noise_shape is not None and len(noise_shape) != x.ndim:
        raise ValueError(f"[dropout] expected noise_shape of {x.ndim} dimensions, received {tuple(noise_shape)}")
    if tuple(dims) == x.shape:
        return apply("dropout", (x, seed), {"rate": float(rate)})
    if any(d not in (1, n) for n, d in zip(x.shape, dims)):
        raise ValueError(f"[dropout] expected noise_shape that broadcasts to {x.shape}, received {tuple(noise_shape)}")
    mask = apply("dropout", (full_of(tuple(dims), 1.0, x.dtype), seed), {"rate": float(rate)})
    return ew.multiply(x, mask)


@vjp("dropout")
def dropout_vjp(node, dy):
    # The mask is made again from the seed.
    return [apply("dropout", (dy, node.inputs[1]), node.attrs), None]


@public
def shuffle(x: Any, axis: int = 0, seed: Seed = None) -> Tensor:
    """x with its slices along `axis` in random order.

    >>> sorted(kcore.random.shuffle([1, 2, 3], seed=1).tolist())
    [1, 2, 3]
    """
    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim, "shuffle")
    # 53 bits: two of n keys are equal with a probability of n^2 / 2^54.
    return take(x, argsort(uniform((x.shape[axis],), dtype="float64", seed=seed)), axis=axis)


def make_default_seed() -> int:
    """A seed from Python's `random` module, which `keras.utils.set_random_seed` fixes."""
    return python_random.randint(1, 2**31 - 1)
