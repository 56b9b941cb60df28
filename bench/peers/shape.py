"""Ops that move elements; those that PyTorch only views differently are made contiguous, as kcore's are."""

import torch
import torch.nn.functional as F

from . import peer


@peer("transpose")
def transpose(x, axes):
    return x.permute(axes).contiguous()


@peer("broadcast_to")
def broadcast_to(x, shape):
    return x.expand(shape).contiguous()


@peer("concat")
def concat(*xs, axis):
    return torch.cat(xs, axis)


def _range(start, size, step):
    return tuple(slice(s, s + (n - 1) * by + 1, by) for s, n, by in zip(start, size, step))


@peer("slice")
def slice_(x, start, size, step):
    return x[_range(start, size, step)].contiguous()


@peer("place")
def place(x, shape, start, step, value=0.0):
    if all(s == 1 for s in step):
        pads = [p for n, m, s in zip(reversed(shape), reversed(x.shape), reversed(start)) for p in (s, n - m - s)]
        return F.pad(x, pads, value=value)
    y = x.new_full(tuple(shape), value)
    y[_range(start, x.shape, step)] = x
    return y


@peer("roll")
def roll(x, shift, axis):
    return torch.roll(x, shift, axis)


@peer("full")
def full(shape, value, dtype):
    return torch.full(shape, value, dtype=getattr(torch, dtype))
