"""Products of matrices, and what PyTorch fuses with them: a bias, by addmm."""

import torch

from . import peer

ACTIVATIONS = {"linear": lambda y: y, "relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}


@peer("matmul")
def matmul(
    a, b, bias=None, residual=None, *, transpose_a=False, transpose_b=False, activation="linear", statistics=False
):
    a, b = a.mT if transpose_a else a, b.mT if transpose_b else b
    if bias is not None and a.ndim == b.ndim == 2:
        y = torch.addmm(bias, a, b)
    else:
        y = a @ b if bias is None else a @ b + bias
    y = ACTIVATIONS[activation](y if residual is None else y + residual)
    if not statistics:
        return y
    variance, mean = torch.var_mean(y, tuple(range(y.ndim - 1)), correction=0)
    return y, mean, variance
