"""Finds activations, losses, ... by name, by config or as given: what their get, serialize and deserialize share."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping

from kcore.naming import to_snake_case
from kcore.saving import deserialize_keras_object, get_registered_object, serialize_keras_object


class Lookup:
    """The members of one namespace.

    Args:
        kind: what a member is called in errors ("loss").
        members: classes and functions by name; a class is found by the snake case of its name as well.
        default: what `get(None)` gives.
    """

    def __init__(self, kind: str, members: Mapping[str, type | Callable], default: Callable | None = None):
        self.kind = kind
        self.default = default
        self.members = dict(members)
        for name, member in members.items():
            if inspect.isclass(member):
                self.members.setdefault(to_snake_case(name), member)

    def find(self, name: str) -> type | Callable:
        """The class or function called `name`, here or among the registered custom objects; else ValueError."""
        if name in self.members:
            return self.members[name]
        custom = get_registered_object(name)
        if custom is not None:
            return custom
        close = difflib.get_close_matches(name, self.members, n=1, cutoff=0.5)
        hint = f'; did you mean "{close[0]}"?' if close else ""
        raise ValueError(f'[{self.kind}] unknown {self.kind} "{name}"{hint}')

    def get(self, identifier):
        """A member from None, a name, a config, a class or the thing itself."""
        if identifier is None:
            return self.default
        found = identifier
        if isinstance(identifier, dict):
            found = self.deserialize(identifier)
        elif isinstance(identifier, str):
            found = self.find(identifier)
        if inspect.isclass(found):
            return found()
        if callable(found):
            return found
        raise ValueError(
            f"[{self.kind}] expected a name, a config or a callable, received {identifier!r} of type "
            f"{type(identifier).__name__}"
        )

    def deserialize(self, config, custom_objects: dict | None = None):
        """A member from what `serialize` gave, or from its name."""
        if isinstance(config, str) and not (custom_objects and config in custom_objects):
            found = self.find(config)
            return found() if inspect.isclass(found) else found
        return deserialize_keras_object(config, custom_objects=custom_objects, module_objects=self.members)

    def serialize(self, member):
        """The config of a member: a dict that `deserialize` and Keras's files understand."""
        return serialize_keras_object(member)
