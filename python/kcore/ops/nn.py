"""Activation functions composed of other ops. The ones with a kernel of their own are in elementwise.py and softmax.py."""

from __future__ import annotations

from kcore.autograd import Tensor, convert_to_tensor
from kcore.ops import elementwise as ew
from kcore.ops import reduce, shape, sort
from kcore.ops.public import public

# The fixed point of zero mean and unit variance: Klambauer et al., https://arxiv.org/abs/1706.02515, equation 14.
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


@public
def relu6(x) -> Tensor:
    """min(max(x, 0), 6). x (...) of numbers.

    >>> relu6([-1.0, 3.0, 9.0]).numpy().tolist()
    [0.0, 3.0, 6.0]
    """
    return ew.clip(x, 0, 6)


@public
def softsign(x) -> Tensor:
    """x / (1 + |x|)."""
    return ew.divide(x, ew.add(ew.abs(x), 1))


@public
def squareplus(x, b=4) -> Tensor:
    """(x + sqrt(x^2 + b)) / 2, a smooth relu without exponentials (Barron, https://arxiv.org/abs/2112.11687)."""
    x = _floating(x)
    return ew.multiply(ew.add(x, ew.sqrt(ew.add(ew.square(x), b))), 0.5)


@public
def tanh_shrink(x) -> Tensor:
    """x - tanh(x)."""
    x = _floating(x)
    return ew.subtract(x, ew.tanh(x))


@public
def soft_shrink(x, threshold=0.5) -> Tensor:
    """Moves x towards zero by `threshold`; what is nearer than that becomes zero."""
    x = _floating(x)
    outside = ew.where(ew.greater(x, threshold), ew.subtract(x, threshold), ew.zeros_like(x))
    return ew.where(ew.less(x, -threshold), ew.add(x, threshold), outside)


@public
def hard_shrink(x, threshold=0.5) -> Tensor:
    """x where |x| > `threshold`, else 0."""
    x = convert_to_tensor(x)
    return ew.where(ew.greater(ew.abs(x), threshold), x, ew.zeros_like(x))


@public
def threshold(x, threshold, default_value) -> Tensor:
    """x where x > `threshold`, else `default_value`."""
    x = _floating(x)
    return ew.where(ew.greater(x, threshold), x, ew.full_like(x, default_value))


@public
def sparse_plus(x) -> Tensor:
    """0 up to -1, x from 1 on, and the parabola ((x + 1) / 2)^2 that joins them."""
    x = _floating(x)
    parabola = ew.square(ew.multiply(ew.add(x, 1), 0.5))
    return ew.where(ew.less_equal(x, -1), ew.zeros_like(x), ew.where(ew.less(x, 1), parabola, x))


@public
def sparse_sigmoid(x) -> Tensor:
    """0 up to -1, 1 from 1 on, the straight line (x + 1) / 2 between."""
    x = _floating(x)
    return ew.clip(ew.multiply(ew.add(x, 1), 0.5), 0, 1)


@public
def hard_sigmoid(x) -> Tensor:
    """relu6(x + 3) / 6, the straight line through the middle of a sigmoid.

    >>> hard_sigmoid([-3.0, 0.0, 3.0]).numpy().tolist()
    [0.0, 0.5, 1.0]
    """
    return ew.divide(relu6(ew.add(_floating(x), 3)), 6)


@public
def hard_silu(x) -> Tensor:
    """x * hard_sigmoid(x) (Howard et al., https://arxiv.org/abs/1905.02244)."""
    return ew.multiply(x, hard_sigmoid(x))


@public
def hard_tanh(x) -> Tensor:
    """x kept within [-1, 1]."""
    return ew.clip(x, -1, 1)


@public
def selu(x) -> Tensor:
    """scale * elu(x, alpha) with the constants that keep activations normalized (https://arxiv.org/abs/1706.02515)."""
    return ew.multiply(ew.elu(_floating(x), SELU_ALPHA), SELU_SCALE)


@public
def celu(x, alpha=1.0) -> Tensor:
    """max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1) (Barron, https://arxiv.org/abs/1704.07483)."""
    x = _floating(x)
    negative = ew.expm1(ew.divide(ew.minimum(x, 0), alpha))
    return ew.add(ew.relu(x), ew.multiply(negative, alpha))


@public
def glu(x, axis=-1) -> Tensor:
    """First half times the sigmoid of the second, halves of `axis` (Dauphin et al., https://arxiv.org/abs/1612.08083)."""
    x = _floating(x)
    if x.shape[axis] % 2:
        raise ValueError(f"[glu] expected an even number of elements along axis {axis}, received shape {x.shape}")
    values, gates = shape.split(x, 2, axis=axis)
    return ew.multiply(values, ew.sigmoid(gates))


@public
def log_sigmoid(x) -> Tensor:
    """log(1 / (1 + exp(-x))), which does not overflow."""
    return ew.negative(ew.softplus(ew.negative(_floating(x))))


@public
def sparsemax(x, axis=-1) -> Tensor:
    """The point of the probability simplex nearest to x along `axis` (https://arxiv.org/abs/1602.02068).

    >>> sparsemax([2.0, 1.5, -1.0]).numpy().tolist()
    [0.75, 0.25, 0.0]
    """
    x = _floating(x)
    largest_first = shape.flip(sort.sort(x, axis=axis), axis=axis)
    count = x.shape[axis]
    ranks_shape = [1] * len(x.shape)
    ranks_shape[axis] = count
    ranks = shape.reshape(ew.arange(1, count + 1, dtype=x.dtype), ranks_shape)
    partial_sums = reduce.cumsum(largest_first, axis=axis)
    in_support = ew.cast(ew.greater(ew.add(ew.multiply(ranks, largest_first), 1), partial_sums), x.dtype)
    support = reduce.sum(in_support, axis=axis, keepdims=True)
    total = reduce.sum(ew.multiply(in_support, largest_first), axis=axis, keepdims=True)
    return ew.relu(ew.subtract(x, ew.divide(ew.subtract(total, 1), support)))


def _floating(x) -> Tensor:
    x = convert_to_tensor(x)
    return x if x.dtype.startswith("float") else ew.cast(x, "float32")


hard_swish = hard_silu
