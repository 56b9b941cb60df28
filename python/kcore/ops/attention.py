"""Scaled dot-product attention without its matrix of scores in memory, and the same in other ops for what needs that.

Shapes: query (batch, T, heads, size), key and value (batch, S, kv_heads, size), scores (batch, heads, T, S).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kcore.autograd import Tensor, apply, convert_to_tensor, vjp, vjp_of
from kcore.ops import elementwise as ew
from kcore.ops import reduce
from kcore.ops.creation import arange
from kcore.ops.matmul import matmul
from kcore.ops.operands import as_tensor, cast_to, sum_to, together
from kcore.ops.public import public
from kcore.ops.shape import expand_dims, reshape, transpose
from kcore.ops.softmax import softmax


def _four_dimensional(x: Tensor) -> Tensor:
    return x if x.ndim >= 4 else reshape(x, (*[1] * (4 - x.ndim), *x.shape))


@public
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    """softmax(scale * query key^T + bias) value for each head (Vaswani et al., https://arxiv.org/abs/1706.03762).

    Memory grows with T and S, not with their product; see Dao et al., https://arxiv.org/abs/2205.14135. As in Keras, a
    query whose keys are all masked gets the mean of all values.

    Args:
        query: (batch, T, heads, size).
        key: (batch, S, kv_heads, size); query head i reads key and value head i * kv_heads // heads.
        value: (batch, S, kv_heads, value_size).
        bias: Added to the scores; broadcasts to (batch, heads, T, S). Its gradient takes memory for all scores.
        mask: bool, False where a query must not see a key; broadcasts to (batch, heads, T, S).
        scale: Of the scores; None for 1 / sqrt(size).
        is_causal: Whether query t sees the keys up to t only.
        flash_attention: Accepted; the result is the same.
        attn_logits_soft_cap: Must be None, as for Keras outside of TPUs.

    Returns:
        (batch, T, heads, value_size), in the dtype that query, key and value meet at.

    Raises:
        ValueError: Shapes that do not fit, or an `attn_logits_soft_cap`.

    >>> x = np.ones((2, 4, 8, 16), "float32")
    >>> kcore.ops.dot_product_attention(x, x, x, is_causal=True).shape
    (2, 4, 8, 16)
    """
    if attn_logits_soft_cap is not None:
        raise ValueError(
            f"[dot_product_attention] expected attn_logits_soft_cap=None (it is for TPUs), received {attn_logits_soft_cap}"
        )
    query, key, value = together(query, key, value, floating=True)
    if bias is not None:
        bias = _four_dimensional(convert_to_tensor(bias, dtype=query.dtype))
    if mask is not None:
        mask = _four_dimensional(cast_to(as_tensor(mask), "bool"))
    if scale is None:
        scale = 1 / math.sqrt(query.shape[-1]) if query.ndim and query.shape[-1] else 1.0
    attrs = {"scale": float(scale), "causal": bool(is_causal)}
    return apply("attention", (query, key, value, bias, mask), attrs)[0]


@vjp("attention")
def attention_vjp(node, dy, dmaxima=None, dsums=None):
    query, key, value, bias, mask = node.inputs
    if bias is not None and node.needs[3]:
        return [*_gradients(query, key, value, bias, mask, dy, **node.attrs), None]
    return [*apply("attention_grad", (*node.inputs, *node.outputs, dy), node.attrs), None, None]


@vjp("attention_grad")
@vjp_of
def attention_grad_vjp(query, key, value, bias, mask, y, maxima, sums, dy, **attrs):
    return _gradients(query, key, value, bias, mask, dy, **attrs)[:3]


# --- the same in differentiable ops, with all scores in memory ---


def _by_head(x: Tensor, group: int) -> Tensor:
    """(batch, T, heads, size) to (batch, heads, T, size), each head `group` times."""
    x = transpose(x, (0, 2, 1, 3))
    if group == 1:
        return x
    batch, heads, length, size = x.shape
    return reshape(
        apply("broadcast_to", (expand_dims(x, 2),), {"shape": [batch, heads, group, length, size]}),
        (batch, heads * group, length, size),
    )


def _from_heads(x: Tensor, group: int) -> Tensor:
    """The gradient of `_by_head`."""
    batch, heads, length, size = x.shape
    if group > 1:
        x = reduce.sum(reshape(x, (batch, heads // group, group, length, size)), 2)
    return transpose(x, (0, 2, 1, 3))


def _allowed(mask: Tensor | None, causal: bool, queries: int, keys: int) -> Tensor | None:
    if not causal:
        return mask
    before = ew.greater_equal(reshape(arange(queries, dtype="int32"), (1, 1, queries, 1)), arange(keys, dtype="int32"))
    return before if mask is None else ew.logical_and(mask, before)


def _gradients(query, key, value, bias, mask, dy, scale=1.0, causal=False) -> tuple:
    """The gradients of query, key, value and bias (None without one) for the gradient dy of the result."""
    group = query.shape[2] // key.shape[2]
    q, k, v, dy = _by_head(query, 1), _by_head(key, group), _by_head(value, group), _by_head(dy, 1)
    scores = ew.multiply(matmul(q, transpose(k, (0, 1, 3, 2))), scale)
    if bias is not None:
        scores = ew.add(scores, bias)
    allowed = _allowed(mask, causal, query.shape[1], key.shape[1])
    if allowed is not None:
        finfo = np.finfo("float64" if scores.dtype == "float64" else "float32")
        scores = ew.where(allowed, scores, -0.7 * float(finfo.max))
    weights = softmax(scores)
    dweights = matmul(dy, transpose(v, (0, 1, 3, 2)))
    dscores = ew.multiply(weights, ew.subtract(dweights, reduce.sum(ew.multiply(weights, dweights), -1, keepdims=True)))
    if allowed is not None:
        dscores = ew.where(allowed, dscores, 0.0)
    dquery = ew.multiply(matmul(dscores, k), scale)
    dkey = ew.multiply(matmul(transpose(dscores, (0, 1, 3, 2)), q), scale)
    dvalue = matmul(transpose(weights, (0, 1, 3, 2)), dy)
    dbias = None if bias is None else sum_to(dscores, bias.shape)
    return _from_heads(dquery, 1), _from_heads(dkey, group), _from_heads(dvalue, group), dbias
