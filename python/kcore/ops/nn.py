"""Activation functions composed of other ops. Those with a kernel of their own are in elementwise.py and softmax.py."""

from __future__ import annotations

from typing import Any

from kcore.autograd import Tensor
from kcore.ops import elementwise as ew
from kcore.ops import reduce
from kcore.ops.creation import arange
from kcore.ops.operands import as_float, as_tensor, normalize_axis
from kcore.ops.public import public
from kcore.ops.shape import flip, reshape, split
from kcore.ops.sort import cumsum, sort

# The fixed point of zero mean and unit variance: Klambauer et al., https://arxiv.org/abs/1706.02515, equation 14.
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


@public
def relu6(x: Any) -> Tensor:
    """min(max(x, 0), 6), of the shape and dtype of x.

    >>> kcore.ops.relu6([-1.0, 3.0, 9.0]).numpy().tolist()
    [0.0, 3.0, 6.0]
    """
    return ew.clip(x, 0, 6)


@public
def softsign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    x = as_float(x)
    return x / (ew.abs(x) + 1)


@public
def squareplus(x: Any, b: float = 4) -> Tensor:
    """(x + sqrt(x^2 + b)) / 2, a smooth relu without exponentials (Barron, https://arxiv.org/abs/2112.11687)."""
    x = as_float(x)
    return (x + ew.sqrt(ew.square(x) + b)) * 0.5


@public
def tanh_shrink(x: Any) -> Tensor:
    """x - tanh(x)."""
    x = as_float(x)
    return x - ew.tanh(x)


@public
def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """Moves x towards zero by `threshold`; what is nearer than that becomes zero."""
    x = as_float(x)
    return ew.where(x < -threshold, x + threshold, ew.where(x > threshold, x - threshold, 0.0))


@public
def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x where |x| > `threshold`, else 0."""
    x = as_tensor(x)
    return ew.where(ew.abs(x) > threshold, x, 0)


@public
def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """x where x > `threshold`, else `default_value`."""
    x = as_float(x)
    return ew.where(x > threshold, x, default_value)


@public
def sparse_plus(x: Any) -> Tensor:
    """0 up to -1, x from 1 on, and the parabola ((x + 1) / 2)^2 that joins them."""
    x = as_float(x)
    return ew.where(x <= -1, 0.0, ew.where(x < 1, ew.square((x + 1) * 0.5), x))


@public
def sparse_sigmoid(x: Any) -> Tensor:
    """0 up to -1, 1 from 1 on, the straight line (x + 1) / 2 between."""
    return ew.clip((as_float(x) + 1) * 0.5, 0, 1)


@public
def hard_sigmoid(x: Any) -> Tensor:
    """relu6(x + 3) / 6, the straight line through the middle of a sigmoid.

    >>> kcore.ops.hard_sigmoid([-3.0, 0.0, 3.0]).numpy().tolist()
    [0.0, 0.5, 1.0]
    """
    return relu6(as_float(x) + 3) / 6


@public
def hard_silu(x: Any) -> Tensor:
    """x * hard_sigmoid(x) (Howard et al., https://arxiv.org/abs/1905.02244)."""
    return as_float(x) * hard_sigmoid(x)


hard_swish = hard_silu


@public
def hard_tanh(x: Any) -> Tensor:
    """x kept within [-1, 1]."""
    return ew.clip(x, -1, 1)


@public
def selu(x: Any) -> Tensor:
    """scale * elu(x, alpha) with the constants that keep activations normalized (https://arxiv.org/abs/1706.02515)."""
    return ew.elu(x, SELU_ALPHA) * SELU_SCALE


@public
def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1) (Barron, https://arxiv.org/abs/1704.07483)."""
    x = as_float(x)
    return ew.relu(x) + ew.expm1(ew.minimum(x, 0) / alpha) * alpha


@public
def glu(x: Any, axis: int = -1) -> Tensor:
    """First half times sigmoid of the second half of `axis` (Dauphin et al., https://arxiv.org/abs/1612.08083).

    Raises:
        ValueError: An odd number of elements along the axis.
    """
    x = as_float(x)
    axis = normalize_axis(axis, x.ndim, "glu")
    if x.shape[axis] % 2:
        raise ValueError(f"[glu] expected an even number of elements along axis {axis}, received shape {x.shape}")
    values, gates = split(x, 2, axis=axis)
    return values * ew.sigmoid(gates)


@public
def log_sigmoid(x: Any) -> Tensor:
    """log(1 / (1 + exp(-x))), which does not overflow."""
    return -ew.softplus(-as_float(x))


@public
def sparsemax(x: Any, axis: int = -1) -> Tensor:
    """relu(x - threshold), the threshold from the largest elements along `axis`, after https://arxiv.org/abs/1602.02068.

    The paper's threshold is (sum of the kept elements - 1) / their number, and its output a distribution. Keras 3.15
    adds up the running sums of the kept elements instead, and so does this function: models must give what they gave
    there. The two agree where one element is kept.

    >>> kcore.ops.sparsemax([3.0, 1.5, -1.0]).numpy().tolist()
    [1.0, 0.0, 0.0]
    """
    x = as_float(x)
    axis = normalize_axis(axis, x.ndim, "sparsemax")
    count = x.shape[axis]
    largest_first = flip(sort(x, axis=axis), axis=axis)
    running_sums = cumsum(largest_first, axis=axis)
    ranks = reshape(arange(1, count + 1, dtype=x.dtype), [count if i == axis else 1 for i in range(x.ndim)])
    kept = ew.cast(ranks * largest_first + 1 > running_sums, x.dtype)
    total = reduce.sum(kept * running_sums, axis=axis, keepdims=True)
    return ew.relu(x - (total - 1) / reduce.sum(kept, axis=axis, keepdims=True))


def __getattr__(name: str) -> Any:
    # Scripts say ops.nn.softmax; the other families' functions are found here, too.
    from kcore import ops

    if not name.startswith("_") and name in vars(ops):
        return getattr(ops, name)
    raise AttributeError(f"module 'kcore.ops.nn' has no attribute {name!r}")
