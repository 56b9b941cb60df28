"""Cross-entropies, fused with the softmax or normalization before them. One loss per sample; gradients right below."""

from __future__ import annotations

from typing import Any

from kcore.autograd import Tensor, apply, config, vjp, vjp_of
from kcore.ops import elementwise as ew
from kcore.ops import reduce
from kcore.ops.creation import arange
from kcore.ops.operands import as_float, as_tensor, cast_to
from kcore.ops.public import public
from kcore.ops.shape import moveaxis, reshape, squeeze
from kcore.ops.softmax import log_softmax, softmax


def _classes_last(x: Tensor, axis: int) -> Tensor:
    return x if axis in (-1, x.ndim - 1) else moveaxis(x, axis, -1)


@public
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """-sum(target * log(output)) over the classes.

    Args:
        target: Probabilities of the classes, of the shape of `output`.
        output: Predicted probabilities, scaled to a sum of 1 and clipped to [epsilon, 1 - epsilon]; or logits.
        from_logits: Whether `output` is the input of a softmax.
        axis: The axis of the classes.

    Returns:
        Losses of the shape of `output` without `axis`.

    Raises:
        ValueError: Shapes that differ.

    >>> kcore.ops.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    output = as_float(output)
    target = _classes_last(cast_to(as_tensor(target), output.dtype), axis)
    output = _classes_last(output, axis)
    if from_logits:
        return apply("softmax_cross_entropy", (output, target))
    return apply("cross_entropy", (output, target), {"epsilon": config.epsilon()})


def _per_class(v: Tensor) -> Tensor:
    """v (rows...) as (rows..., 1)."""
    return reshape(v, (*v.shape, 1))


@vjp("softmax_cross_entropy")
def softmax_cross_entropy_vjp(node, dy):
    logits, target = node.inputs
    return [
        apply("softmax_cross_entropy_grad", (dy, logits, target)) if node.needs[0] else None,
        ew.multiply(ew.negative(_per_class(dy)), log_softmax(logits)) if node.needs[1] else None,
    ]


def _softmax_grad(dy: Tensor, logits: Tensor, target: Tensor) -> Tensor:
    weight = reduce.sum(target, -1, keepdims=True)
    return ew.multiply(_per_class(dy), ew.subtract(ew.multiply(softmax(logits), weight), target))


vjp("softmax_cross_entropy_grad")(vjp_of(_softmax_grad))


@vjp("cross_entropy")
def cross_entropy_vjp(node, dy):
    p, target = node.inputs
    dtarget = None
    if node.needs[1]:
        epsilon = node.attrs["epsilon"]
        q = ew.clip(ew.divide(p, reduce.sum(p, -1, keepdims=True)), epsilon, 1.0 - epsilon)
        dtarget = ew.multiply(ew.negative(_per_class(dy)), ew.log(q))
    return [apply("cross_entropy_grad", (dy, p, target), node.attrs) if node.needs[0] else None, dtarget]


def _probabilities_grad(dy: Tensor, p: Tensor, target: Tensor, epsilon: float) -> Tensor:
    total = reduce.sum(p, -1, keepdims=True)
    q = ew.divide(p, total)
    inside = ew.logical_and(ew.greater_equal(q, epsilon), ew.less_equal(q, 1.0 - epsilon))
    t = ew.where(inside, target, 0.0)
    slope = ew.subtract(reduce.sum(t, -1, keepdims=True), ew.divide(t, ew.where(inside, q, 1.0)))
    return ew.multiply(ew.divide(_per_class(dy), total), slope)


vjp("cross_entropy_grad")(vjp_of(_probabilities_grad))


@public
def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """-log(output[target]): the cross-entropy of integer labels.

    Args:
        target: Labels in [0, classes), of the shape of `output` without `axis`; also with a last axis of length 1.
        output: Predicted probabilities, scaled to a sum of 1 and clipped to [epsilon, 1 - epsilon]; or logits.
        from_logits: Whether `output` is the input of a softmax.
        axis: The axis of the classes.

    Returns:
        Losses of the shape of `output` without `axis`.

    Raises:
        ValueError: Shapes that do not match; a label outside the classes (NaN included).

    >>> kcore.ops.sparse_categorical_crossentropy([1], [[0.5, 0.5]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    output, target = _classes_last(as_float(output), axis), as_tensor(target)
    if target.ndim == output.ndim and target.shape[-1:] == (1,):
        target = squeeze(target, -1)
    if from_logits:
        return apply("sparse_softmax_cross_entropy", (output, target))
    return apply("sparse_cross_entropy", (output, target), {"epsilon": config.epsilon()})


def _one_hot(labels: Tensor, x: Tensor) -> Tensor:
    return cast_to(ew.equal(_per_class(labels), arange(x.shape[-1], dtype=labels.dtype)), x.dtype)


@vjp("sparse_softmax_cross_entropy")
def sparse_softmax_cross_entropy_vjp(node, dy):
    return [apply("sparse_softmax_cross_entropy_grad", (dy, *node.inputs)), None]


@vjp("sparse_softmax_cross_entropy_grad")
@vjp_of
def sparse_softmax_cross_entropy_grad_vjp(dy, logits, labels):
    return _softmax_grad(dy, logits, _one_hot(labels, logits))


@vjp("sparse_cross_entropy")
def sparse_cross_entropy_vjp(node, dy):
    return [apply("sparse_cross_entropy_grad", (dy, *node.inputs), node.attrs), None]


@vjp("sparse_cross_entropy_grad")
@vjp_of
def sparse_cross_entropy_grad_vjp(dy, p, labels, epsilon):
    return _probabilities_grad(dy, p, _one_hot(labels, p), epsilon)


@public
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """-(target * log(output) + (1 - target) * log(1 - output)) of each element.

    Args:
        target: Probabilities, of the shape of `output`.
        output: Predicted probabilities, clipped to [epsilon, 1 - epsilon]; or logits.
        from_logits: Whether `output` is the input of a sigmoid.

    Raises:
        ValueError: Shapes that differ.

    >>> kcore.ops.binary_crossentropy([1.0], [0.5]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    output = as_float(output)
    target = cast_to(as_tensor(target), output.dtype)
    if from_logits:
        return apply("sigmoid_cross_entropy", (output, target))
    return apply("binary_cross_entropy", (output, target), {"epsilon": config.epsilon()})


@vjp("sigmoid_cross_entropy")
def sigmoid_cross_entropy_vjp(node, dy):
    logits, target = node.inputs
    return [
        apply("sigmoid_cross_entropy_grad", (dy, logits, target)) if node.needs[0] else None,
        ew.negative(ew.multiply(dy, logits)) if node.needs[1] else None,
    ]


@vjp("sigmoid_cross_entropy_grad")
@vjp_of
def sigmoid_cross_entropy_grad_vjp(dy, logits, target):
    return ew.multiply(dy, ew.subtract(ew.sigmoid(logits), target))


@vjp("binary_cross_entropy")
def binary_cross_entropy_vjp(node, dy):
    p, target = node.inputs
    dtarget = None
    if node.needs[1]:
        q = ew.clip(p, node.attrs["epsilon"], 1.0 - node.attrs["epsilon"])
        dtarget = ew.multiply(dy, ew.subtract(ew.log(ew.subtract(1.0, q)), ew.log(q)))
    return [apply("binary_cross_entropy_grad", (dy, p, target), node.attrs) if node.needs[0] else None, dtarget]


@vjp("binary_cross_entropy_grad")
@vjp_of
def binary_cross_entropy_grad_vjp(dy, p, target, epsilon):
    inside = ew.logical_and(ew.greater_equal(p, epsilon), ew.less_equal(p, 1.0 - epsilon))
    q = ew.where(inside, p, 0.5)
    slope = ew.subtract(ew.divide(ew.subtract(1.0, target), ew.subtract(1.0, q)), ew.divide(target, q))
    return ew.where(inside, ew.multiply(dy, slope), 0.0)
