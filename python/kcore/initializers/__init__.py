"""Starting values of weights: receives shapes and dtypes from layers, hands out tensors of ops and random."""

from __future__ import annotations

import numpy as np

from kcore import ops
from kcore.autograd import Tensor
from kcore.autograd.config import floatx
from kcore.initializers.constant import STFT, Constant, Identity, Ones, Zeros
from kcore.initializers.initializer import Initializer
from kcore.initializers.random import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from kcore.lookup import Lookup

__all__ = [
    "STFT",
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "STFTInitializer",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "stft",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]
_FINDERS = ("get", "serialize", "deserialize")

constant, identity, ones, zeros, stft = Constant, Identity, Ones, Zeros, STFT
glorot_normal, glorot_uniform = GlorotNormal, GlorotUniform
he_normal, he_uniform = HeNormal, HeUniform
lecun_normal, lecun_uniform = LecunNormal, LecunUniform
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
orthogonal, variance_scaling = Orthogonal, VarianceScaling
IdentityInitializer, OrthogonalInitializer, STFTInitializer = Identity, Orthogonal, STFT


def get(identifier):
    """The initializer called or described by `identifier`; None is None, and an array initializes to itself.

    >>> type(get("he_normal")).__name__
    'HeNormal'
    """
    if isinstance(identifier, (np.ndarray, Tensor)):
        return _given_values(identifier)
    return _LOOKUP.get(identifier)


def serialize(initializer) -> dict:
    """The config of an initializer."""
    return _LOOKUP.serialize(initializer)


def deserialize(config, custom_objects: dict | None = None):
    """The initializer that `serialize` described."""
    return _LOOKUP.deserialize(config, custom_objects)


def _given_values(values):
    def initialize(shape, dtype=None, **kwargs) -> Tensor:
        if tuple(shape) != tuple(values.shape):
            raise ValueError(f"[initializer] expected shape {tuple(values.shape)} of the given array, received {shape}")
        return ops.cast(ops.convert_to_tensor(values), dtype or floatx())

    return initialize


_SHORT = {"normal": RandomNormal, "one": Ones, "uniform": RandomUniform, "zero": Zeros}
_LOOKUP = Lookup("initializer", {name: globals()[name] for name in __all__ if name not in _FINDERS} | _SHORT)
