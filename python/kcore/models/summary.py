"""The table that `model.summary()` prints: layers, output shapes, numbers of parameters."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np

from kcore import tree
from kcore.autograd.dtype import numpy_dtype
from kcore.layers.layer import Layer


def print_summary(
    model: Any,
    line_length: int | None,
    positions: list[float] | None,
    print_fn: Callable | None,
    expand_nested: bool,
    show_trainable: bool,
    layer_range: Any,
) -> None:
    """See Model.summary."""
    from kcore.models.functional import Functional
    from kcore.models.sequential import Sequential

    functional = isinstance(model, Functional) and "_operations" in model.__dict__
    branches = functional and not _is_chain(model)
    width = line_length or min(shutil.get_terminal_size((80, 24)).columns - 4, 88)
    headers = ["Layer (type)", "Output Shape", "Param #"]
    ends = [0.3, 0.56, 0.74, 1.0] if branches else [0.45, 0.80, 1.0]
    if branches:
        headers.append("Connected to")
    if positions is not None:
        ends = [p / width if p > 1 else p for p in positions]
    if show_trainable:
        headers.append("Trainable")
        ends = [end * 0.9 for end in ends] + [1.0] if positions is None or len(ends) < len(headers) else ends

    def rows(layers: list, depth: int) -> list[list[str]]:
        found = []
        for layer in layers:
            found.append(_row(layer, model, depth, branches, show_trainable))
            if expand_nested and isinstance(layer, (Functional, Sequential)):
                found.extend(rows(_shown(layer), depth + 1))
        return found

    layers = _between(_shown(model), layer_range)
    text = f'Model: "{model.name}"\n{_table(headers, rows(layers, 0), ends, width)}{_totals(model)}'
    if print_fn is None:
        print(text)
    else:
        print_fn(text + "\n")


def _shown(model: Any) -> list:
    """Operations of a graph (ops included); the layers of any other model."""
    from kcore.models.functional import Functional

    if isinstance(model, Functional) and "_operations" in model.__dict__:
        return model.operations
    return model.layers


def _is_chain(model: Any) -> bool:
    """Whether every operation of a graph has one input and one output: nothing to show in `Connected to`."""
    for nodes in model._nodes_by_depth.values():
        if len(nodes) > 1 or len({id(parent) for parent in nodes[0].parent_nodes}) > 1:
            return False
        if len(nodes[0].input_tensors) > 1:
            return False
    counts = [sum(node is n for nodes in model._nodes_by_depth.values() for n in nodes for node in op._inbound_nodes)
              for op in model.operations]  # fmt: skip
    return all(count <= 1 for count in counts)


def _row(layer: Any, model: Any, depth: int, branches: bool, show_trainable: bool) -> list[str]:
    is_layer = isinstance(layer, Layer)
    name = f"{'   ' * depth}{'└ ' if depth else ''}{layer.name} ({type(layer).__name__})"
    if not is_layer:
        params = "0"
    elif layer.built:
        params = f"{layer.count_params():,}"
    elif type(layer).build is Layer.build and not layer._layers:
        params = "0"
    else:
        params = "0 (unbuilt)"
    row = [name, _output_shape(layer), params]
    if branches:
        row.append(_connections(layer, model))
    if show_trainable:
        has_weights = is_layer and bool(layer.weights)
        row.append(("Y" if layer.trainable else "N") if has_weights else "-")
    return row


def _output_shape(layer: Any) -> str:
    if layer._inbound_nodes:
        shapes = [tensor.shape for tensor in layer._inbound_nodes[0].outputs]
    elif getattr(layer, "_build_shapes", None) and getattr(layer, "built", False):
        try:
            shape = layer.compute_output_shape(**_renamed(layer))
        except Exception:  # a layer whose shape cannot be told is shown without one
            return "?"
        shapes = _flat_shapes(shape)
    else:
        return "?"
    texts = [f"({', '.join(map(str, shape))})" for shape in shapes]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _renamed(layer: Any) -> dict[str, Any]:
    shapes = dict(layer._build_shapes)
    return {"input_shape": next(iter(shapes.values()))} if len(shapes) == 1 else shapes


def _flat_shapes(shape: Any) -> list:
    found: list = []
    tree.map_shape_structure(found.append, shape)
    return found


def _connections(layer: Any, model: Any) -> str:
    kept = {id(node) for nodes in model._nodes_by_depth.values() for node in nodes}
    found = []
    for node in layer._inbound_nodes:
        if id(node) in kept:
            for tensor in node.input_tensors:
                history = tensor.keras_history
                found.append(f"{history.operation.name}[{history.node_index}][{history.tensor_index}]")
    return ", ".join(found) or "-"


def _between(layers: list, layer_range: Any) -> list:
    if layer_range is None:
        return layers
    if len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise ValueError(f"[summary] expected layer_range to be two names, received {layer_range!r}")

    def find(pattern: str, indices: range) -> int:
        for index in indices:
            if re.match(pattern, layers[index].name):
                return index
        names = [layer.name for layer in layers]
        raise ValueError(f"[summary] expected layer_range to match layers of {names}, received {pattern!r}")

    first = find(layer_range[0], range(len(layers)))
    last = find(layer_range[1], range(len(layers) - 1, -1, -1))
    return layers[min(first, last) : max(first, last) + 1]


def _table(headers: list[str], rows: list[list[str]], ends: list[float], width: int) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    edges = [0, *(int(end * width) for end in ends)]
    table = Table(box=box.HEAVY_HEAD, show_lines=True, header_style="")
    last = len(headers) - 1
    for index, header in enumerate(headers):
        # One border per column and one at the left end; the column before the last pays for that one.
        inner = edges[index + 1] - edges[index] - (4 if index == last - 1 else 3)
        justify = {"Param #": "right", "Trainable": "center"}.get(header, "left")
        table.add_column(Text(header, justify=justify), justify=justify, width=max(inner, 1))
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    stream = io.StringIO()
    # Color would be noise in files, and the text is also handed to print_fn.
    Console(file=stream, width=max(width, 20), force_terminal=False, color_system=None, highlight=False).print(table)
    return stream.getvalue()


def _totals(model: Any) -> str:
    trainable = _count(model.trainable_weights)
    non_trainable = _count(model.non_trainable_weights)
    optimizer = getattr(model, "optimizer", None)
    state = list(optimizer.variables) if optimizer is not None and getattr(optimizer, "built", False) else []
    extra = _count(state)
    total = tuple(sum(parts) for parts in zip(trainable, non_trainable, extra))
    lines = [
        f" Total params: {_size(*total)}",
        f" Trainable params: {_size(*trainable)}",
        f" Non-trainable params: {_size(*non_trainable)}",
    ]
    if state:
        lines.append(f" Optimizer params: {_size(*extra)}")
    return "\n".join(lines)


def _count(variables: list) -> tuple[int, int]:
    """The numbers of elements and of bytes."""
    sizes = [int(np.prod(v.shape, dtype=np.int64)) for v in variables]
    return sum(sizes), sum(n * numpy_dtype(str(v.dtype)).itemsize for n, v in zip(sizes, variables))


def _size(count: int, size: float) -> str:
    units = ["B", "KB", "MB", "GB", "TB", "PB"]
    unit = 0
    while size >= 1024 and unit < len(units) - 1:
        size /= 1024
        unit += 1
    return f"{count:,} ({size:.2f} {units[unit]})"
