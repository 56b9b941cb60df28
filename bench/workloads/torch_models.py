"""The workloads in PyTorch, as its users write them; modules are named as Keras's layers are, for their weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from workloads import Workload, stages


class Net(nn.Module):
    """Modules by name, and a forward function over them."""

    def __init__(self, modules: dict[str, nn.Module], forward: Callable):
        super().__init__()
        self.parts = nn.ModuleDict(modules)
        self._forward = forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._forward(self.parts, x)

    def load(self, weights: dict[str, np.ndarray]) -> None:
        """Takes over the weights of the model with Keras's API, by paths ("layer/kernel")."""
        with torch.no_grad():
            for name, module in self.parts.items():
                own = {path[len(name) :].lstrip("/"): w for path, w in weights.items() if path.startswith(name)}
                _LOADERS[type(module)](module, {path: torch.from_numpy(w) for path, w in own.items()})


def _load_linear(module: nn.Linear, w: dict) -> None:
    module.weight.copy_(w["kernel"].T)
    module.bias.copy_(w["bias"])


def _load_conv(module: nn.Conv2d, w: dict) -> None:
    module.weight.copy_(w["kernel"].permute(3, 2, 0, 1))
    if module.bias is not None:
        module.bias.copy_(w["bias"])


def _load_norm(module: nn.Module, w: dict) -> None:
    module.weight.copy_(w["gamma"])
    module.bias.copy_(w["beta"])


def _load_lstm(module: nn.LSTM, w: dict) -> None:
    for path, array in w.items():  # "1/forward_lstm/lstm_cell/kernel"
        layer, direction, _, what = path.split("/")
        suffix = f"l{int(layer) - 1}{'_reverse' if direction.startswith('backward') else ''}"
        name = {"kernel": "weight_ih_", "recurrent_kernel": "weight_hh_", "bias": "bias_ih_"}[what] + suffix
        getattr(module, name).copy_(array.T)
        other = getattr(module, f"bias_hh_{suffix}")  # Keras has one bias
        other.zero_().requires_grad_(False)


def _load_attention(module: Attention, w: dict) -> None:
    d = module.qkv.in_features
    parts = ("query", "key", "value")
    module.qkv.weight.copy_(torch.cat([w[f"{p}/kernel"].reshape(d, d).T for p in parts]))
    module.qkv.bias.copy_(torch.cat([w[f"{p}/bias"].reshape(d) for p in parts]))
    module.out.weight.copy_(w["attention_output/kernel"].reshape(d, d).T)
    module.out.bias.copy_(w["attention_output/bias"])


class Attention(nn.Module):
    """Causal self-attention of four heads."""

    def __init__(self, d: int):
        super().__init__()
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, 4, d // 4).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(b, t, d))


_LOADERS: dict[type, Callable] = {
    nn.Linear: _load_linear,
    nn.Conv2d: _load_conv,
    nn.BatchNorm2d: _load_norm,
    nn.LayerNorm: _load_norm,
    nn.Embedding: lambda module, w: module.weight.copy_(w["embeddings"]),
    nn.LSTM: _load_lstm,
    Attention: _load_attention,
}


def _mlp(work: Workload) -> Net:
    parts = {
        "dense1": nn.Linear(work.inputs[0], work.width),
        "dense2": nn.Linear(work.width, work.width),
        "logits": nn.Linear(work.width, work.classes),
    }
    return Net(parts, lambda p, x: p["logits"](F.relu(p["dense2"](F.relu(p["dense1"](x))))))


def _convnet(work: Workload) -> Net:
    w = work.width
    parts = {"conv1": nn.Conv2d(1, w, 3), "conv2": nn.Conv2d(w, 2 * w, 3), "logits": nn.Linear(50 * w, work.classes)}

    def forward(p: nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
        for name in ("conv1", "conv2"):
            x = F.max_pool2d(F.relu(p[name](x)), 2)
        x = x.permute(0, 2, 3, 1).flatten(1)  # in the order in which the weights were given
        return p["logits"](F.dropout(x, work.dropout, p.training))

    return Net(parts, forward)


def _add_conv(parts: dict, name: str, channels: int, filters: int, size: int, strides: int = 1) -> None:
    # Keras pads 3x3 convolutions with stride 2 at the end only: _normalized does that.
    padding = 0 if strides == 2 and size == 3 else size // 2
    parts[name] = nn.Conv2d(channels, filters, size, strides, padding, bias=False)
    parts[f"{name}_norm"] = nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)


