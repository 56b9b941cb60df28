"""RematScope and remat: layers and functions that are computed again for their gradient, to save memory."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

from kcore import tree
from kcore.autograd import Tensor
from kcore.autograd.remat import recomputed
from kcore.graph import KerasTensor
from kcore.layers.layer.call_signature import context

MODES = ("full", "activations", "larger_than", "list_of_layers", None)


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.stack: list[RematScope] = []


_scopes = _Scopes()


class RematScope:
    """Layers that are made inside are computed again for their gradient: training takes less memory, and longer.

    What happened inside such a layer (what comes before an activation, or all of a block that is a layer of its own) is not
    kept from the forward pass to the gradient. The results are the same, bit for bit, random numbers and moving statistics
    included. Models do not count as layers, their layers do; a block of several layers is worth more than each alone.

    Args:
        mode: `"full"` for every layer, `"activations"` for the activation of layers that have one, `"larger_than"` for
            layers with more outputs than `output_size_threshold`, `"list_of_layers"` for those of `layer_names`, None for
            none.
        output_size_threshold: a number of elements.
        layer_names: names of layers.

    Raises:
        ValueError: an unknown mode.

    Example:

    >>> with kcore.RematScope("activations"):
    ...     layer = kcore.layers.Dense(4, activation="tanh")
    >>> with kcore.GradientTape() as tape:
    ...     y = layer(ops.ones((2, 3)))
    >>> tape.gradient(y, layer.kernel).shape
    (3, 4)
    """

    def __init__(
        self, mode: str | None = "full", output_size_threshold: int = 1024, layer_names: list[str] | None = None
    ):
        if mode not in MODES:
            raise ValueError(f"[RematScope] expected a mode of {MODES}, received {mode!r}")
        self.mode = mode
        self.output_size_threshold = output_size_threshold
        self.layer_names = list(layer_names or ())

    def __enter__(self) -> RematScope:
        _scopes.stack.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _scopes.stack.pop()

    def call_of(self, layer: Any) -> Callable[..., Any]:
        """The layer's `call`, computed again if it is to be."""
        if self.mode == "full" or (self.mode == "list_of_layers" and layer.name in self.layer_names):
            return remat(layer.call)
        if self.mode == "larger_than":
            return _by_size(layer, self.output_size_threshold)
        if self.mode == "activations" and layer.__dict__.get("activation") is not None:
            return _with_activation(layer)
        return layer.call


def current_scope() -> RematScope | None:
    """The innermost scope, in which layers are being made."""
    return _scopes.stack[-1] if _scopes.stack else None


def remat(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f` (a function of tensors, or a layer), computed again for its gradient instead of keeping what happened in it.

    Only what f is given and what it returns stays in memory until the gradient is taken; the gradient then takes the time
    of another call. Worth it for a block of several layers. The results are the same, bit for bit: Variables and random
    numbers are then what they were, and what f assigns to Variables it assigns once. What f does in Python it does twice.
    In a recorded step the recomputation is recorded, and the memory of the step is planned accordingly.

    Raises:
        RuntimeError: where the gradient is taken, f computes something else than before.

    Example:

    >>> block = kcore.Sequential([kcore.layers.Dense(8, "relu"), kcore.layers.Dense(8, "relu")])
    >>> light = kcore.remat(block)
    >>> x = ops.ones((2, 8))
    >>> _ = block(x)
    >>> kcore.grad(lambda x: ops.sum(light(x)))(x).shape
    (2, 8)
    """

    def with_losses(*args: Any, **kwargs: Any) -> tuple[Any, list]:
        outside, context.losses = context.losses, []
        try:
            outputs = f(*args, **kwargs)
            added = context.losses
        finally:
            context.losses = outside
        owners[:] = [layer for layer, _ in added]
        return outputs, [loss for _, loss in added]

    owners: list[Any] = []
    inner = recomputed(with_losses)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        outputs, losses = inner(*args, **kwargs)
        for layer, loss in zip(list(owners), losses):  # gradients flow through these as through the outputs
            layer.add_loss(loss)
        return outputs

    return wrapped


def _by_size(layer: Any, threshold: int) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        shapes = str([getattr(x, "shape", None) for x in tree.flatten((args, kwargs))])
        sizes = layer.__dict__.setdefault("_output_sizes", {})
        if shapes not in sizes:
            given, named = tree.map_structure(_placeholder, (args, kwargs))
            specs = tree.flatten(layer.compute_output_spec(*given, **named))
            sizes[shapes] = sum(math.prod(d or 1 for d in x.shape) for x in specs)
        return (remat(layer.call) if sizes[shapes] > threshold else layer.call)(*args, **kwargs)

    return call


def _placeholder(x: Any) -> Any:
    return KerasTensor(x.shape, x.dtype) if isinstance(x, Tensor) else x


def _with_activation(layer: Any) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        attributes = layer.__dict__  # not by setattr, which would count as another setting
        activation = attributes["activation"]
        attributes["activation"] = remat(activation)
        try:
            return layer.call(*args, **kwargs)
        finally:
            attributes["activation"] = activation

    return call
