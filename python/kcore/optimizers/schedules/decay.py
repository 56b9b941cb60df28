"""Schedules that fall by a formula: exponential, inverse time, polynomial, and steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore import ops
from kcore.autograd import Tensor
from kcore.optimizers.schedules.schedule import LearningRateSchedule, as_step, check_positive


class ExponentialDecay(LearningRateSchedule):
    """initial_learning_rate * decay_rate ** (step / decay_steps); with `staircase` the quotient is rounded down.

    >>> from kcore.optimizers.schedules import ExponentialDecay
    >>> round(float(ExponentialDecay(1.0, decay_steps=10, decay_rate=0.5)(20).numpy()), 3)
    0.25
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = check_positive(name, "decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        """The rate at `step`."""
        p = as_step(step) / float(self.decay_steps)
        return ops.power(float(self.decay_rate), ops.floor(p) if self.staircase else p) * self.initial_learning_rate

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal schedule with."""
        names = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")
        return {name: getattr(self, name) for name in names}


class InverseTimeDecay(ExponentialDecay):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps); `staircase` rounds the quotient down."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ):
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def __call__(self, step: Any) -> Tensor:
        """The rate at `step`."""
        p = as_step(step) / float(self.decay_steps)
        return self.initial_learning_rate / (1.0 + self.decay_rate * (ops.floor(p) if self.staircase else p))


class PolynomialDecay(LearningRateSchedule):
    """From initial_learning_rate to end_learning_rate in decay_steps, as (1 - step / decay_steps) ** power.

    With `cycle`, decay_steps grows to the next multiple that is beyond the step.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = check_positive(name, "decay_steps", decay_steps)
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        """The rate at `step`."""
        step = as_step(step)
        steps: Any = float(self.decay_steps)
        if self.cycle:
            steps = steps * ops.maximum(ops.ceil(step / steps), 1.0)
        else:
            step = ops.minimum(step, steps)
        span = self.initial_learning_rate - self.end_learning_rate
        return span * ops.power(1.0 - step / steps, self.power) + self.end_learning_rate

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal schedule with."""
        names = ("initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name")
        return {name: getattr(self, name) for name in names}


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[i] up to and with step boundaries[i], values[-1] beyond the last.

    >>> from kcore.optimizers.schedules import PiecewiseConstantDecay
    >>> [float(PiecewiseConstantDecay([10], [1.0, 0.5])(step).numpy()) for step in (10, 11)]
    [1.0, 0.5]
    """

    def __init__(self, boundaries: Sequence[int], values: Sequence[float], name: str = "PiecewiseConstant"):
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                f"[{name}] expected one value more than boundaries, received boundaries={boundaries} and values={values}"
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        """The rate at `step`."""
        step = as_step(step)
        rate = ops.convert_to_tensor(float(self.values[-1]), "float32")
        for boundary, value in reversed(list(zip(self.boundaries, self.values, strict=False))):
            rate = ops.where(step <= float(boundary), ops.convert_to_tensor(float(value), "float32"), rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal schedule with."""
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}
