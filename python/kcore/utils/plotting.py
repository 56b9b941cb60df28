"""Diagrams of models, drawn by graphviz. Needs pydot, which is imported when used, and the `dot` program."""

from __future__ import annotations

import os
from typing import Any


def _pydot(what: str) -> Any:
    try:
        import pydot
    except ImportError as e:
        raise ImportError(f"[{what}] expected pydot to be installed, received {e}; run `pip install pydot`") from e
    return pydot


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Any:
    """The diagram of a model as a `pydot.Dot` (or `pydot.Cluster`): a box per layer, an arrow per tensor.

    Args:
        model: a built model.
        show_shapes: write the shapes of inputs and outputs into the boxes.
        show_dtype: write the dtype of the output.
        show_layer_names: write the layers' names.
        rankdir: `"TB"` downwards or `"LR"` to the right.
        expand_nested: draw the layers of nested models, in a frame.
        dpi: dots per inch of pictures made from it.
        subgraph: return a frame to be put into another diagram.
        show_layer_activations: write the names of activations.
        show_trainable: mark layers as trainable or not.
        splines: graphviz's way to draw arrows.

    Raises:
        ImportError: pydot is missing.
        ValueError: the model is not built.
    """
    pydot = _pydot("model_to_dot")
    if not getattr(model, "built", True):
        raise ValueError(f"[model_to_dot] expected a built model, received '{model.name}'; call it on some data first")
    options = {
        "show_shapes": show_shapes,
        "show_dtype": show_dtype,
        "show_layer_names": show_layer_names,
        "show_layer_activations": show_layer_activations,
        "show_trainable": show_trainable,
    }
    if subgraph:
        graph = pydot.Cluster(graph_name=_id(model), label=_quote(model.name), style="dashed")
    else:
        graph = pydot.Dot(rankdir=rankdir, dpi=dpi, splines=splines, bgcolor="white")
        graph.set_node_defaults(shape="box", style="rounded", fontname="Helvetica")
    _draw(pydot, graph, model, expand_nested, options)
    return graph


def _draw(pydot: Any, graph: Any, model: Any, expand: bool, options: dict[str, bool]) -> None:
    for layer in model.layers:
        if expand and getattr(layer, "layers", None) and hasattr(layer, "inputs"):
            graph.add_subgraph(model_to_dot(layer, expand_nested=True, subgraph=True, **options))
        else:
            graph.add_node(pydot.Node(_id(layer), label=_label(layer, **options)))
    for source, target in _edges(model):
        tail, head = _ends(source, expand, last=True), _ends(target, expand, last=False)
        graph.add_edge(pydot.Edge(_id(tail), _id(head)))


def _edges(model: Any) -> list[tuple[Any, Any]]:
    """(producer, consumer) of every tensor inside the model; a chain where the layers keep no graph."""
    members = {id(layer) for layer in model.layers}
    own = {id(node) for nodes in getattr(model, "_nodes_by_depth", {}).values() for node in nodes}
    edges: list[tuple[Any, Any]] = []
    for layer in model.layers:
        for node in getattr(layer, "_inbound_nodes", []):
            if own and id(node) not in own:
                continue
            for tensor in getattr(node, "input_tensors", []):
                source = tensor._keras_history[0]
                if id(source) in members and (source, layer) not in edges:
                    edges.append((source, layer))
    return edges or list(zip(model.layers, model.layers[1:], strict=False))


def _ends(layer: Any, expand: bool, last: bool) -> Any:
    """The layer at which an arrow ends: inside a nested model that is drawn open, its first or last one."""
    while expand and getattr(layer, "layers", None) and hasattr(layer, "inputs"):
        layer = layer.layers[-1 if last else 0]
    return layer


def _id(layer: Any) -> str:
    return str(id(layer))


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _label(
    layer: Any,
    show_shapes: bool,
    show_dtype: bool,
    show_layer_names: bool,
    show_layer_activations: bool,
    show_trainable: bool,
) -> str:
    name = type(layer).__name__
    lines = [f"{layer.name} ({name})" if show_layer_names else name]
    activation = getattr(layer, "activation", None)
    if show_layer_activations and activation is not None:
        lines.append(f"activation: {getattr(activation, '__name__', activation)}")
    if show_shapes:
        lines += [f"{side}: {shape}" for side in ("input", "output") if (shape := _shape(layer, side))]
    if show_dtype:
        lines.append(f"dtype: {getattr(layer, 'dtype', '?')}")
    if show_trainable and layer.weights:
        lines.append("trainable" if layer.trainable else "not trainable")
    return _quote("\n".join(lines)).replace("\n", "\\n")


def _shape(layer: Any, side: str) -> str:
    try:
        value = getattr(layer, side)
    except Exception:  # a layer called several times, or never symbolically, has no single input
        return ""
    values = value if isinstance(value, (list, tuple)) else [value]
    return ", ".join(str(tuple(v.shape)) for v in values)


def plot_model(
    model: Any,
    to_file: str | os.PathLike = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> None:
    """Draws a model into a file; its ending names the format (png, svg, pdf, dot, ...).

    The arguments are those of `model_to_dot`.

    Raises:
        ImportError: pydot is missing.
        RuntimeError: the `dot` program of graphviz is missing.
    """
    path = os.fspath(to_file)
    dot = model_to_dot(
        model,
        show_shapes=show_shapes,
        show_dtype=show_dtype,
        show_layer_names=show_layer_names,
        rankdir=rankdir,
        expand_nested=expand_nested,
        dpi=dpi,
        show_layer_activations=show_layer_activations,
        show_trainable=show_trainable,
        splines=splines,
    )
    extension = os.path.splitext(path)[1][1:] or "png"
    if extension in ("dot", "gv"):  # plain text, no graphviz needed
        with open(path, "w", encoding="utf-8") as file:
            file.write(dot.to_string())
        return
    try:
        dot.write(path, format=extension)
    except (OSError, AssertionError) as e:
        raise RuntimeError(
            f"[plot_model] expected the program `dot` of graphviz, received {e}; install graphviz "
            "(apt install graphviz, brew install graphviz), or write to a file ending in .dot"
        ) from e
