"""LearningRateSchedule: the base of all schedules, own ones included."""

from __future__ import annotations

import math
from typing import Any

from kcore import ops
from kcore.autograd import Tensor


class LearningRateSchedule:
    """A learning rate as a function of the step. A subclass overrides `__call__(step)` and `get_config()`."""

    def __call__(self, step: Any) -> Any:
        """The rate at `step`, an integer scalar."""
        raise NotImplementedError(
            f"[{type(self).__name__}] a learning-rate schedule must override `__call__(self, step)`"
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal schedule with."""
        raise NotImplementedError(f"[{type(self).__name__}] a learning-rate schedule must override `get_config()`")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        """A schedule from what `get_config` gave."""
        return cls(**config)


def as_step(step: Any) -> Tensor:
    """The step as a float32 scalar, which the formulas compute in."""
    return ops.cast(ops.convert_to_tensor(step), "float32")


def check_positive(owner: str, name: str, value: Any) -> Any:
    """`value` unless it is no finite number > 0."""
    if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
        raise ValueError(f"[{owner}] expected `{name}` to be a finite number > 0, received {name}={value!r}")
    return value
