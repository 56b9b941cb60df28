"""Operation: what can be called on placeholders and remembers its calls; the base of every layer and of the op nodes."""

from __future__ import annotations

import inspect
from typing import Any

from kcore import tree
from kcore.graph.keras_tensor import any_keras_tensor
from kcore.graph.node import Node
from kcore.graph.spec import compute_output_spec
from kcore.naming import auto_name

_SERIALIZABLE = (str, int, float, bool, type(None))


class Operation:
    """Base class. A subclass writes `call(*args, **kwargs)`.

    Args:
        name: automatic if None; without '/'.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Operation:
        instance = super().__new__(cls)
        # What get_config returns where a subclass writes none.
        object.__setattr__(instance, "_init_arguments", (args, kwargs))
        return instance

    def __init__(self, name: str | None = None):
        if name is None:
            name = auto_name(type(self).__name__)
        if not isinstance(name, str) or "/" in name:
            raise ValueError(
                f"[{type(self).__name__}] expected name to be a string without '/', "
                f"received {name!r} of type {type(name).__name__}"
            )
        self._name = name
        self._inbound_nodes: list[Node] = []
        self._outbound_nodes: list[Node] = []

    @property
    def name(self) -> str:
        """The name, unique within a model."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; written by subclasses."""
        raise NotImplementedError(f"[{type(self).__name__}] expected a call() method, found none")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if any_keras_tensor(args, kwargs):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """The call on placeholders: KerasTensors of the outputs, and a node in the graph."""
        outputs = self._output_spec(*args, **kwargs)
        Node(self, args, kwargs, outputs)
        return outputs

    def _output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """`compute_output_spec` of what `call` will get; for subclasses that change arguments first."""
        return self.compute_output_spec(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """KerasTensors with the shapes and dtypes that `call` would return."""
        return compute_output_spec(self.call, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments. A subclass whose arguments are plain values need not write its own.

        Raises:
            NotImplementedError: an argument is neither a plain value nor serializable.
        """
        if not getattr(type(self).get_config, "is_default", False):
            return {"name": self.name}
        return self._config_from_arguments()

    get_config.is_default = True

    def _config_from_arguments(self) -> dict[str, Any]:
        args, kwargs = self._init_arguments
        signature = inspect.signature(type(self).__init__)
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        config: dict[str, Any] = {}
        for parameter in list(signature.parameters.values())[1:]:
            value = bound.arguments[parameter.name]
            if parameter.kind is parameter.VAR_KEYWORD:
                config.update(value)
            elif parameter.kind is parameter.VAR_POSITIONAL:
                if value:
                    raise self._no_config(value)
            else:
                config[parameter.name] = value
        if "name" in config:
            config["name"] = self.name
        return {key: self._serialize_argument(key, value) for key, value in config.items()}

    def _serialize_argument(self, key: str, value: Any) -> Any:
        if all(isinstance(leaf, _SERIALIZABLE) for leaf in tree.flatten(value)):
            return value
        if hasattr(value, "get_config"):
            from kcore.saving import serialize_keras_object  # saving stands above; only configs need it

            return serialize_keras_object(value)
        raise self._no_config(value)

    def _no_config(self, value: Any) -> NotImplementedError:
        name = type(self).__name__
        return NotImplementedError(
            f"[{name}] expected plain values (str, int, float, bool, None, and lists and dicts of them) as arguments of "
            f"`__init__`, received {value!r} of type {type(value).__name__}. Write `get_config()`: "
            "return {**super().get_config(), 'argument': self.argument}"
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Operation:
        """The inverse of get_config."""
        config = dict(config)
        dtype = config.get("dtype")
        if isinstance(dtype, dict) and "class_name" in dtype:
            from kcore import dtype_policies

            config["dtype"] = dtype_policies.deserialize(dtype)
        try:
            return cls(**config)
        except TypeError as error:
            raise TypeError(
                f"[{cls.__name__}] could not be made from its config. If `get_config` is overridden, `from_config` may "
                f"have to be, too. config={config}. {error}"
            ) from error

    @property
    def input(self) -> Any:
        """The KerasTensors it was called with; only where it was called once."""
        return self._one_node_attribute("input_tensors", "input")

    @property
    def output(self) -> Any:
        """The KerasTensors it returned; only where it was called once."""
        return self._one_node_attribute("output_tensors", "output")

    def _one_node_attribute(self, attribute: str, name: str) -> Any:
        if not self._inbound_nodes:
            raise AttributeError(f"The layer {self.name} has never been called and thus has no defined {name}.")
        if len(self._inbound_nodes) > 1:
            found = {tuple(id(t) for t in getattr(node, attribute)) for node in self._inbound_nodes}
            if len(found) > 1:
                raise AttributeError(
                    f"The layer {self.name!r} has multiple inbound nodes, hence the notion of '{name}' is ill-defined."
                )
        tensors = getattr(self._inbound_nodes[0], attribute)
        return tensors[0] if len(tensors) == 1 else tensors

    def __repr__(self) -> str:
        return f"<Operation name={self.name}>"
