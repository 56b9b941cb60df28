"""SeedGenerator: where random ops get their counters from."""

from __future__ import annotations

import random as python_random

import numpy as np

from kcore.autograd.tensor import Tensor, convert_to_tensor
from kcore.autograd.variable import Variable
from kcore.naming import auto_name, name_scope


class SeedGenerator:
    """A source of seeds for random ops: a key, fixed by `seed`, and a counter that grows with each use.

    The same seed gives the same numbers on every machine and with any number of threads.

    Args:
        seed: A non-negative integer; None takes one from Python's `random` module, which `set_random_seed` fixes.
        name: Name of the generator, of its state in files.

    >>> int(kcore.random.SeedGenerator(7).next().numpy()[0])
    7
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: object):
        if kwargs:
            raise ValueError(f"[SeedGenerator] unrecognized arguments: {', '.join(kwargs)}")
        self.name = name or auto_name(type(self).__name__)
        self._initial_seed = seed
        if seed is None:
            seed = python_random.randint(1, 2**31 - 1)
        if not isinstance(seed, (int, np.integer)) or seed < 0:
            raise ValueError(f"[SeedGenerator] expected a non-negative integer seed, received {seed!r}")
        with name_scope(self.name, caller=self):
            state = np.array([seed % 2**32, 0], "uint32")
            self.state = Variable(state, trainable=False, name="seed_generator_state", aggregation="none")

    def next(self, ordered: bool = True) -> Tensor:
        """The seed for one random op, uint32 (2,) [key, counter]; the counter goes up by one."""
        seed = self.state.value
        self.state.assign(seed + _STEP)
        return Tensor(seed.array)

    def get_config(self) -> dict:
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict) -> SeedGenerator:
        return cls(**config)


_STEP = np.array([0, 1], "uint32")
_default: SeedGenerator | None = None


def default_seed_generator() -> SeedGenerator:
    """The generator used where no seed is given."""
    if _default is None:
        reset_default_seed_generator()
    return _default


def reset_default_seed_generator() -> None:
    """Seeds the default generator anew, from Python's `random` module. It stays the one that recorded steps read."""
    global _default
    fresh = SeedGenerator(name="global_seed_generator")
    if _default is None:
        _default = fresh
    _default.state.assign(fresh.state.value)


def draw_seed(seed: int | SeedGenerator | None) -> Tensor:
    """The seed tensor (2,) uint32 for one random op: of a generator, a fixed integer, or the default generator."""
    if seed is None:
        return default_seed_generator().next()
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if isinstance(seed, (int, np.integer)) and seed >= 0:
        return convert_to_tensor(np.array([seed % 2**32, 0], "uint32"))
    raise ValueError(f"[seed] expected None, a non-negative int or a SeedGenerator, received {seed!r}")
