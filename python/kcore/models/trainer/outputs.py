"""Matches what users nest by output (losses, metrics, targets, weights) with the outputs of a model."""

from __future__ import annotations

import difflib
from typing import Any

from kcore import tree
from kcore.autograd import Tensor, Variable


class Outputs:
    """The outputs of a model in order, and their names.

    Args:
        y_pred: what the model gave.
        output_names: names of the outputs of a Functional model; None for others.

    Attributes:
        names: one name for each output, None where there is no name (one output, or a subclassed model's list).
    """

    def __init__(self, y_pred: Any, output_names: list[str] | None):
        self.structure = tree.map_structure(lambda _: None, y_pred)
        paths = [path for path, _ in tree.flatten_with_path(y_pred)]
        self.count = len(paths)
        self.is_single = self.count == 1 and not isinstance(y_pred, dict)
        own = output_names if output_names and len(output_names) == self.count else [None] * self.count
        if isinstance(y_pred, dict):
            own = ["/".join(_part(key, name) for key in path) for path, name in zip(paths, own)]
        self._paths = ["/".join(map(str, path)) for path in paths]
        self.layer_names: list[str | None] = list(output_names or ())
        self.names: list[str | None] = own

    def spread(self, what: str, value: Any, is_leaf: Any, partial: bool = False) -> list:
        """`value`, nested as the outputs are (list, tuple or dict by name), as a list of one item per output.

        Args:
            what: name of the argument for errors.
            is_leaf: says which values are items; an item beside several outputs raises.
            partial: a dict may leave outputs out; they get None.
        """
        if is_leaf(value):
            if self.count == 1:
                return [value]
            raise ValueError(f"[{what}] expected one for each of the outputs {self._label()}, received {_short(value)}")
        if isinstance(value, dict):
            return self._from_dict(what, value, is_leaf, partial)
        flat = _flatten_until(value, is_leaf)
        if len(flat) != self.count:
            raise ValueError(
                f"[{what}] expected {self.count} items, for the outputs {self._label()}, received {len(flat)}: "
                f"{_short(value)}"
            )
        return flat

    def _from_dict(self, what: str, value: dict, is_leaf: Any, partial: bool) -> list:
        names: list = self.names
        if not set(value) <= set(names) and set(value) <= set(self.layer_names) and len(self.layer_names) == self.count:
            names = self.layer_names
        if None in names:
            if self.count == 1 and len(value) == 1:
                return _flatten_until(next(iter(value.values())), is_leaf)
            raise ValueError(
                f"[{what}] expected a list for outputs without names, received a dict with keys {list(value)}"
            )
        if any("/" in path for path in self._paths):  # nested outputs: a path is a name
            value = dict(_paths(value, is_leaf))
            names = self._paths
        for key in value:
            if key not in names:
                near = difflib.get_close_matches(str(key), names, n=1)
                hint = f"; did you mean '{near[0]}'?" if near else ""
                raise ValueError(f"[{what}] expected the names of outputs {names}, received '{key}'{hint}")
        missing = [name for name in names if name not in value]
        if missing and not partial:
            raise ValueError(f"[{what}] expected an entry for each of the outputs {names}, received none for {missing}")
        return [value.get(name) for name in names]

    def flatten_data(self, what: str, data: Any, partial: bool = False) -> list:
        """Targets or weights as a list of one tensor per output."""
        return self.spread(what, data, is_data, partial)

    def _label(self) -> Any:
        return [name if name is not None else i for i, name in enumerate(self.names)]


def _part(key: Any, name: str | None) -> str:
    """A key as part of a name: a place in a list goes by the name of its output."""
    return name if isinstance(key, int) and name is not None else str(key)


def _paths(value: Any, is_leaf: Any, path: str = "") -> list[tuple[str, Any]]:
    if is_leaf(value) and path:
        return [(path, value)]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [pair for key, child in items for pair in _paths(child, is_leaf, f"{path}/{key}" if path else str(key))]


def is_data(value: Any) -> bool:
    """Whether `value` is one tensor (or none), not a nest of them."""
    return value is None or isinstance(value, (Tensor, Variable)) or not tree.is_nested(value)


def _flatten_until(value: Any, is_leaf: Any) -> list:
    if is_leaf(value):
        return [value]
    if isinstance(value, dict):
        return [leaf for key in value for leaf in _flatten_until(value[key], is_leaf)]
    return [leaf for child in value for leaf in _flatten_until(child, is_leaf)]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."
