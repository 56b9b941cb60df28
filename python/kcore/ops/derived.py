"""NumPy's smaller functions, each a line or two of other ops; so gradients follow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.autograd import Tensor
from kcore.autograd.dtype import is_floating, numpy_dtype, standardize_dtype
from kcore.ops import elementwise as ew
from kcore.ops import reduce
from kcore.ops.creation import zeros
from kcore.ops.operands import as_float, as_tensor, normalize_axis
from kcore.ops.public import public
from kcore.ops.shape import concatenate, expand_dims, flip, ravel, reshape, split, swapaxes, transpose

Axis = int | Sequence[int] | None


@public
def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether all elements are close: |x1 - x2| <= atol + rtol |x2|. bool ()."""
    return reduce.all(ew.isclose(x1, x2, rtol, atol, equal_nan))


@public
def append(x1: Any, x2: Any, axis: int | None = None) -> Tensor:
    """x2 behind x1 along an axis; both flattened if it is None."""
    return concatenate([ravel(x1), ravel(x2)] if axis is None else [x1, x2], axis=axis or 0)


@public
def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Like `split`, into parts that may differ in size by one.

    >>> [part.shape for part in kcore.ops.array_split(kcore.ops.zeros((5,)), 2)]
    [(3,), (2,)]
    """
    x = as_tensor(x)
    if isinstance(indices_or_sections, int) and indices_or_sections > 0:
        small, rest = divmod(x.shape[normalize_axis(axis, x.ndim, "array_split")], indices_or_sections)
        sizes = [small + 1] * rest + [small] * (indices_or_sections - rest)
        indices_or_sections = np.cumsum(sizes)[:-1].tolist()
    return split(x, indices_or_sections, axis=axis)


@public
def cbrt(x: Any) -> Tensor:
    """The cube root, of negative numbers as well."""
    x = as_float(x)
    return ew.sign(x) * ew.power(ew.abs(x), 1 / 3)


@public
def deg2rad(x: Any) -> Tensor:
    """Degrees as radians."""
    return as_float(x) * (math.pi / 180)


@public
def rad2deg(x: Any) -> Tensor:
    """Radians as degrees."""
    return as_float(x) * (180 / math.pi)


@public
def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """The n-th differences of neighbours along an axis.

    >>> kcore.ops.diff([1, 2, 4, 7]).numpy().tolist()
    [1, 2, 3]
    """
    a = swapaxes(as_tensor(a), axis, -1)
    for _ in range(n):
        a = ew.not_equal(a[..., 1:], a[..., :-1]) if a.dtype == "bool" else a[..., 1:] - a[..., :-1]
    return swapaxes(a, axis, -1)


@public
def empty_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros of the shape of x."""
    x = as_tensor(x)
    return zeros(x.shape, dtype=dtype or x.dtype)


@public
def erfc(x: Any) -> Tensor:
    """1 - erf(x)."""
    return 1.0 - ew.erf(x)


@public
def fabs(x: Any) -> Tensor:
    """|x| as a float."""
    return ew.abs(as_float(x))


@public
def fliplr(x: Any) -> Tensor:
    """x with axis 1 reversed."""
    return flip(x, axis=1)


@public
def flipud(x: Any) -> Tensor:
    """x with axis 0 reversed."""
    return flip(x, axis=0)


@public
def fmax(x1: Any, x2: Any) -> Tensor:
    """The larger of two; where one is NaN, the other."""
    x1, x2 = as_tensor(x1), as_tensor(x2)
    return ew.where(ew.isnan(x1), x2, ew.where(ew.isnan(x2), x1, ew.maximum(x1, x2)))


@public
def fmin(x1: Any, x2: Any) -> Tensor:
    """The smaller of two; where one is NaN, the other."""
    x1, x2 = as_tensor(x1), as_tensor(x2)
    return ew.where(ew.isnan(x1), x2, ew.where(ew.isnan(x2), x1, ew.minimum(x1, x2)))


@public
def heaviside(x1: Any, x2: Any) -> Tensor:
    """0 where x1 < 0, x2 where it is 0, 1 where x1 > 0."""
    x1, x2 = as_float(x1), as_float(x2)
    return ew.where(ew.isnan(x1), x1, ew.where(x1 < 0, 0.0, ew.where(x1 > 0, 1.0, x2)))


@public
def hypot(x1: Any, x2: Any) -> Tensor:
    """sqrt(x1^2 + x2^2), which does not overflow."""
    x1, x2 = ew.abs(as_float(x1)), ew.abs(as_float(x2))
    large, small = ew.maximum(x1, x2), ew.minimum(x1, x2)
    return large * ew.sqrt(1.0 + ew.square(ew.divide_no_nan(small, large)))


@public
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Which elements of x1 are among those of x2. bool, of the shape of x1."""
    found = reduce.any(ew.equal(expand_dims(as_tensor(x1), -1), ravel(x2)), axis=-1)
    return ew.logical_not(found) if invert else found


@public
def isneginf(x: Any) -> Tensor:
    """Which elements are minus infinity."""
    return ew.equal(as_float(x), -math.inf)


@public
def isposinf(x: Any) -> Tensor:
    """Which elements are plus infinity."""
    return ew.equal(as_float(x), math.inf)


@public
def kron(x1: Any, x2: Any) -> Tensor:
    """The Kronecker product of two arrays."""
    x1, x2 = as_tensor(x1), as_tensor(x2)
    ndim = max(x1.ndim, x2.ndim)
    shape1 = (1,) * (ndim - x1.ndim) + x1.shape
    shape2 = (1,) * (ndim - x2.ndim) + x2.shape
    spread1 = reshape(x1, [n for size in shape1 for n in (size, 1)])
    spread2 = reshape(x2, [n for size in shape2 for n in (1, size)])
    return reshape(spread1 * spread2, [a * b for a, b in zip(shape1, shape2)])


@public
def logaddexp2(x1: Any, x2: Any) -> Tensor:
    """log2(2^x1 + 2^x2), which does not overflow."""
    x1, x2 = as_float(x1), as_float(x2)
    return ew.logaddexp(x1 * math.log(2), x2 * math.log(2)) / math.log(2)


def _without_nan(x: Any, fill: float) -> tuple[Tensor, Tensor]:
    """x with `fill` for NaN, and where it was not NaN."""
    x = as_tensor(x)
    nan = ew.isnan(x)
    return (ew.where(nan, fill, x) if is_floating(x.dtype) else x), ew.logical_not(nan)


@public
def nansum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum of what is not NaN."""
    return reduce.sum(_without_nan(x, 0.0)[0], axis, keepdims)


