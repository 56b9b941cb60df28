"""keras.random: random tensors, and the SeedGenerator they draw their seeds from."""

from kcore.autograd.random import SeedGenerator
from kcore.ops.random import (
    beta,
    binomial,
    categorical,
    dropout,
    gamma,
    make_default_seed,
    normal,
    randint,
    shuffle,
    truncated_normal,
    uniform,
)

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "make_default_seed",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]
