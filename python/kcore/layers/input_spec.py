"""InputSpec: what a layer demands of its inputs, and the check of real inputs against it."""

from __future__ import annotations

from typing import Any

from kcore import tree


class InputSpec:
    """Rank, shape and dtype a layer accepts for one input.

    Args:
        dtype: expected dtype name, or None.
        shape: expected shape, None where any size will do.
        ndim: expected rank. max_ndim, min_ndim: bounds of the rank.
        axes: sizes of single axes, {axis: size}.
        allow_last_axis_squeeze: accept a missing or additional last axis of size 1.
        name: the key of the input where inputs come as a dict.
        optional: whether None will do.

    Example:

    >>> InputSpec(min_ndim=2, axes={-1: 3})
    InputSpec(min_ndim=2, axes={-1: 3})
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: tuple | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ):
        self.dtype = None if dtype is None else str(dtype)
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional
        limit = self.ndim if self.ndim is not None else self.max_ndim
        if self.axes and limit is not None and max(self.axes) > limit - 1:
            raise ValueError(f"[InputSpec] expected axes below {limit} (the rank), received {max(self.axes)}")

    def __repr__(self) -> str:
        parts = [
            f"dtype={self.dtype}" if self.dtype else "",
            f"shape={self.shape}" if self.shape is not None else "",
            f"ndim={self.ndim}" if self.ndim is not None else "",
            f"max_ndim={self.max_ndim}" if self.max_ndim is not None else "",
            f"min_ndim={self.min_ndim}" if self.min_ndim is not None else "",
            f"axes={self.axes}" if self.axes else "",
        ]
        return f"InputSpec({', '.join(part for part in parts if part)})"

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal spec."""
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        """The inverse of get_config."""
        return cls(**config)


def assert_input_compatibility(input_spec: Any, inputs: Any, layer_name: str) -> None:
    """Checks `inputs` (anything nested, leaves with .shape) against `input_spec` (one, a list or a dict of InputSpec).

    Raises:
        ValueError: a rank, shape or dtype does not fit; names the input, what was expected and what came.
    """
    if not input_spec:
        return
    specs = tree.flatten(input_spec)
    names = [spec.name for spec in specs]
    if isinstance(inputs, dict) and all(names):
        missing = [name for name in names if name not in inputs]
        if missing:
            raise ValueError(
                f"[{layer_name}] expected inputs with keys {names}, received keys {sorted(inputs)}; "
                f"missing {missing} (layer {layer_name!r})"
            )
        inputs = [inputs[name] for name in names]
    inputs = tree.flatten(inputs)
    if len(inputs) != len(specs):
        raise ValueError(
            f"[{layer_name}] expected {len(specs)} input(s), received {len(inputs)} input tensors (layer {layer_name!r})"
        )
    for index, (x, spec) in enumerate(zip(inputs, specs)):
        if spec is not None and not (x is None and spec.optional):
            _check(x, spec, index, layer_name)


def _check(x: Any, spec: InputSpec, index: int, layer_name: str) -> None:
    def fail(expected: str, received: str) -> None:
        named = f" ({spec.name!r})" if spec.name else ""
        raise ValueError(
            f"Input {index}{named} of layer {layer_name!r} is incompatible with the layer: expected {expected}, "
            f"received {received}"
        )

    if not hasattr(x, "shape"):
        fail("a tensor", f"{x!r} of type {type(x).__name__}")
    shape = tuple(x.shape)
    rank = len(shape)
    found = f"ndim={rank} (shape {shape})"
    if spec.ndim is not None and rank != spec.ndim:
        squeezed = (rank == spec.ndim + 1 and shape[-1] == 1) or (
            rank == spec.ndim - 1 and spec.shape is not None and spec.shape[-1] == 1
        )
        if not (spec.allow_last_axis_squeeze and squeezed):
            fail(f"ndim={spec.ndim}", found)
    if spec.max_ndim is not None and rank > spec.max_ndim:
        fail(f"max_ndim={spec.max_ndim}", found)
    if spec.min_ndim is not None and rank < spec.min_ndim:
        fail(f"min_ndim={spec.min_ndim}", found)
    if spec.dtype is not None and str(x.dtype) != spec.dtype:
        fail(f"dtype={spec.dtype}", f"dtype={x.dtype}")
    for axis, size in spec.axes.items():
        if size is not None and shape[axis] not in (size, None):
            fail(f"axis {axis} of the input shape to be {size}", f"shape {shape}")
    if spec.shape is not None:
        expected, received = spec.shape, shape
        if spec.allow_last_axis_squeeze:
            expected = expected[:-1] if expected and expected[-1] == 1 else expected
            received = received[:-1] if received and received[-1] == 1 else received
        if any(e is not None and r is not None and e != r for e, r in zip(expected, received)):
            fail(f"shape={spec.shape}", f"shape={shape}")
