"""Activation functions. Receives tensors from the layers, hands them to kcore.ops, which computes nearly all of them.

An activation is a function of one tensor, elementwise unless it names an axis, given to a layer as itself or by name:
`Dense(8, activation="relu")`.
"""

from __future__ import annotations

from kcore import ops
from kcore.autograd import Tensor
from kcore.lookup import Lookup
from kcore.ops import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    tanh,
    tanh_shrink,
    threshold,
)
from kcore.ops.matmul import FUSED_ACTIVATIONS

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]
_FINDERS = ("get", "serialize", "deserialize")


def relu(x, negative_slope=0.0, max_value=None, threshold=0.0) -> Tensor:
    """Rectified linear unit.

    Args:
        x: tensor of numbers, any shape.
        negative_slope: slope of the line below `threshold`.
        max_value: no output is larger; None for no bound.
        threshold: where the rectifier opens; a value up to here counts as zero.

    >>> relu([-10.0, 0.5, 9.0], negative_slope=0.5, max_value=6).numpy().tolist()
    [-5.0, 0.5, 6.0]
    """
    if threshold == 0 and max_value is None:
        return leaky_relu(x, negative_slope) if negative_slope else ops.relu(x)
    open_part = ops.where(ops.greater(x, threshold), x, 0) if threshold else ops.relu(x)
    if max_value is not None:
        open_part = ops.clip(open_part, 0, max_value)
    if not negative_slope:
        return open_part
    return open_part - ops.relu(ops.subtract(threshold, x)) * negative_slope


def gelu(x, approximate=False) -> Tensor:
    """x times the normal cumulative distribution of x (https://arxiv.org/abs/1606.08415); `approximate` uses tanh."""
    return ops.gelu(x, approximate)


def exponential(x) -> Tensor:
    """exp(x)."""
    return ops.exp(x)


def linear(x):
    """x itself."""
    return x


def mish(x) -> Tensor:
    """x * tanh(softplus(x)) (Misra, https://arxiv.org/abs/1908.08681)."""
    return ops.multiply(x, ops.tanh(ops.softplus(x)))


swish = silu
hard_swish = hard_silu


def fused_activation(activation) -> str | None:
    """The name under which matmul and conv apply an activation to their result while it is hot; None if they do not."""
    return next((name for function, name in _FUSED if function is activation), None)


def get(identifier):
    """The activation called or described by `identifier`; None is `linear`, a callable is itself.

    >>> get("relu") is relu
    True
    """
    return _LOOKUP.get(identifier)


def serialize(activation) -> str | dict:
    """The name of an activation of this module; the config of any other callable."""
    name = getattr(activation, "__name__", None)
    if name is not None and activation in (_LOOKUP.members.get(name), getattr(ops, name, None)):
        return name
    return _LOOKUP.serialize(activation)


def deserialize(config, custom_objects: dict | None = None):
    """The activation that `serialize` described."""
    return _LOOKUP.deserialize(config, custom_objects)


_LOOKUP = Lookup("activation", {name: globals()[name] for name in __all__ if name not in _FINDERS}, default=linear)
_FUSED = [(None, "linear"), (linear, "linear"), *((globals()[name], name) for name in FUSED_ACTIVATIONS)]