def _normalized(p: nn.ModuleDict, name: str, x: torch.Tensor) -> torch.Tensor:
    conv = p[name]
    if conv.kernel_size == (3, 3) and conv.stride == (2, 2):
        x = F.pad(x, (0, 1, 0, 1))
    return p[f"{name}_norm"](conv(x))


def _resnet20(work: Workload) -> Net:
    parts: dict[str, nn.Module] = {}
    _add_conv(parts, "stem", work.inputs[-1], work.width, 3)
    plan, channels = stages((3, 3, 3), work.width), work.width
    for stage, block, filters, strides in plan:
        _add_conv(parts, f"s{stage}b{block}_1", channels, filters, 3, strides)
        _add_conv(parts, f"s{stage}b{block}_2", filters, filters, 3)
        if strides > 1:
            _add_conv(parts, f"s{stage}b{block}_skip", channels, filters, 1, strides)
        channels = filters
    parts["logits"] = nn.Linear(channels, work.classes)

    def forward(p: nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(_normalized(p, "stem", x))
        for stage, block, _, strides in plan:
            name = f"s{stage}b{block}"
            y = _normalized(p, f"{name}_2", F.relu(_normalized(p, f"{name}_1", x)))
            x = F.relu(y + (_normalized(p, f"{name}_skip", x) if strides > 1 else x))
        return p["logits"](x.mean((2, 3)))

    return Net(parts, forward)


def _resnet50(work: Workload) -> Net:
    parts: dict[str, nn.Module] = {}
    _add_conv(parts, "stem", work.inputs[-1], work.width, 7, 2)
    plan, channels = stages((3, 4, 6, 3), work.width), work.width
    for stage, block, filters, strides in plan:
        name = f"s{stage}b{block}"
        _add_conv(parts, f"{name}_1", channels, filters, 1, strides)
        _add_conv(parts, f"{name}_2", filters, filters, 3)
        _add_conv(parts, f"{name}_3", filters, 4 * filters, 1)
        if block == 0:
            _add_conv(parts, f"{name}_skip", channels, 4 * filters, 1, strides)
        channels = 4 * filters
    parts["logits"] = nn.Linear(channels, work.classes)

    def forward(p: nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(_normalized(p, "stem", x)), 3, 2, 1)
        for stage, block, _, _ in plan:
            name = f"s{stage}b{block}"
            y = F.relu(_normalized(p, f"{name}_1", x))
            y = _normalized(p, f"{name}_3", F.relu(_normalized(p, f"{name}_2", y)))
            x = F.relu(y + (_normalized(p, f"{name}_skip", x) if block == 0 else x))
        return p["logits"](x.mean((2, 3)))

    return Net(parts, forward)


def _bilstm(work: Workload) -> Net:
    parts = {
        "words": nn.Embedding(work.vocabulary, 2 * work.width),
        "both": nn.LSTM(2 * work.width, work.width, 2, batch_first=True, bidirectional=True),
        "logits": nn.Linear(2 * work.width, work.classes),
    }

    def forward(p: nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
        _, (h, _) = p["both"](p["words"](x))
        return p["logits"](torch.cat([h[-2], h[-1]], 1))

    return Net(parts, forward)


def _minigpt(work: Workload) -> Net:
    steps, d = work.inputs[0], work.width
    parts: dict[str, nn.Module] = {"words": nn.Embedding(work.vocabulary, d), "positions": nn.Embedding(steps, d)}
    for i in (1, 2):
        parts[f"attention{i}"] = Attention(d)
        parts[f"up{i}"], parts[f"down{i}"] = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        parts[f"norm{i}_1"], parts[f"norm{i}_2"] = nn.LayerNorm(d, 1e-6), nn.LayerNorm(d, 1e-6)
    parts["logits"] = nn.Linear(d, work.classes)

    def forward(p: nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
        x = p["words"](x) + p["positions"].weight
        for i in (1, 2):
            x = p[f"norm{i}_1"](x + p[f"attention{i}"](x))
            x = p[f"norm{i}_2"](x + p[f"down{i}"](F.relu(p[f"up{i}"](x))))
        return p["logits"](x)

    return Net(parts, forward)


MODELS: dict[str, Callable[[Workload], Net]] = {
    "mlp": _mlp,
    "convnet": _convnet,
    "resnet20": _resnet20,
    "resnet50": _resnet50,
    "bilstm": _bilstm,
    "minigpt": _minigpt,
}
