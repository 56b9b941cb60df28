"""Products of matrices and what is made of them: matmul, dot, tensordot, inner, outer, vdot. Gradient right below."""

from __future__ import annotations

import functools
import math
from typing import Any

from kcore.autograd import Tensor, apply, vjp
from kcore.ops.elementwise import add, divide, multiply, subtract
from kcore.ops.operands import as_tensor, cast_to, normalize_axis, sum_to, together, widened
from kcore.ops.public import public
from kcore.ops.shape import broadcast_to, expand_dims, reshape, squeeze, transpose

# Activations that matmul and conv apply to their result while it is hot, and their gradients, which follow from y.
FUSED_ACTIVATIONS = {"relu": "relu_grad", "sigmoid": "sigmoid_grad", "tanh": "tanh_grad"}


def _statistics_grad(node: Any, dy: Tensor | None, dmean: Tensor | None, dvariance: Tensor | None) -> Tensor:
    """The gradient of y, with what goes through the mean and the variance of its columns."""
    y, mean, _ = node.outputs
    rows = float(max(math.prod(y.shape[:-1]), 1))
    parts = [] if dy is None else [dy]
    if dmean is not None:
        parts.append(broadcast_to(divide(dmean, rows), y.shape))
    if dvariance is not None:
        parts.append(multiply(subtract(widened(y), mean), multiply(dvariance, 2.0 / rows)))
    return cast_to(functools.reduce(add, parts), y.dtype)


