"""Model: a layer that can be trained, summarized and saved."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from kcore import tree
from kcore.graph import KerasTensor, compute_output_spec
from kcore.layers.layer import Layer
from kcore.models.trainer import Trainer


class Model(Trainer, Layer):
    """A model, made in one of three ways.

    - Functional: `Model(inputs, outputs)`, from KerasTensors, or nests (lists, dicts) of them.
    - Sequential: `Sequential([layers])`.
    - A subclass with layers made in `__init__` and a `call(inputs)`.

    Args:
        inputs, outputs: KerasTensors, for a Functional model.
        name: Automatic if None.
        trainable: Whether the weights are to be trained.

    Example:

    >>> import kcore
    >>> inputs = kcore.Input((3,))
    >>> outputs = inputs * 2
    >>> Model(inputs, outputs)(kcore.ops.ones((1, 3))).shape
    (1, 3)
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Model:
        if _is_functional_call(args, kwargs):
            from kcore.models.functional import Functional

            if cls is Model:
                return Functional.__new__(Functional, *args, **kwargs)
            _make_functional(cls)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any):
        if _is_functional_call(args, kwargs):
            from kcore.models.functional import Functional

            _make_functional(type(self))
            Functional.__init__(self, *args, **kwargs)
            return
        Layer.__init__(self, *args, **kwargs)
        Trainer.__init__(self)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; written by subclasses."""
        raise NotImplementedError(f"[{type(self).__name__}] expected a `call()` method, found none")

    @property
    def layers(self) -> list[Layer]:
        """The layers it is made of, not those inside them."""
        return list(self._flatten_layers(include_self=False, recursive=False))

    @layers.setter
    def layers(self, _: Any) -> None:
        raise AttributeError("`Model.layers` is reserved: it lists the layers. Use another name for the attribute.")

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or its place in `layers`.

        Raises:
            ValueError: there is no such layer, or both or none are given.
        """
        if name is not None and index is not None:
            raise ValueError(f"[get_layer] expected a name or an index, received both: {name!r} and {index}")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"[get_layer] expected an index below {len(layers)} (layers), received {index}")
            return layers[index]
        if name is None:
            raise ValueError("[get_layer] expected a layer name or index, received neither")
        for layer in layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in layers]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"[get_layer] expected one of {names}, received {name!r}{hint}")

    def build(self, input_shape: Any) -> None:
        """Creates the variables by running `call` on placeholders.

        Args:
            input_shape: A tuple with None for unknown sizes, or a list or dict of them for several inputs.
        """
        if self.built:
            return
        if not isinstance(input_shape, (tuple, list, dict)):
            raise ValueError(f"[{type(self).__name__}] expected an input shape, received {input_shape!r}")
        placeholders = tree.map_shape_structure(lambda shape: KerasTensor(shape, self.input_dtype), input_shape)
        arguments = self._call_signature().positional
        with self._scope():
            if isinstance(placeholders, (list, tuple)) and len(arguments) == len(placeholders) > 1:
                compute_output_spec(self.call, *placeholders)
            else:
                compute_output_spec(self.call, placeholders)
        self._build_shapes = {"input_shape": input_shape}
        self.built = True
        self._tracker.lock()

    build.is_default = True

    def _note_default_build(self, shapes: dict[str, Any]) -> None:
        # A model without a build of its own can be built again from the shapes of its first call.
        self._build_shapes = shapes

    def summary(
        self,
        line_length: int | None = None,
        positions: list[float] | None = None,
        print_fn: Callable | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: list[str] | tuple[str, str] | None = None,
    ) -> None:
        """Prints a table of the layers, their output shapes and numbers of parameters.

        Args:
            line_length: Width of the table in characters; None fits the terminal.
            positions: Where columns end, as fractions of the width.
            print_fn: Called with the text instead of printing it.
            expand_nested: Whether the layers of nested models are shown.
            show_trainable: Whether a column says which layers are trainable.
            layer_range: Names (or regular expressions) of the first and the last layer to show.
        """
        from kcore.models.summary import print_summary

        print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """The values of all variables, nested as their paths are.

        Args:
            value_format: "backend_tensor" for Tensors, "numpy_array" for NumPy arrays.

        Returns:
            A dict with "trainable_variables", "non_trainable_variables", "optimizer_variables", "metrics_variables".
        """
        if value_format not in ("backend_tensor", "numpy_array"):
            raise ValueError(
                f"[get_state_tree] expected value_format 'backend_tensor' or 'numpy_array', received {value_format!r}"
            )
        state: dict[str, Any] = {}
        for kind, variables in self._state_variables().items():
            state[kind] = {}
            for variable in variables:
                *scopes, name = variable.path.split("/")
                node = state[kind]
                for scope in scopes:
                    node = node.setdefault(scope, {})
                node[name] = variable.value if value_format == "backend_tensor" else variable.numpy()
        return state

    def set_state_tree(self, state_tree: dict[str, Any]) -> None:
        """The inverse of get_state_tree; kinds and variables that are left out stay as they are."""
        known = self._state_variables()
        for kind, nest in state_tree.items():
            if kind not in known:
                raise ValueError(f"[set_state_tree] expected keys among {sorted(known)}, received {kind!r}")
            values = {"/".join(map(str, path)): value for path, value in tree.flatten_with_path(nest)}
            for variable in known[kind]:
                if variable.path in values:
                    variable.assign(values.pop(variable.path))
            if values:
                raise ValueError(f"[set_state_tree] expected variables of the model, received {sorted(values)}")

    def _state_variables(self) -> dict[str, list]:
        optimizer = getattr(self, "optimizer", None)
        return {
            "trainable_variables": self.trainable_variables,
            "non_trainable_variables": self.non_trainable_variables,
            "optimizer_variables": list(optimizer.variables) if optimizer is not None else [],
            "metrics_variables": self.metrics_variables,
        }

    # --- files, all of them kcore.saving's ---------------------------------------------------------------------------

    def save(self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Saves the model with its weights and optimizer: `.keras`, or legacy `.h5`."""
        from kcore.saving import save_model

        save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Saves the weights: `.weights.h5`."""
        from kcore.saving import save_weights

        save_weights(self, filepath, overwrite=overwrite, **kwargs)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Loads weights from `.weights.h5`, `.keras` or legacy `.h5`."""
        from kcore.saving import load_weights

        load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def export(
        self,
        filepath: Any,
        format: str | None = None,
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Writes the model for inference as a program, which C++ applications run without Python, and
        `kcore.export.load` runs here. The file carries a self-test.

        Args:
            filepath: `NAME.kcore`.
            format: `"kcore"`, which is also the meaning of None where the name ends in `.kcore`.
            verbose: whether to print where it was written.
            input_signature: a list with what describes each input (InputSpec, KerasTensor, tensors or arrays, nests of
                them), by default the inputs that the model was built for. A first size of None is a free batch size.

        Raises:
            ValueError: another format; a size besides the batch is not fixed; what the model computes depends on the
                batch size in a way that a program cannot hold, and it is None.

        >>> import tempfile, os
        >>> model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2)])
        >>> path = os.path.join(tempfile.mkdtemp(), "model.kcore")
        >>> model.export(path)
        >>> kcore.export.load(path).inputs[0][1:]
        ('float32', (None, 3))
        """
        from kcore.export import export_model

        if (format or ("kcore" if str(filepath).endswith(".kcore") else None)) != "kcore" or kwargs:
            raise ValueError(
                f"[export] expected a path ending in .kcore, or format='kcore', and no further arguments, received "
                f"{str(filepath)!r}, format={format!r} and {sorted(kwargs)}; other formats are not written"
            )
        export_model(self, filepath, verbose=verbose, input_signature=input_signature)

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON, without weights; `models.model_from_json` reads it."""
        from kcore.saving import model_to_json

        return model_to_json(self, **kwargs)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The inverse of get_config."""
        from kcore.models.functional import Functional, functional_from_config, has_functional_constructor

        graph_keys = ("name", "layers", "input_layers", "output_layers")
        if all(key in config for key in graph_keys) and (cls in (Model, Functional) or has_functional_constructor(cls)):
            return functional_from_config(cls, config, custom_objects)
        return super().from_config(config)


def _is_functional_call(args: tuple, kwargs: dict) -> bool:
    return len(args) >= 2 or (len(args) == 1 and "outputs" in kwargs) or ("inputs" in kwargs and "outputs" in kwargs)


def _make_functional(cls: type) -> None:
    """Puts Functional in place of Model among the bases of a subclass that is made from inputs and outputs."""
    from kcore.models.functional import Functional

    if issubclass(cls, Functional) or cls is Model:
        return
    for base in cls.__bases__:
        if base is not Model and inspect.isclass(base) and issubclass(base, Model):
            _make_functional(base)
    cls.__bases__ = tuple(Functional if base is Model else base for base in cls.__bases__)
