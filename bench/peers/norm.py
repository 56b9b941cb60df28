"""Normalizations."""

import torch.nn.functional as F

from . import IMAGE, peer


@peer("batch_norm_train", inputs=(IMAGE,), outputs=(IMAGE,))
def batch_norm_train(x, gamma, beta, epsilon):
    return F.batch_norm(x, None, None, gamma, beta, True, 0.0, epsilon)


@peer("batch_norm_inference", inputs=(IMAGE,), outputs=(IMAGE,))
def batch_norm_inference(x, mean, variance, gamma, beta, epsilon):
    return F.batch_norm(x, mean, variance, gamma, beta, False, 0.0, epsilon)


@peer("layer_norm")
def layer_norm(x, gamma, beta, epsilon, dims):
    return F.layer_norm(x, x.shape[x.ndim - dims :], gamma, beta, epsilon)
