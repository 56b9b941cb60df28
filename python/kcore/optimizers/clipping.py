"""Clipping of gradients: by the norm of each, by the norm of all, by value."""

from __future__ import annotations

import math

from kcore import ops
from kcore.autograd import Tensor


class Clipping:
    """Bounds gradients in one of three ways; none by default.

    Args:
        owner: name for errors.
        clipnorm: a gradient of a larger L2 norm is scaled down to it.
        clipvalue: elements are limited to [-clipvalue, clipvalue].
        global_clipnorm: all gradients are scaled alike where their common L2 norm is larger.
    """

    def __init__(self, owner: str, clipnorm: float | None, clipvalue: float | None, global_clipnorm: float | None):
        given = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        if sum(value is not None for value in given.values()) > 1:
            raise ValueError(
                f"[{owner}] expected at most one of `clipnorm`, `clipvalue` and `global_clipnorm`, received {given}"
            )
        for name, value in given.items():
            if value is not None and not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
                raise ValueError(f"[{owner}] expected `{name}` to be a finite number > 0, received {name}={value!r}")
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm

    def __call__(self, gradients: list[Tensor]) -> list[Tensor]:
        """The gradients within the bound."""
        if self.clipnorm is not None:
            return [_clip_by_norm(g, self.clipnorm) for g in gradients]
        if self.global_clipnorm is not None:
            return _clip_by_global_norm(gradients, self.global_clipnorm)
        if self.clipvalue is not None:
            return [ops.clip(g, -self.clipvalue, self.clipvalue) for g in gradients]
        return gradients


def _norm(x: Tensor) -> Tensor:
    return ops.sqrt(ops.sum(x * x))


def _clip_by_norm(x: Tensor, limit: float) -> Tensor:
    return x * limit / ops.maximum(_norm(x), limit)


def _clip_by_global_norm(gradients: list[Tensor], limit: float) -> list[Tensor]:
    squares = ops.cast(ops.sum(gradients[0] * gradients[0]), "float32")
    for g in gradients[1:]:
        squares = squares + ops.cast(ops.sum(g * g), "float32")
    norm = ops.sqrt(squares)
    # An infinite norm would give a scale of 0; norm - norm makes it NaN, so that nobody trains on with zeros.
    scale = ops.minimum(1.0 / norm, 1.0 / limit) * limit + (norm - norm)
    return [g * ops.cast(scale, g.dtype) for g in gradients]
