"""Learning-rate schedules: functions of the step, computed with ops; handed to an optimizer as its learning rate."""

from __future__ import annotations

from typing import Any

from kcore.lookup import Lookup
from kcore.optimizers.schedules.cosine import CosineDecay, CosineDecayRestarts
from kcore.optimizers.schedules.decay import (
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from kcore.optimizers.schedules.schedule import LearningRateSchedule

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]

_CLASSES = (
    ExponentialDecay, PiecewiseConstantDecay, PolynomialDecay, InverseTimeDecay, CosineDecay, CosineDecayRestarts,
)  # fmt: skip
_LOOKUP = Lookup("schedule", {cls.__name__: cls for cls in _CLASSES})


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """The config of a schedule."""
    return _LOOKUP.serialize(learning_rate_schedule)


def deserialize(config: dict[str, Any], custom_objects: dict | None = None) -> LearningRateSchedule:
    """A schedule from what `serialize` gave."""
    return _LOOKUP.deserialize(config, custom_objects)
