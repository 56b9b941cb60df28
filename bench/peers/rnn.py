"""Recurrent layers over whole sequences, batch first, as torch.nn.LSTM and its kin call them."""

import torch

from . import SAME, Layout, peer

_TURNED = Layout(lambda x: x.T.contiguous(), lambda x: x.T)


def _swap(x, axis):
    """The gates z, r, h of kcore as r, z, n of PyTorch, and back."""
    z, r, h = x.chunk(3, axis)
    return torch.cat([r, z, h], axis)


_GRU_KERNEL = Layout(lambda x: _swap(x, -1).T.contiguous(), lambda x: _swap(x.T, -1))
_GRU_BIAS = Layout(lambda x: _swap(x, -1), lambda x: _swap(x, -1))


def _run(name, x, state, weights, mask, go_backwards):
    if mask is not None or go_backwards:
        raise NotImplementedError("recurrent layers of PyTorch know neither masks nor reversed time")
    train = any(w.requires_grad for w in weights)
    return getattr(torch._VF, name)(x, state, weights, len(weights) == 4, 1, 0.0, train, False, True)


def _weights(kernel, recurrent_kernel, bias):
    # PyTorch has a second bias, of the recurrence.
    return (kernel, recurrent_kernel) if bias is None else (kernel, recurrent_kernel, bias, torch.zeros_like(bias))


@peer("lstm", inputs=(SAME, SAME, SAME, _TURNED, _TURNED))
def lstm(x, h0, c0, kernel, recurrent_kernel, bias, mask, go_backwards=False):
    weights = _weights(kernel, recurrent_kernel, bias)
    y, h, c = _run("lstm", x, (h0[None], c0[None]), weights, mask, go_backwards)
    return y, h[0], c[0]


@peer("gru", inputs=(SAME, SAME, _GRU_KERNEL, _GRU_KERNEL, _GRU_BIAS))
def gru(x, h0, kernel, recurrent_kernel, bias, mask, reset_after=True, go_backwards=False):
    if not reset_after:
        raise NotImplementedError("the GRU of PyTorch resets after the product")
    weights = (kernel, recurrent_kernel) if bias is None else (kernel, recurrent_kernel, bias[0], bias[1])
    y, h = _run("gru", x, h0[None], weights, mask, go_backwards)
    return y, h[0]


@peer("simple_rnn", inputs=(SAME, SAME, _TURNED, _TURNED))
def simple_rnn(x, h0, kernel, recurrent_kernel, bias, mask, activation="tanh", go_backwards=False):
    if activation not in ("tanh", "relu"):
        raise NotImplementedError("the simple recurrent layers of PyTorch know tanh and relu")
    weights = _weights(kernel, recurrent_kernel, bias)
    y, h = _run(f"rnn_{activation}", x, h0[None], weights, mask, go_backwards)
    return y, h[0]
