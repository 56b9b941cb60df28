"""Dtype policies: in which dtype a layer computes and in which it keeps its variables."""

from __future__ import annotations

from typing import Any

from kcore.autograd.config import floatx

_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
_DTYPES = ("float16", "bfloat16", "float32", "float64", "bool")
_DTYPES += tuple(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))
# The core computes in float32 and float64; half precision is read from files and configs, and computed in float32.
_COMPUTED_AS = {"float16": "float32", "bfloat16": "float32"}


class DTypePolicy:
    """The dtypes of a layer.

    Args:
        name: a dtype ("float32": computation and variables), "mixed_float16" or "mixed_bfloat16" (accepted for the sake
            of Keras's files; variables and computation are float32 here). None: the global default.

    Example:

    >>> policy = DTypePolicy("float64")
    >>> policy.compute_dtype, policy.variable_dtype
    ('float64', 'float64')
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
        """The dtype of the arrays that the core computes with: compute_dtype, or float32 for half precision."""
        return _COMPUTED_AS.get(self._compute_dtype, self._compute_dtype)

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
