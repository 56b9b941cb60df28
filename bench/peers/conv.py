"""Convolutions of 1 to 3 dimensions, through oneDNN where PyTorch takes it."""

import torch.nn.functional as F

from . import IMAGE, KERNEL, SAME, peer
from .matmul import ACTIVATIONS

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def _window(rank, strides, pads, dilations):
    ones, zeros = [1] * rank, [0] * 2 * rank
    return strides or ones, pads or zeros, dilations or ones


@peer("conv", inputs=(IMAGE, KERNEL, SAME, IMAGE), outputs=(IMAGE,))
def conv(x, kernel, bias=None, residual=None, *, strides=(), pads=(), dilations=(), groups=1, activation="linear"):
    rank = x.ndim - 2
    strides, pads, dilations = _window(rank, strides, pads, dilations)
    if pads[::2] == pads[1::2]:
        around = pads[::2]
    else:
        x, around = F.pad(x, [p for d in reversed(range(rank)) for p in pads[2 * d : 2 * d + 2]]), 0
    y = _CONV[rank](x, kernel, bias, strides, around, dilations, groups)
    return ACTIVATIONS[activation](y if residual is None else y + residual)


@peer("conv_input_grad", inputs=(IMAGE, KERNEL), outputs=(IMAGE,))
def conv_input_grad(dy, kernel, *, input_shape, strides=(), pads=(), dilations=(), groups=1):
    # As an op of its own it is the transposed convolution.
    rank = dy.ndim - 2
    strides, pads, dilations = _window(rank, strides, pads, dilations)
    if pads[::2] != pads[1::2]:
        raise NotImplementedError("transposed convolutions of PyTorch pad both sides alike")
    extra = [
        n - ((m - 1) * s - 2 * p + (k - 1) * d + 1)
        for n, m, s, p, k, d in zip(input_shape, dy.shape[2:], strides, pads[::2], kernel.shape[2:], dilations)
    ]
    return _TRANSPOSED[rank](dy, kernel, None, strides, pads[::2], extra, groups, dilations)
