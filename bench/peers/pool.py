"""Pooling."""

import torch.nn.functional as F

from . import IMAGE, peer

_MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def _pads(window, pads):
    pads = pads or [0] * 2 * len(window)
    if pads[::2] != pads[1::2]:
        raise NotImplementedError("pooling of PyTorch pads both sides alike")
    return pads[::2]


@peer("max_pool", inputs=(IMAGE,), outputs=(IMAGE,))
def max_pool(x, window, strides, pads=()):
    return _MAX[len(window)](x, window, strides, _pads(window, pads))


@peer("average_pool", inputs=(IMAGE,), outputs=(IMAGE,))
def average_pool(x, window, strides, pads=()):
    return _AVERAGE[len(window)](x, window, strides, _pads(window, pads), count_include_pad=False)
