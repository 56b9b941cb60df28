"""Resampling of images."""

import torch.nn.functional as F

from . import IMAGE, peer


@peer("resize", inputs=(IMAGE,), outputs=(IMAGE,))
def resize(images, height, width, interpolation="bilinear", antialias=False):
    if interpolation not in ("nearest", "bilinear"):  # PyTorch's cubic has another coefficient
        raise NotImplementedError("only nearest and bilinear are the same in PyTorch")
    mode = "nearest-exact" if interpolation == "nearest" else interpolation
    return F.interpolate(images, (height, width), mode=mode, antialias=antialias)
