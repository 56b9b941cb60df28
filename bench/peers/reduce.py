"""Reductions."""

import torch

from . import peer


def _over(function):
    def reduction(x, axes=(), keepdims=False):
        return function(x, tuple(axes) or tuple(range(x.ndim)), keepdim=keepdims)

    return reduction


for _name, _function in (
    ("sum", torch.sum),
    ("mean", torch.mean),
    ("max", torch.amax),
    ("min", torch.amin),
    ("any", torch.any),
    ("all", torch.all),
):
    peer(_name)(_over(_function))


@peer("prod")
def prod(x, axes=(), keepdims=False):
    return x.prod(axes[0], keepdim=keepdims) if axes else x.prod()


@peer("argmax")
def argmax(x, axis=-1, keepdims=False):
    return x.argmax(axis, keepdim=keepdims)


@peer("argmin")
def argmin(x, axis=-1, keepdims=False):
    return x.argmin(axis, keepdim=keepdims)
