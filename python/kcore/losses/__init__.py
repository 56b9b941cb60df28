"""Losses. Receives targets and predictions from the trainer, hands it a scalar to minimize; computes with kcore.ops.

A loss is an object, `MeanSquaredError()`, which weights and reduces, or the function of one sample behind it,
`mean_squared_error`. Both go by name as well: "mse".
"""

from __future__ import annotations

from kcore.lookup import Lookup
from kcore.losses.crossentropy import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    KLDivergence,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    kl_divergence,
    sparse_categorical_crossentropy,
)
from kcore.losses.ctc import CTC, ctc
from kcore.losses.loss import Loss
from kcore.losses.margin import (
    CategoricalHinge,
    Circle,
    Hinge,
    SquaredHinge,
    categorical_hinge,
    circle,
    hinge,
    squared_hinge,
)
from kcore.losses.overlap import Dice, Tversky, dice, tversky
from kcore.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
)

__all__ = [
    "CTC",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_similarity",
    "ctc",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]
_FINDERS = ("get", "serialize", "deserialize")

_SHORT = {
    "bce": binary_crossentropy,
    "kld": kl_divergence,
    "mae": mean_absolute_error,
    "mape": mean_absolute_percentage_error,
    "mse": mean_squared_error,
    "msle": mean_squared_logarithmic_error,
}
_SHORT |= {name.upper(): member for name, member in _SHORT.items()}


def get(identifier):
    """The loss called or described by `identifier`: a function for "mse", an object for "MeanSquaredError".

    >>> get("mse") is mean_squared_error
    True
    """
    return _LOOKUP.get(identifier)


def serialize(loss) -> dict:
    """The config of a loss or of a loss function."""
    return _LOOKUP.serialize(loss)


def deserialize(name, custom_objects: dict | None = None):
    """The loss that `serialize` described."""
    return _LOOKUP.deserialize(name, custom_objects)


_LOOKUP = Lookup("loss", {name: globals()[name] for name in __all__ if name not in _FINDERS} | _SHORT)
