"""Dtype policies: in which dtype a layer computes and in which it keeps its variables."""

from __future__ import annotations

from typing import Any

from kcore.autograd.config import floatx
from kcore.autograd.dtype import is_floating

_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
_DTYPES = ("float16", "bfloat16", "float32", "float64", "bool")
_DTYPES += tuple(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))
# There are no arrays of float16: what asks for them gets the range and more than the precision of float32.
_COMPUTED_AS = {"float16": "float32"}


class DTypePolicy:
    """The dtypes of a layer.

    Args:
        name: a dtype ("float32": computation and variables), or "mixed_bfloat16": layers pass bfloat16 to each other
            and compute with weights cast to it, while weights and optimizers keep float32. "mixed_float16" and
            "float16" are read and written for the sake of Keras's files; here they store and compute float32, so
            that no loss needs scaling. None: the global default.

    Example:

    >>> policy = DTypePolicy("mixed_bfloat16")
    >>> policy.compute_dtype, policy.variable_dtype
    ('bfloat16', 'float32')
    """

    def __init__(self, name: str | None = None, source_name: str | None = None):
        name = floatx() if name is None else name
        if not isinstance(name, str):
            raise TypeError(f"[DTypePolicy] expected name to be a string, received {name!r}")
        if name in _MIXED:
            self._compute_dtype, self._variable_dtype = _MIXED[name], "float32"
        elif name in _DTYPES:
            self._compute_dtype = self._variable_dtype = name
        else:
            raise ValueError(
                f"[DTypePolicy] expected 'mixed_float16', 'mixed_bfloat16' or the name of a dtype such as 'float32', "
                f"received {name!r}"
            )
        self._name = name
        self._source_name = source_name
        self._array_dtype = _COMPUTED_AS.get(self._compute_dtype, self._compute_dtype)
        self._is_mixed = self._array_dtype != _COMPUTED_AS.get(self._variable_dtype, self._variable_dtype)

    @property
    def name(self) -> str:
        """The name it was made from."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """The dtype that inputs are cast to."""
        return self._compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of the weights."""
        return self._variable_dtype

    @property
    def quantization_mode(self) -> None:
        """None: there is no quantization."""
        return None

    @property
    def array_dtype(self) -> str:
        """The dtype of the arrays that a layer gets and gives: compute_dtype, or float32 for float16."""
        return self._array_dtype

    def autocast_dtype(self, outer: str | bool | None, autocast: bool) -> str | bool | None:
        """In which dtype variables give their values inside a layer of this policy (see `autograd.variable`).

        Args:
            outer: the same of the layer around it.
            autocast: whether the layer wants casts.
        """
        if outer is False and not self._is_mixed:
            return False
        return self._array_dtype if autocast and is_floating(self._array_dtype) else None

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal policy."""
        config = {"name": self._name}
        if self._source_name is not None:
            config["source_name"] = self._source_name
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        """The inverse of get_config."""
        return cls(**config)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, DTypePolicy) and self._name == other._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self._name}">'


FloatDTypePolicy = DTypePolicy

_global_policy: DTypePolicy | None = None


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are given none."""
    return DTypePolicy(floatx()) if _global_policy is None else _global_policy


def set_dtype_policy(policy: DTypePolicy | str | None) -> None:
    """Sets the policy of layers that are given none; None goes back to floatx.

    >>> set_dtype_policy("float64"); dtype_policy()
    <DTypePolicy "float64">
    >>> set_dtype_policy(None)
    """
    global _global_policy
    _global_policy = None if policy is None else get(policy)


def get(identifier: DTypePolicy | str | dict | None) -> DTypePolicy:
    """A policy from a policy, a name, a serialized policy or None (the global one).

    Raises:
        ValueError: none of these.
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    name = getattr(identifier, "name", None) or getattr(identifier, "__name__", None)  # np.float32, np.dtype("float32")
    if isinstance(name, str) and name in _DTYPES:
        return DTypePolicy(name)
    raise ValueError(f"[dtype_policies.get] expected a DTypePolicy, a name or a config, received {identifier!r}")


def serialize(policy: DTypePolicy) -> dict[str, Any]:
    """The policy as it stands in a config file."""
    return {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": policy.get_config(),
        "registered_name": None,
    }


def deserialize(config: dict[str, Any], custom_objects: dict | None = None) -> DTypePolicy:
    """The inverse of serialize."""
    class_name = config.get("class_name")
    if class_name not in ("DTypePolicy", "FloatDTypePolicy", "Policy"):
        raise ValueError(f"[dtype_policies.deserialize] expected class_name DTypePolicy, received {class_name!r}")
    return DTypePolicy.from_config(config["config"])
