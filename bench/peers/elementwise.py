"""Elementwise functions."""

import torch
import torch.nn.functional as F

from . import peer

_SAME_NAME = """
exp expm1 log log1p sqrt rsqrt reciprocal sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf floor ceil
trunc round sigmoid negative absolute sign square relu isnan isinf isfinite logical_not add subtract multiply divide
maximum minimum floor_divide arctan2 less less_equal greater greater_equal not_equal logical_and logical_or logical_xor
where
"""
for _name in _SAME_NAME.split():
    peer(_name)(getattr(torch, _name))
peer("equal")(torch.eq)
peer("power")(torch.pow)
peer("mod")(torch.remainder)
peer("softplus")(F.softplus)
peer("silu")(F.silu)
peer("elu")(F.elu)
peer("leaky_relu")(F.leaky_relu)


@peer("gelu")
def gelu(x, approximate=True):
    return F.gelu(x, approximate="tanh" if approximate else "none")


@peer("clip")
def clip(x, low, high):
    return x.clamp(low, high)


@peer("cast")
def cast(x, dtype):
    return x.to(getattr(torch, dtype))
