"""How layers resolve, hold, check and write the options of their constructors.

An option's name says what it is: `*_initializer`, `*_regularizer`, `*_constraint` and `*activation` are looked up in their
modules when a layer is made and serialized by them when it is saved; everything else is kept as it came.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Callable, Iterable
from typing import Any

from kcore import activations, constraints, initializers, regularizers
from kcore.autograd import config
from kcore.graph import KerasTensor
from kcore.layers.layer import Layer

_MODULES = {
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
    "activation": activations,
}


def _module_of(name: str):
    return _MODULES.get(name.rpartition("_")[2])


class BuiltinLayer(Layer):
    """What the layers of this folder share: each lists its options once, in `OPTIONS`, in the order of its configuration."""

    OPTIONS: tuple[str, ...] = ()

    def set_options(self, values: dict[str, Any], **changed: Any) -> None:
        """Takes the class's options out of `values` (a constructor's `locals()`), after those in `changed`."""
        for name in _option_names(type(self)):
            if name in changed or name in values:
                value, module = changed.get(name, values.get(name)), _module_of(name)
                setattr(self, name, value if module is None else module.get(value))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **get_options(self, _option_names(type(self)))}


def _option_names(cls: type) -> list[str]:
    """The options of a class after those of its bases."""
    return [name for base in reversed(cls.__mro__) for name in base.__dict__.get("OPTIONS", ())]


def get_options(layer, names: Iterable[str]) -> dict[str, Any]:
    """The configuration of the options `names`, in that order."""
    values = {}
    for name in names:
        module, value = _module_of(name), getattr(layer, name)
        values[name] = value if module is None or value is None else module.serialize(value)
    return values


def add_weight(layer, name: str, shape: tuple[int, ...], options: str | None = None, **kwargs: Any):
    """Adds the weight `name` with the initializer, regularizer and constraint held under the prefix `options`."""
    prefix = options or name
    for kind in ("initializer", "regularizer", "constraint"):
        kwargs.setdefault(kind, getattr(layer, f"{prefix}_{kind}", None))
    return layer.add_weight(name=name, shape=shape, **kwargs)


def infer_shape(function: Callable, *shapes: tuple, dtype: str = "float32") -> tuple:
    """The shape `function` gives for inputs of `shapes`; None marks unknown sizes. Nothing is computed.

    >>> infer_shape(lambda a, b: a @ b, (None, 3), (3, 4))
    (None, 4)
    """
    return tuple(function(*(KerasTensor(tuple(shape), dtype=dtype) for shape in shapes)).shape)


def one_of(layer, name: str, value: Any, allowed: tuple) -> Any:
    """Returns `value` if it is among `allowed`; otherwise raises, naming the nearest allowed value."""
    if value in allowed:
        return value
    near = difflib.get_close_matches(str(value), [str(a) for a in allowed if a is not None], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"[{layer_name(layer)}] expected {name} to be one of {allowed}, received {value!r}{hint}")


def layer_name(layer) -> str:
    """How an error names a layer: its class, which is known before its own name is set."""
    return layer if isinstance(layer, str) else type(layer).__name__


def data_format_of(layer, value: str | None) -> str:
    """`"channels_last"` or `"channels_first"`; None takes the configured default."""
    if value is None:
        return config.image_data_format()
    return one_of(layer, "data_format", str(value).lower(), ("channels_last", "channels_first"))


def padding_of(layer, value: str, allow_causal: bool = False) -> str:
    """A padding mode in lower case."""
    allowed = ("valid", "same", "causal") if allow_causal else ("valid", "same")
    return one_of(layer, "padding", str(value).lower(), allowed)


def int_tuple(layer, name: str, value: Any, n: int, minimum: int = 1) -> tuple[int, ...]:
    """`value` as `n` integers of at least `minimum`; one integer stands for all of them."""
    values = (value,) * n if not isinstance(value, (tuple, list)) else tuple(value)
    try:
        values = tuple(operator.index(v) for v in values)
    except TypeError:
        values = ()
    if len(values) != n or any(v < minimum for v in values):
        raise ValueError(
            f"[{layer_name(layer)}] expected {name} to be an integer or {n} integers >= {minimum}, received {value!r}"
        )
    return values


def positive_int(layer, name: str, value: Any) -> int:
    """`value` as a positive integer."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"[{layer_name(layer)}] expected {name} to be a positive integer, received {value!r}")
    return number


def rate_of(layer, value: Any, name: str = "rate") -> float:
    """`value` as a fraction to drop, in [0, 1]."""
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"[{layer_name(layer)}] expected {name} to be a number in [0, 1], received {value!r}")
    return value


def pairs(layer, name: str, value: Any, n: int) -> tuple[tuple[int, int], ...]:
    """`value` as `n` pairs (before, after); an integer stands for all, n integers for symmetric pairs."""
    if isinstance(value, int):
        value = (value,) * n
    if not isinstance(value, (tuple, list)) or len(value) != n:
        raise ValueError(
            f"[{layer_name(layer)}] expected {name} to be an integer or {n} integers or pairs of integers, received "
            f"{value!r}"
        )
    return tuple(int_tuple(layer, name, v, 2, minimum=0) for v in value)


def refuse_adapters(layer, lora_rank: Any, quantization_config: Any) -> None:
    """Low-rank adapters and quantization are part of Keras's signatures, not of this package: refused by name."""
    for name, value in (("lora_rank", lora_rank), ("quantization_config", quantization_config)):
        if value is not None:
            raise NotImplementedError(f"[{layer_name(layer)}] expected {name}=None (not supported), received {value!r}")


def arguments(values: dict[str, Any]) -> dict[str, Any]:
    """A constructor's `locals()` as keyword arguments for its base's constructor."""
    named = {k: v for k, v in values.items() if k not in ("self", "kwargs") and not k.startswith("__")}
    return {**named, **values.get("kwargs", {})}
