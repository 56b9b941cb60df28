"""Softmax and its logarithm."""

import torch

from . import peer


@peer("softmax")
def softmax(x, axis=-1):
    return torch.softmax(x, axis)


@peer("log_softmax")
def log_softmax(x, axis=-1):
    return torch.log_softmax(x, axis)
