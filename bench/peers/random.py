"""Random numbers: other streams, so that only times are compared."""

import torch
import torch.nn.functional as F

from . import peer


@peer("random_uniform", comparable=False)
def random_uniform(seed, shape, minval=0.0, maxval=1.0, dtype="float32"):
    return torch.empty(shape).uniform_(minval, maxval)


@peer("random_normal", comparable=False)
def random_normal(seed, shape, mean=0.0, stddev=1.0, dtype="float32"):
    return torch.empty(shape).normal_(mean, stddev)


@peer("random_truncated_normal", comparable=False)
def random_truncated_normal(seed, shape, mean=0.0, stddev=1.0, dtype="float32"):
    return torch.nn.init.trunc_normal_(torch.empty(shape), mean, stddev, mean - 2 * stddev, mean + 2 * stddev)


@peer("random_integers", comparable=False)
def random_integers(seed, shape, minval, maxval, dtype="int32"):
    return torch.randint(minval, maxval, shape, dtype=getattr(torch, dtype))


@peer("random_gamma", comparable=False)
def random_gamma(alpha, seed):
    return torch._standard_gamma(alpha)


@peer("random_binomial", comparable=False)
def random_binomial(counts, probabilities, seed):
    return torch.binomial(counts, probabilities)


@peer("dropout", comparable=False)
def dropout(x, seed, rate):
    return F.dropout(x, rate, training=True)
