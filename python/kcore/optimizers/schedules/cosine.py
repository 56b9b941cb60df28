"""Cosine schedules, with warm-up or with warm restarts (Loshchilov & Hutter, SGDR, arXiv 1608.03983)."""

from __future__ import annotations

import math
from typing import Any

from kcore import ops
from kcore.autograd import Tensor
from kcore.optimizers.schedules.schedule import LearningRateSchedule, as_step, check_positive


class CosineDecay(LearningRateSchedule):
    """Half a cosine from the initial rate down to alpha times it in decay_steps.

    With `warmup_target` the rate first rises linearly from initial_learning_rate to the target in warmup_steps, and the
    cosine starts from there.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = check_positive(name, "decay_steps", decay_steps)
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> Tensor:
        """The rate at `step`."""
        step, steps = as_step(step), float(self.decay_steps)
        if self.warmup_target is None:
            return self._cosine(ops.minimum(step, steps), self.initial_learning_rate)
        warmup = float(self.warmup_steps)
        total = warmup + steps
        step = ops.minimum(step, total)
        decayed = self._cosine(step - warmup, self.warmup_target)
        if not warmup:
            return decayed
        rising = (self.warmup_target - self.initial_learning_rate) * (step / warmup) + self.initial_learning_rate
        return ops.where(step < warmup, rising, decayed)

    def _cosine(self, step: Tensor, top: float) -> Tensor:
        half = 0.5 * (1.0 + ops.cos(math.pi * (step / float(self.decay_steps))))
        return top * ((1 - self.alpha) * half + self.alpha)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal schedule with."""
        names = ("initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps")
        return {name: getattr(self, name) for name in names}


class CosineDecayRestarts(LearningRateSchedule):
    """Cosines one after the other; each is t_mul times as long as the last and starts at m_mul times its top."""

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = check_positive(name, "first_decay_steps", first_decay_steps)
        self._t_mul = t_mul
        self._m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        """The rate at `step`."""
        done = as_step(step) / float(self.first_decay_steps)  # in lengths of the first cosine
        if self._t_mul == 1.0:
            restarts = ops.floor(done)
            fraction = done - restarts
        else:
            t = self._t_mul
            restarts = ops.floor(ops.log(1.0 - done * (1.0 - t)) / math.log(t))
            power = ops.power(float(t), restarts)
            fraction = (done - (1.0 - power) / (1.0 - t)) / power
        half = 0.5 * ops.power(float(self._m_mul), restarts) * (1.0 + ops.cos(math.pi * fraction))
        return self.initial_learning_rate * ((1 - self.alpha) * half + self.alpha)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal schedule with."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self._t_mul,
            "m_mul": self._m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }
