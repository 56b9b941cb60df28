"""Gathering and scattering."""

import torch
import torch.nn.functional as F

from . import LABELS, SAME, peer


@peer("take", inputs=(SAME, LABELS))
def take(x, indices, axis=0):
    if axis == 0 and x.ndim == 2:
        return F.embedding(indices, x)
    return x[(slice(None),) * axis + (indices,)]


@peer("take_along_axis", inputs=(SAME, LABELS))
def take_along_axis(x, indices, axis=-1):
    return x.gather(axis, indices)


@peer("gather_nd", inputs=(SAME, LABELS))
def gather_nd(x, indices):
    return x[indices.unbind(-1)]


@peer("scatter_nd", inputs=(SAME, LABELS))
def scatter_nd(x, indices, updates, reduction="add"):
    if reduction != "add":
        raise NotImplementedError("only sums are compared")
    return x.index_put(indices.unbind(-1), updates, accumulate=True)


@peer("slice_update")
def slice_update(x, updates, start):
    y = x.clone()
    y[tuple(slice(s, s + n) for s, n in zip(start, updates.shape))] = updates
    return y


@peer("one_hot", inputs=(LABELS,))
def one_hot(indices, num_classes, axis=-1, dtype="float32"):
    return F.one_hot(indices, num_classes).to(getattr(torch, dtype)).movedim(-1, axis)
