"""Comparisons, predicates, choice and conversion, elementwise. Most have no gradient."""

from __future__ import annotations

from typing import Any

from kcore.autograd import Tensor, apply, standardize_dtype, vjp
from kcore.autograd.dtype import is_floating
from kcore.ops.operands import as_tensor, cast_to, full_of, sum_to, together
from kcore.ops.public import public


@public
def equal(x1: Any, x2: Any) -> Tensor:
    """x1 == x2 as bool."""
    return apply("equal", together(x1, x2))


@public
def not_equal(x1: Any, x2: Any) -> Tensor:
    """x1 != x2 as bool."""
    return apply("not_equal", together(x1, x2))


@public
def less(x1: Any, x2: Any) -> Tensor:
    """x1 < x2 as bool."""
    return apply("less", together(x1, x2))


@public
def less_equal(x1: Any, x2: Any) -> Tensor:
    """x1 <= x2 as bool."""
    return apply("less_equal", together(x1, x2))


@public
def greater(x1: Any, x2: Any) -> Tensor:
    """x1 > x2 as bool."""
    return apply("greater", together(x1, x2))


@public
def greater_equal(x1: Any, x2: Any) -> Tensor:
    """x1 >= x2 as bool."""
    return apply("greater_equal", together(x1, x2))


def _logical(op: str, *xs: Any) -> Tensor:
    return apply(op, [cast_to(as_tensor(x), "bool") for x in xs])


@public
def logical_and(x1: Any, x2: Any) -> Tensor:
    """Whether both are true (not 0)."""
    return _logical("logical_and", x1, x2)


@public
def logical_or(x1: Any, x2: Any) -> Tensor:
    """Whether either is true (not 0)."""
    return _logical("logical_or", x1, x2)


@public
def logical_xor(x1: Any, x2: Any) -> Tensor:
    """Whether just one is true (not 0)."""
    return _logical("logical_xor", x1, x2)


@public
def logical_not(x: Any) -> Tensor:
    """Whether x is false (0)."""
    return _logical("logical_not", x)


def _predicate(op: str, x: Any, of_integers: bool) -> Tensor:
    x = as_tensor(x)
    return apply(op, (x,)) if is_floating(x.dtype) else full_of(x.shape, of_integers, "bool")


@public
def isnan(x: Any) -> Tensor:
    """Whether x is NaN."""
    return _predicate("isnan", x, False)


@public
def isinf(x: Any) -> Tensor:
    """Whether x is infinite."""
    return _predicate("isinf", x, False)


@public
def isfinite(x: Any) -> Tensor:
    """Whether x is neither infinite nor NaN."""
    return _predicate("isfinite", x, True)


@public
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """x1 where `condition` is true, else x2; with only a condition, the indices where it is true (as `nonzero`)."""
    condition = cast_to(as_tensor(condition), "bool")
    if x1 is None and x2 is None:
        from kcore.ops.sort import nonzero  # a sibling family, wanted in this one case

        return nonzero(condition)
    if x1 is None or x2 is None:
        raise ValueError("[where] expected both x1 and x2, or neither")
    return apply("where", (condition, *together(x1, x2)))


@vjp("where")
def where_vjp(node, dy):
    condition, a, b = node.inputs
    zero = full_of((), 0.0, dy.dtype)
    return [
        None,
        sum_to(apply("where", (condition, dy, zero)), a.shape) if node.needs[1] else None,
        sum_to(apply("where", (condition, zero, dy)), b.shape) if node.needs[2] else None,
    ]


@public
def cast(x: Any, dtype: Any) -> Tensor:
    """x in another dtype. Floats are truncated to integers; everything but 0 is True.

    >>> kcore.ops.cast([1.7, -1.7], "int32").numpy().tolist()
    [1, -1]
    """
    return cast_to(as_tensor(x), standardize_dtype(dtype))


@vjp("cast")
def cast_vjp(node, dy):
    return [cast_to(dy, node.inputs[0].dtype)]
