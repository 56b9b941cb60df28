"""Sorting, selection and scans."""

import torch

from . import peer


@peer("sort")
def sort(x, axis=-1):
    return tuple(torch.sort(x, dim=axis, stable=True))


@peer("top_k")
def top_k(x, k):
    return tuple(torch.topk(x, k))


@peer("searchsorted")
def searchsorted(sorted_sequence, values, side="left"):
    return torch.searchsorted(sorted_sequence, values, side=side, out_int32=True)


def _scan(function):
    def scan(x, axis=-1, reverse=False):
        return function(x.flip(axis), axis).flip(axis) if reverse else function(x, axis)

    return scan


peer("cumsum")(_scan(torch.cumsum))
peer("cumprod")(_scan(torch.cumprod))
