"""What PyTorch does for an op of ops.def: a function of the same tensors, and how its users would lay them out.

A module for each family, as in tests/op_cases. `@peer("op")` registers a function of PyTorch tensors and the op's
attributes; gradients are those of PyTorch's autograd. Ops without a peer are timed alone.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from calls import Call

Change = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Layout:
    """How PyTorch holds a tensor of kcore's: a change of the order in memory or of the axes, made before timing.

    Attributes:
        into: From kcore's layout; what it gives is what the user of PyTorch starts with.
        back: The inverse, for comparing.
    """

    into: Change
    back: Change


def _first(x: torch.Tensor) -> torch.Tensor:
    return x.movedim(-1, 1)


def _last(x: torch.Tensor) -> torch.Tensor:
    return x.movedim(1, -1)


def _kernel(x: torch.Tensor) -> torch.Tensor:
    format = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.ndim, torch.contiguous_format)
    return x.movedim((-1, -2), (0, 1)).contiguous(memory_format=format)


SAME = Layout(lambda x: x, lambda x: x)
# Channels last in memory, which is what PyTorch is fastest with; its axes are (n, c, spatial...).
IMAGE = Layout(_first, _last)
KERNEL = Layout(_kernel, lambda x: x.movedim((0, 1), (-1, -2)))
LABELS = Layout(lambda x: x.long(), lambda x: x)  # indices are int64 in PyTorch


def _tensor(x: np.ndarray) -> torch.Tensor:
    if x.dtype.name == "bfloat16":
        return torch.from_numpy(x.astype(np.float32)).bfloat16()
    return torch.from_numpy(np.array(x))


def _array(y: torch.Tensor) -> np.ndarray:
    return (y.float() if y.dtype == torch.bfloat16 else y).numpy()


@dataclass(frozen=True)
class Peer:
    """A registered function, with the layouts of its inputs and outputs; SAME for those that are not listed.

    Random results are not comparable.
    """

    function: Callable[..., Any]
    inputs: Sequence[Layout] = ()
    outputs: Sequence[Layout] = ()
    comparable: bool = True

    def prepare(self, call: Call) -> tuple[Callable[[], Any], Callable[[], list[np.ndarray | None]]]:
        """The function to time, and one that returns what it gives in kcore's layout."""
        layouts = [*self.inputs, *[SAME] * (len(call.inputs) - len(self.inputs))]
        out = [*self.outputs, *[SAME] * 8]
        leaves = [None if x is None else lay.into(_tensor(x)) for x, lay in zip(call.inputs, layouts)]

        def forward() -> tuple[torch.Tensor | None, ...]:
            y = self.function(*leaves, **call.attrs)
            return y if isinstance(y, tuple) else (y,)

        def seen(ys: Sequence[torch.Tensor | None], lays: Sequence[Layout]) -> list[np.ndarray | None]:
            if not self.comparable:
                return []
            return [None if y is None else _array(lay.back(y.detach())) for y, lay in zip(ys, lays)]

        if call.dy is None:

            def infer() -> tuple[torch.Tensor | None, ...]:
                with torch.inference_mode():
                    return forward()

            return infer, lambda: seen(infer(), out)

        for i in call.wanted:
            leaves[i] = leaves[i].detach().requires_grad_()
        sources, grads = [leaves[i] for i in call.wanted], [layouts[i] for i in call.wanted]
        up = out[0].into(torch.from_numpy(call.dy)).to(leaves[call.wanted[0]].dtype)

        if call.row.what == "both":

            def both() -> tuple[torch.Tensor, ...]:
                y = forward()[0]
                return (y, *torch.autograd.grad(y, sources, up))

            return both, lambda: seen(both(), [out[0], *grads])
        y = forward()[0]

        def backward() -> tuple[torch.Tensor, ...]:
            return torch.autograd.grad(y, sources, up, retain_graph=True)

        return backward, lambda: seen(backward(), grads)


PEERS: dict[str, Peer] = {}


def peer(
    *ops: str, inputs: Sequence[Layout] = (), outputs: Sequence[Layout] = (), comparable: bool = True
) -> Callable[[Any], Any]:
    """Registers the function below as what PyTorch does for these ops."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for op in ops:
            PEERS[op] = Peer(function, inputs, outputs, comparable)
        return function

    return register


for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{module}")