@public
def nanprod(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product of what is not NaN."""
    return reduce.prod(_without_nan(x, 1.0)[0], axis, keepdims)


@public
def nanmean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean of what is not NaN; NaN where nothing is."""
    values, valid = _without_nan(as_float(x), 0.0)
    return reduce.sum(values, axis, keepdims) / reduce.sum(ew.cast(valid, values.dtype), axis, keepdims)


@public
def nanvar(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The variance of what is not NaN; NaN where nothing is."""
    x = as_float(x)
    return nanmean(ew.square(x - nanmean(x, axis, True)), axis, keepdims)


@public
def nanstd(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The standard deviation of what is not NaN; NaN where nothing is."""
    return ew.sqrt(nanvar(x, axis, keepdims))


def _nan_extreme(of: Any, x: Any, axis: Axis, keepdims: bool, fill: float) -> Tensor:
    values, valid = _without_nan(x, fill)
    result = of(values, axis, keepdims)
    return ew.where(reduce.any(valid, axis, keepdims), result, math.nan) if is_floating(values.dtype) else result


@public
def nanmax(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest of what is not NaN; NaN where nothing is."""
    return _nan_extreme(reduce.max, x, axis, keepdims, -math.inf)


@public
def nanmin(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest of what is not NaN; NaN where nothing is."""
    return _nan_extreme(reduce.min, x, axis, keepdims, math.inf)


@public
def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest less the smallest."""
    return reduce.max(x, axis, keepdims) - reduce.min(x, axis, keepdims)


@public
def rot90(array: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """x rotated k times by 90 degrees, from the first of two axes towards the second."""
    x = as_tensor(array)
    a, b = (normalize_axis(axis, x.ndim, "rot90") for axis in axes)
    if a == b:
        raise ValueError(f"[rot90] expected two different axes, received {axes}")
    k %= 4
    if k == 2:
        return flip(x, axis=(a, b))
    if k == 0:
        return x
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    return transpose(flip(x, axis=b), order) if k == 1 else flip(transpose(x, order), axis=b)


@public
def saturate_cast(x: Any, dtype: Any) -> Tensor:
    """x in another dtype, values outside of it at its nearest end."""
    x, name = as_tensor(x), standardize_dtype(dtype)
    if name == "bool" or is_floating(name):
        return ew.cast(x, name)
    ends = np.iinfo(name)
    low, high = float(ends.min), float(ends.max)
    if is_floating(x.dtype):  # the largest float within the range
        nearest = numpy_dtype(x.dtype).type(high)
        high = float(np.nextafter(nearest, nearest.dtype.type(0))) if float(nearest) > ends.max else high
        return ew.cast(ew.clip(x, low, high), name)
    given = np.iinfo(x.dtype) if x.dtype != "bool" else ends
    return ew.cast(ew.clip(x, max(ends.min, given.min), min(ends.max, given.max)), name)


@public
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Tensor:
    """Each element from the first choice whose condition holds there, else `default`."""
    if len(condlist) != len(choicelist):
        raise ValueError(
            f"[select] expected as many choices as conditions, received {len(choicelist)} and {len(condlist)}"
        )
    result = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist)):
        result = ew.where(condition, choice, result)
    return as_tensor(result)


@public
def signbit(x: Any) -> Tensor:
    """Which elements are negative; -0 counts."""
    x = as_tensor(x)
    return ew.logical_or(x < 0, ew.logical_and(ew.equal(x, 0), 1.0 / as_float(x) < 0))


@public
def sinc(x: Any) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0."""
    x = as_float(x) * math.pi
    at_zero = ew.equal(x, 0)
    x = ew.where(at_zero, 1.0, x)
    return ew.where(at_zero, 1.0, ew.sin(x) / x)


@public
def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    """The integral of y along an axis by the trapezoidal rule, at positions x or `dx` apart."""
    y = swapaxes(as_float(y), axis, -1)
    steps = dx
    if x is not None:
        x = as_float(x)
        steps = diff(x if x.ndim == 1 else swapaxes(x, axis, -1))
    return reduce.sum((y[..., 1:] + y[..., :-1]) * 0.5 * steps, axis=-1)


@public
def psnr(x1: Any, x2: Any, max_val: float) -> Tensor:
    """Peak signal-to-noise ratio in dB: 20 log10(max_val) - 10 log10(mean squared difference).

    Raises:
        ValueError: Shapes that differ.
    """
    x1, x2 = as_float(x1), as_float(x2)
    if x1.shape != x2.shape:
        raise ValueError(f"[psnr] expected two arrays of the same shape, received {x1.shape} and {x2.shape}")
    return 20 * ew.log10(as_float(max_val)) - 10 * ew.log10(reduce.mean(ew.square(x1 - x2)))
