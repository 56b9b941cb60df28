"""Training: receives a model, data and callbacks; runs the loops of fit, evaluate and predict.

`compiling` holds what compile was given, `trainer` the loops, `data` the readers. Must not import saving.
"""

from kcore.models.trainer.trainer import Trainer

__all__ = ["Trainer"]
