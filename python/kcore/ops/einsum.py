"""einsum: products and sums named by letters, carried out as transposes, reshapes and matrix products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kcore.autograd import Tensor, apply
from kcore.ops.elementwise import multiply
from kcore.ops.matmul import product
from kcore.ops.operands import cast_to, together
from kcore.ops.public import public
from kcore.ops.shape import broadcast_to, diagonal, reshape, squeeze, transpose


class _Term:
    """A tensor whose dimensions have labels."""

    def __init__(self, x: Tensor, labels: Sequence[str]):
        self.x, self.labels = x, list(labels)

    def size(self, label: str) -> int:
        return self.x.shape[self.labels.index(label)]

    def reduced_to(self, keep: set[str]) -> _Term:
        """Sums over the labels that are not kept."""
        axes = [i for i, label in enumerate(self.labels) if label not in keep]
        if not axes:
            return self
        return _Term(apply("sum", (self.x,), {"axes": axes, "keepdims": False}), [v for v in self.labels if v in keep])

    def ordered(self, labels: Sequence[str]) -> Tensor:
        return transpose(self.x, [self.labels.index(v) for v in labels])


def _fail(subscripts: str, what: str) -> None:
    raise ValueError(f"[einsum] expected {what}, received {subscripts!r}")


def _labels(subscripts: str, term: str, ellipsis: list[str]) -> list[str]:
    """The labels of a term; "..." stands for the given ones."""
    before, dots, after = term.partition("...")
    if not all(c.isascii() and c.isalpha() for c in before + after):
        _fail(subscripts, "subscripts of letters, '...', ',' and '->'")
    return [*before, *(ellipsis if dots else []), *after]


def _parse(subscripts: str, shapes: Sequence[tuple[int, ...]]) -> tuple[list[list[str]], list[str]]:
    """Labels of each operand and of the result. The dimensions of an ellipsis are labelled 0, 1, ... from the last."""
    text = subscripts.replace(" ", "")
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(shapes):
        _fail(subscripts, f"subscripts for {len(shapes)} operands")
    labels, longest = [], 0
    for term, shape in zip(terms, shapes):
        hidden = len(shape) - len(term.replace("...", "")) if "..." in term else 0
        longest = max(longest, hidden)
        labels.append(_labels(subscripts, term, [str(i) for i in reversed(range(hidden))]))
        if hidden < 0 or len(labels[-1]) != len(shape):
            _fail(subscripts, f"as many subscripts as dimensions for an operand of shape {shape}")
    ellipsis = [str(i) for i in reversed(range(longest))]
    if arrow:
        result = _labels(subscripts, output, ellipsis)
        unknown = set(result).difference(*labels) - set(ellipsis)
        if unknown or len(set(result)) != len(result):
            _fail(subscripts, "a result with each of its labels once and among those of the operands")
    else:  # what occurs once, in alphabetical order
        counts = [v for row in labels for v in row]
        result = ellipsis + sorted(v for v in set(counts) if v.isalpha() and counts.count(v) == 1)
    return labels, result


def _without_repeats(subscripts: str, x: Tensor, labels: list[str]) -> _Term:
    """Takes the diagonal over labels that occur twice."""
    while len(set(labels)) < len(labels):
        label = next(v for v in labels if labels.count(v) > 1)
        first = labels.index(label)
        second = labels.index(label, first + 1)
        if x.shape[first] != x.shape[second]:
            _fail(subscripts, f"one size for label {label!r} in shape {x.shape}")
        x = diagonal(x, axis1=first, axis2=second)
        labels = [v for i, v in enumerate(labels) if i not in (first, second)] + [label]
    return _Term(x, labels)


def _contract(a: _Term, b: _Term, keep: set[str]) -> _Term:
    """The product of two terms, summed over the labels that are not kept."""
    a, b = a.reduced_to(keep | set(b.labels)), b.reduced_to(keep | set(a.labels))
    shared = [v for v in a.labels if v in b.labels]
    batch, inner = [v for v in shared if v in keep], [v for v in shared if v not in keep]
    rows, columns = [v for v in a.labels if v not in shared], [v for v in b.labels if v not in shared]
    sizes = [a.size(v) for v in batch]
    m, k, n = (math.prod(t.size(v) for v in names) for t, names in ((a, rows), (a, inner), (b, columns)))
    labels = batch + rows + columns
    shape = sizes + [a.size(v) for v in rows] + [b.size(v) for v in columns]
    if not inner:
        y = multiply(
            reshape(a.ordered(batch + rows), (*sizes, m, 1)), reshape(b.ordered(batch + columns), (*sizes, 1, n))
        )
    else:
        # (batch, M, K) @ (batch, K, N), or with K first where the dimensions already lie so.
        flip_a = a.labels == batch + inner + rows and bool(rows)
        flip_b = b.labels == batch + columns + inner and bool(columns)
        y = product(
            reshape(a.x if flip_a else a.ordered(batch + rows + inner), (*sizes, k, m) if flip_a else (*sizes, m, k)),
            reshape(
                b.x if flip_b else b.ordered(batch + inner + columns), (*sizes, n, k) if flip_b else (*sizes, k, n)
            ),
            flip_a,
            flip_b,
        )
    return _Term(reshape(y, shape), labels)


@public
def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Tensor:
    """Sums of products in Einstein's notation.

    Args:
        subscripts: Labels of the dimensions of each operand and of the result, such as "bqhd,bkhd->bhqk". Without
            "->" the result has the labels that occur once, in alphabetical order. "..." stands for dimensions that
            broadcast.
        operands: As many tensors. Several are multiplied from left to right.
        kwargs: `optimize` is accepted for NumPy's sake and ignored.

    Returns:
        A tensor with the result's labels.

    Raises:
        ValueError: The subscripts do not fit the operands, or the sizes of a label differ.

    >>> kcore.ops.einsum("ij,jk->ki", kcore.ops.ones((2, 3)), kcore.ops.ones((3, 4))).shape
    (4, 2)
    """
    unknown = set(kwargs) - {"optimize"}
    if unknown:
        raise TypeError(f"[einsum] expected no keyword arguments but 'optimize', received {sorted(unknown)}")
    if not isinstance(subscripts, str) or not operands:
        raise ValueError(
            f"[einsum] expected subscripts and operands, received {subscripts!r} and {len(operands)} operands"
        )
    xs = together(*operands, numeric=True)
    dtype = xs[0].dtype
    xs = [cast_to(x, "int32") if dtype == "uint8" else x for x in xs]
    labels, result = _parse(subscripts, [x.shape for x in xs])
    terms = [_without_repeats(subscripts, x, row) for x, row in zip(xs, labels)]

    sizes: dict[str, int] = {}
    for term in terms:
        for label, size in zip(term.labels, term.x.shape):
            if sizes.setdefault(label, size) == 1:
                sizes[label] = size
            elif size not in (1, sizes[label]):
                _fail(subscripts, f"one size for label {label!r} in shapes {[x.shape for x in xs]}")
    # A dimension of one beside a longer one broadcasts: without it the product is the same.
    for term in terms:
        ones = [i for i, v in enumerate(term.labels) if term.x.shape[i] == 1 and sizes[v] != 1]
        if ones:
            term.x, term.labels = squeeze(term.x, tuple(ones)), [v for i, v in enumerate(term.labels) if i not in ones]

    total = terms[0]
    for i, term in enumerate(terms[1:], 1):
        total = _contract(total, term, set(result).union(*(t.labels for t in terms[i + 1 :])))
    total = total.reduced_to(set(result))
    missing = [v for v in result if v not in total.labels]
    y = total.ordered([v for v in result if v not in missing])
    if missing:  # an ellipsis of the result that no operand has
        y = broadcast_to(reshape(y, [1 if v in missing else sizes[v] for v in result]), [sizes[v] for v in result])
    return cast_to(y, dtype)
