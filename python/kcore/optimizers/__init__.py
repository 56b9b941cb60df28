"""Optimizers: receive gradients and variables, hand back updated variables; schedules give learning rates.

Uses ops, initializers and files' configs; must not import layers, callbacks or models.
"""

from __future__ import annotations

import inspect
from typing import Any

from kcore.lookup import Lookup
from kcore.optimizers import schedules
from kcore.optimizers.adadelta import Adadelta
from kcore.optimizers.adafactor import Adafactor
from kcore.optimizers.adagrad import Adagrad
from kcore.optimizers.adam import Adam, AdamW
from kcore.optimizers.adamax import Adamax
from kcore.optimizers.ftrl import Ftrl
from kcore.optimizers.lamb import Lamb
from kcore.optimizers.lion import Lion
from kcore.optimizers.nadam import Nadam
from kcore.optimizers.optimizer import Optimizer
from kcore.optimizers.rmsprop import RMSprop
from kcore.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_CLASSES = (SGD, RMSprop, Adagrad, Adadelta, Adam, AdamW, Adamax, Nadam, Ftrl, Lion, Lamb, Adafactor)
_LOOKUP = Lookup("optimizer", {name: cls for cls in _CLASSES for name in (cls.__name__, cls.__name__.lower())})


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The config of an optimizer: a dict that `deserialize` and Keras's files understand."""
    return _LOOKUP.serialize(optimizer)


def deserialize(config: dict[str, Any], custom_objects: dict | None = None) -> Optimizer:
    """An optimizer from what `serialize` gave."""
    name = config.get("class_name") if isinstance(config, dict) else None
    if isinstance(name, str) and name.islower():
        config = {**config, "class_name": _LOOKUP.find(name).__name__}
    return _LOOKUP.deserialize(config, custom_objects)


def get(identifier: Any) -> Optimizer | None:
    """An optimizer from None, a name ("adam"), a config, or an optimizer.

    >>> from kcore import optimizers
    >>> optimizers.get("adam").name.startswith("adam")
    True
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        found = _LOOKUP.find(identifier)
        if inspect.isclass(found):
            return found()
    raise ValueError(f"[optimizer] expected a name, a config or an Optimizer, received {identifier!r}")
