"""What a loss is: per-sample values from `call`, weighted by sample weights and masks, reduced to what is minimized."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

from kcore import ops
from kcore.autograd import Tensor, convert_to_tensor
from kcore.autograd.config import epsilon, floatx
from kcore.autograd.dtype import is_floating, standardize_dtype
from kcore.naming import auto_name
from kcore.saving import deserialize_keras_object, serialize_keras_object

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss:
    """Base of all losses. Subclasses write `call(y_true, y_pred)`, which gives one value per sample.

    Args:
        name: what it is called in logs.
        reduction: "sum_over_batch_size" (or "mean") sums the weighted values and divides by their number;
            "mean_with_sample_weight" divides by the sum of the weights; "sum" divides by nothing; "none" (or None)
            leaves the values.
        dtype: dtype of the computation, by default the default float.

    >>> class Distance(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return ops.sum(ops.abs(y_true - y_pred), axis=-1)
    >>> float(Distance()([[0.0, 1.0]], [[1.0, 3.0]]))
    3.0
    """

    def __init__(self, name=None, reduction="sum_over_batch_size", dtype=None):
        self.name = name or auto_name(type(self).__name__)
        if reduction not in REDUCTIONS:
            raise ValueError(f"[{self.name}] expected reduction to be one of {REDUCTIONS}, received {reduction!r}")
        self.reduction = reduction
        self._dtype = standardize_dtype(getattr(dtype, "compute_dtype", dtype) or floatx())

    @property
    def dtype(self) -> str:
        """The dtype of the computation."""
        return self._dtype

    def call(self, y_true, y_pred) -> Tensor:
        """The loss of each sample. y_true and y_pred (batch, ...) give (batch, ...) with an axis less, or as needed."""
        raise NotImplementedError(f"[{type(self).__name__}] expected a call(y_true, y_pred) method")

    def __call__(self, y_true, y_pred, sample_weight=None) -> Tensor:
        """The reduced loss. `sample_weight` broadcasts to what `call` returns; a mask that y_pred carries is obeyed."""
        mask = _mask_of(y_pred)
        values = self.call(self._convert(y_true), self._convert(y_pred))
        own_mask = _mask_of(values)
        if mask is None or own_mask is None:
            mask = own_mask if mask is None else mask
        else:
            mask = ops.logical_and(mask, own_mask)
        return reduce_weighted_values(values, sample_weight, mask, self.reduction, self.dtype)

    def _convert(self, y):
        if isinstance(y, dict):
            return {name: self._convert(part) for name, part in y.items()}
        if isinstance(y, (list, tuple)) and any(hasattr(part, "shape") for part in y):
            return type(y)(self._convert(part) for part in y)
        y = convert_to_tensor(y)
        return y if y.dtype == self.dtype else ops.cast(y, self.dtype)

    def get_config(self) -> dict:
        """The constructor's arguments, as Keras writes them (without the dtype)."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict) -> Loss:
        """A loss with these arguments."""
        return cls(**config)


class LossFunctionWrapper(Loss):
    """A loss whose `call` is a function `fn(y_true, y_pred, **kwargs)`."""

    # Arguments of fn with the value at which Keras's configs leave them out. They are written where a file would lose
    # them otherwise; Keras reads them back, too.
    _unwritten: ClassVar[dict] = {}

    def __init__(self, fn: Callable, reduction="sum_over_batch_size", name=None, dtype=None, **kwargs):
        super().__init__(name=name or getattr(fn, "__name__", None), reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true, y_pred) -> Tensor:
        if isinstance(y_true, Tensor) and isinstance(y_pred, Tensor):
            y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict:
        config = super().get_config()
        if type(self) is LossFunctionWrapper:
            config["fn"] = serialize_keras_object(self.fn)
        for name, value in self._fn_kwargs.items():
            if name not in self._unwritten or value != self._unwritten[name]:
                config[name] = value
        return config

    @classmethod
    def from_config(cls, config: dict) -> Loss:
        if isinstance(config.get("fn"), dict):
            config = {**config, "fn": deserialize_keras_object(config["fn"])}
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self.fn.__name__}, {self._fn_kwargs})>"


def squeeze_or_expand_to_same_rank(x1: Tensor, x2: Tensor, expand_rank_1: bool = True) -> tuple[Tensor, Tensor]:
    """Drops a last axis of size 1 that only one of the two has, or, where the other is a vector, adds it there."""
    rank1, rank2 = len(x1.shape), len(x2.shape)
    if rank1 == rank2 + 1 and x1.shape[-1] == 1:
        return (x1, ops.expand_dims(x2, -1)) if rank2 == 1 and expand_rank_1 else (ops.squeeze(x1, -1), x2)
    if rank2 == rank1 + 1 and x2.shape[-1] == 1:
        return (ops.expand_dims(x1, -1), x2) if rank1 == 1 and expand_rank_1 else (x1, ops.squeeze(x2, -1))
    return x1, x2


def reduce_weighted_values(
    values, sample_weight=None, mask=None, reduction="sum_over_batch_size", dtype=None
) -> Tensor:
    """Weights values (batch, ...) and reduces them as `Loss` says. Weights and mask broadcast to the values."""
    values = _cast(values, dtype or floatx())
    if mask is not None:
        sample_weight = apply_mask(sample_weight, mask, values.dtype, reduction)
    if sample_weight is not None:
        sample_weight = _cast(sample_weight, values.dtype)
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        values = values * sample_weight
    if reduction in (None, "none") or values.shape == () or values.shape == (0,):
        return values
    total = ops.sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        return ops.divide_no_nan(total, ops.sum(sample_weight))
    return total / max(math.prod(values.shape), 1)


def apply_mask(sample_weight, mask, dtype: str, reduction) -> Tensor:
    """Sample weights that leave out what `mask` excludes, and let a mean count only what it includes."""
    mask = _cast(mask, dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        mask = mask * (math.prod(mask.shape) / (ops.sum(mask) + epsilon()))
    if sample_weight is None:
        return mask
    mask, sample_weight = squeeze_or_expand_to_same_rank(mask, _cast(sample_weight, dtype))
    return sample_weight * mask


def _mask_of(x):
    return getattr(x, "keras_mask", None)


def _cast(x, dtype: str) -> Tensor:
    x = convert_to_tensor(x)
    return x if x.dtype == dtype else ops.cast(x, dtype)


def as_pair(y_true, y_pred) -> tuple[Tensor, Tensor]:
    """Both as tensors, y_true in the dtype of y_pred, which is made floating."""
    y_pred = convert_to_tensor(y_pred)
    if not is_floating(y_pred.dtype):
        y_pred = ops.cast(y_pred, floatx())
    return _cast(y_true, y_pred.dtype), y_pred