def epilogue_grads(
    node: Any, dy: Tensor | None, dmean: Tensor | None = None, dvariance: Tensor | None = None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The gradients before the activation, of the bias and of the residual, which are inputs 2 and 3 of matmul and conv."""
    if dmean is not None or dvariance is not None:
        dy = _statistics_grad(node, dy, dmean, dvariance)
    grad = FUSED_ACTIVATIONS.get(node.attrs.get("activation", "linear"))
    if grad:
        dy = apply(grad, (dy, node.outputs[0]))
    needs = (*node.needs, False, False)
    return dy, sum_to(dy, node.inputs[2].shape) if needs[2] else None, dy if needs[3] else None


def product(
    a: Tensor,
    b: Tensor,
    transpose_a: bool = False,
    transpose_b: bool = False,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    activation: str = "linear",
) -> Tensor:
    """activation(op(a) op(b) + bias + residual), where op transposes the last two dimensions or does nothing.

    Args:
        a: (..., M, K), or (..., K, M) if `transpose_a`.
        b: (..., K, N), or (..., N, K) if `transpose_b`, of the same dtype; the leading dimensions broadcast.
        bias: (N,).
        residual: (..., M, N).
        activation: `"linear"` or one of `FUSED_ACTIVATIONS`.

    Returns:
        (..., M, N).
    """
    attrs = {"transpose_a": transpose_a, "transpose_b": transpose_b}
    if bias is None and residual is None and activation == "linear":
        return apply("matmul", (a, b), attrs)
    return apply("matmul", (a, b, bias, residual), {**attrs, "activation": activation})


@vjp("matmul")
def matmul_vjp(node, *dys):
    a, b = node.inputs[:2]  # dy (..., M, N)
    ta, tb = node.attrs.get("transpose_a", False), node.attrs.get("transpose_b", False)
    dy, dbias, dresidual = epilogue_grads(node, *dys)
    da = db = None
    if node.needs[0]:
        da = product(b, dy, tb, True) if ta else product(dy, b, False, not tb)
        da = sum_to(da, a.shape)
    if node.needs[1]:
        if not ta and a.ndim > 2 and math.prod(b.shape[:-2]) == 1 and a.shape[:-1] == dy.shape[:-1]:
            # One matrix served the whole batch: its gradient is one product over all rows.
            a, dy = (
                reshape(a, (math.prod(a.shape[:-1]), a.shape[-1])),
                reshape(dy, (math.prod(dy.shape[:-1]), dy.shape[-1])),
            )
        db = product(dy, a, True, ta) if tb else product(a, dy, not ta, False)
        db = reshape(db, b.shape) if db.ndim < b.ndim else sum_to(db, b.shape)
    return [da, db, dbias, dresidual][: len(node.inputs)]


def _operands(x1: Any, x2: Any) -> tuple[list[Tensor], str]:
    """The operands at a dtype that products are computed in, and the dtype of the result."""
    xs = together(x1, x2, numeric=True)
    dtype = xs[0].dtype
    return [cast_to(x, "int32") if dtype == "uint8" else x for x in xs], dtype


@public
def matmul(x1: Any, x2: Any) -> Tensor:
    """The matrix product, as NumPy has it.

    Args:
        x1: (..., M, K), or (K,).
        x2: (..., K, N), or (K,). The leading dimensions broadcast.

    Returns:
        (..., M, N), without the dimension of an operand of one dimension.

    Raises:
        ValueError: An operand is a number, or the inner sizes differ.

    >>> kcore.ops.matmul([[1.0, 2.0]], [[3.0], [4.0]]).numpy().tolist()
    [[11.0]]
    """
    (a, b), dtype = _operands(x1, x2)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"[matmul] expected at least 1 dimension, received shapes {a.shape} and {b.shape}")
    row, column = a.ndim == 1, b.ndim == 1
    y = product(expand_dims(a, 0) if row else a, expand_dims(b, 1) if column else b)
    if row or column:
        y = squeeze(y, tuple(axis for axis, drop in ((-2, row), (-1, column)) if drop))
    return cast_to(y, dtype)


def linear(x: Any, kernel: Any, bias: Any = None, activation: str = "linear") -> Tensor:
    """`activation(x @ kernel + bias)` in one op.

    Args:
        x: (..., K), at least 2 dimensions.
        kernel: (K, N).
        bias: (N,).
        activation: `"linear"` or one of `FUSED_ACTIVATIONS`.

    Returns:
        (..., N).
    """
    if bias is None:
        (a, b), dtype = _operands(x, kernel)
    else:
        a, b, bias = together(x, kernel, bias, floating=True)
        dtype = a.dtype
    return cast_to(product(a, b, bias=bias, activation=activation), dtype)


def _check_axes(axes: Any, ndim: int) -> list[int]:
    axes = [normalize_axis(a, ndim, "tensordot") for a in (axes if isinstance(axes, (list, tuple)) else [axes])]
    if len(set(axes)) != len(axes):
        raise ValueError(f"[tensordot] expected different axes, received {axes}")
    return axes


@public
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """The sum of products over pairs of axes.

    Args:
        x1: A tensor.
        x2: A tensor.
        axes: The number of last axes of x1 to pair with as many first axes of x2; or two lists of axes.

    Returns:
        The remaining axes of x1, then those of x2.

    >>> kcore.ops.tensordot(kcore.ops.ones((2, 3, 4)), kcore.ops.ones((4, 3)), axes=[[1, 2], [1, 0]]).numpy()
    array([12., 12.], dtype=float32)
    """
    (a, b), dtype = _operands(x1, x2)
    if isinstance(axes, int):
        if not 0 <= axes <= min(a.ndim, b.ndim):
            raise ValueError(
                f"[tensordot] expected axes between 0 and {min(a.ndim, b.ndim)}, received {axes}; shapes are {a.shape} "
                f"and {b.shape}"
            )
        axes_a, axes_b = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        axes_a, axes_b = _check_axes(axes[0], a.ndim), _check_axes(axes[1], b.ndim)
    if [a.shape[i] for i in axes_a] != [b.shape[i] for i in axes_b]:
        raise ValueError(
            f"[tensordot] expected paired axes of equal sizes, received axes {axes} of shapes {a.shape} and {b.shape}"
        )
    free_a = [i for i in range(a.ndim) if i not in axes_a]
    free_b = [i for i in range(b.ndim) if i not in axes_b]
    shape = [a.shape[i] for i in free_a] + [b.shape[i] for i in free_b]
    m, n = math.prod(a.shape[i] for i in free_a), math.prod(b.shape[i] for i in free_b)
    k = math.prod(a.shape[i] for i in axes_a)
    a = reshape(transpose(a, free_a + axes_a), (m, k))  # (M, K)
    b = reshape(transpose(b, axes_b + free_b), (k, n))  # (K, N)
    return cast_to(reshape(product(a, b), shape), dtype)


@public
def dot(x1: Any, x2: Any) -> Tensor:
    """NumPy's dot: the sum over the last axis of x1 and the second to last (or only) one of x2; numbers scale.

    >>> float(kcore.ops.dot([1.0, 2.0], [3.0, 4.0]))
    11.0
    """
    a, b = together(x1, x2, numeric=True)
    if a.ndim == 0 or b.ndim == 0:
        return multiply(a, b)
    return tensordot(a, b, axes=[[a.ndim - 1], [max(b.ndim - 2, 0)]])


@public
def inner(x1: Any, x2: Any) -> Tensor:
    """The sum of products over the last axes of both; a product if one is a number."""
    a, b = together(x1, x2, numeric=True)
    if a.ndim == 0 or b.ndim == 0:
        return multiply(a, b)
    return tensordot(a, b, axes=[[a.ndim - 1], [b.ndim - 1]])


@public
def outer(x1: Any, x2: Any) -> Tensor:
    """The products of all pairs: (M, N) from flattened operands of M and N elements."""
    a, b = together(x1, x2, numeric=True)
    return multiply(reshape(a, (a.size, 1)), reshape(b, (1, b.size)))


@public
def vdot(x1: Any, x2: Any) -> Tensor:
    """The sum of products of two tensors of as many elements, flattened."""
    a, b = as_tensor(x1), as_tensor(x2)
    if a.size != b.size:
        raise ValueError(f"[vdot] expected as many elements, received shapes {a.shape} and {b.shape}")
    return dot(reshape(a, (a.size,)), reshape(b, (b.size,)))
