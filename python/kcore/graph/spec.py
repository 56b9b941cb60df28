"""Shape inference with unknown sizes: run twice with two sizes in place of every None; what differs stays None."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

from kcore import _core, tree
from kcore.autograd import Tensor, Variable
from kcore.graph.keras_tensor import KerasTensor, any_keras_tensor

# Divisible by all small numbers, so that Reshape((-1, 6)) of an unknown size works; large enough for any window; and no
# likely width of a layer, because sublayers that are built on the way take these sizes for None.
_SIZES = (10080, 20160)
# Where four sizes or more are unknown, so that an array's bytes still fit 64 bits.
_SMALL_SIZES = (840, 1680)
_local = threading.local()


def symbolic_sizes() -> tuple[int, ...]:
    """The size that stands for None while shapes are inferred; empty otherwise."""
    size = getattr(_local, "size", None)
    return () if size is None else (size,)


def compute_output_spec(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """KerasTensors like the tensors that `function` would return for KerasTensor arguments.

    Example:

    >>> from kcore import ops
    >>> compute_output_spec(ops.transpose, KerasTensor((None, 3))).shape
    (3, None)
    """
    leaves = tree.flatten((list(args), dict(kwargs)))
    unknown = max((leaf.shape.count(None) for leaf in leaves if isinstance(leaf, KerasTensor)), default=0)
    if not unknown:
        return tree.map_structure(_like, _run(function, args, kwargs, None))
    sizes = _SIZES if unknown < 4 else _SMALL_SIZES
    try:
        first = _run(function, args, kwargs, sizes[0])
    except Exception as error:
        _restore_unknown(error, lambda: _run(function, args, kwargs, sizes[1]))
        raise
    return tree.map_structure(_merge, first, _run(function, args, kwargs, sizes[1]))


def _restore_unknown(error: Exception, again: Callable) -> None:
    """Puts None for the sizes that stood for it into the message: those that differ when another size does."""
    try:
        again()
    except type(error) as other:
        if not (error.args and other.args and isinstance(error.args[0], str) and isinstance(other.args[0], str)):
            return
        parts, others = (re.split(r"(\d+)", e.args[0]) for e in (error, other))
        if len(parts) == len(others) and parts[::2] == others[::2]:
            message = "".join(a if a == b else "None" for a, b in zip(parts, others))
            error.args = (message, *error.args[1:])
    except Exception:  # another error altogether: the first one stands as it is
        return


def _run(function: Callable, args: tuple, kwargs: dict, size: int | None) -> Any:
    def concrete(leaf: Any) -> Any:
        if not isinstance(leaf, KerasTensor):
            return leaf
        shape = [size if dim is None else dim for dim in leaf.shape]
        tensor = Tensor(_core.symbolic(shape, leaf.dtype))
        if leaf.keras_mask is not None:
            mask = leaf.keras_mask
            tensor.keras_mask = concrete(mask) if isinstance(mask, KerasTensor) else mask
        return tensor

    outer = getattr(_local, "size", None)
    _local.size = outer if size is None else size
    try:
        if any_keras_tensor(args, kwargs):
            args = tuple(tree.map_structure(concrete, arg) for arg in args)
            kwargs = {key: tree.map_structure(concrete, value) for key, value in kwargs.items()}
        return function(*args, **kwargs)
    finally:
        _local.size = outer


def _like(x: Any) -> Any:
    return KerasTensor(x.shape, x.dtype) if isinstance(x, (Tensor, Variable)) else x


def _merge(a: Any, b: Any) -> Any:
    if not isinstance(a, (Tensor, Variable)):
        return a
    if len(a.shape) != len(b.shape):
        raise ValueError(
            f"[compute_output_spec] expected a rank that does not depend on the unknown sizes, received shapes {a.shape} "
            f"and {b.shape}"
        )
    return KerasTensor([m if m == n else None for m, n in zip(a.shape, b.shape)], a.dtype)
