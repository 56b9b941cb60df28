"""Building: when a layer's variables are made, for which shapes, and under which names."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

from kcore import tree
from kcore.autograd import Variable
from kcore.graph import symbolic_sizes
from kcore.layers.layer.call_signature import tensor_arguments
from kcore.naming import absolute_scope, current_path, name_scope


class Building:
    """The part of Layer that makes its variables: in `build`, which its first call calls with the shapes of its inputs."""

    def _init_building(self) -> None:
        self.built = False
        self._building = False
        self._build_shapes: dict | None = None
        self._path: str | None = None
        self._parent_path: str | None = None

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _recorded(cls.__dict__["build"])

    def build(self, input_shape: Any) -> None:
        """Creates the variables; the base class has none. Called with the input shape by the first call.

        Args:
            input_shape: Tuple with None for unknown sizes, or a list or dict of them like the inputs.
        """
        if not self.built and any(not layer.built for layer in self._layers):
            warnings.warn(
                f"`build()` was called on layer {self.name!r}, which has no `build()` method of its own but has "
                "sublayers that are not built. Implement `build()`, or call the layer on data.",
                stacklevel=2,
            )
        self.built = True

    build.is_default = True

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes that `build` was called with, None if it was not."""
        if self._build_shapes is None:
            return None
        if len(self._build_shapes) == 1:
            return {"input_shape": next(iter(self._build_shapes.values()))}
        return {"shapes_dict": dict(self._build_shapes)}

    def build_from_config(self, config: dict[str, Any] | None) -> None:
        """Builds with the shapes that get_build_config returned."""
        if not config:
            return
        if "input_shape" in config:
            self.build(_as_shape(config["input_shape"]))
        elif "shapes_dict" in config:
            self.build(**{key: _as_shape(value) for key, value in config["shapes_dict"].items()})

    def _maybe_build(self, arguments: dict[str, Any]) -> None:
        if self.built:
            return
        shapes = {f"{name}_shape": shapes_of(value) for name, value in tensor_arguments(arguments).items()}
        with self._scope():
            if getattr(type(self).build, "is_default", False):
                self._path = current_path()
                self._note_default_build(shapes)
                self.built = True
            else:
                self.build(**shapes_for(type(self).build, shapes))

    def _note_default_build(self, shapes: dict[str, Any]) -> None:
        """Called in place of `build` where there is none; for subclasses."""

    def _scope(self) -> Any:
        """The name scope of this layer: below the one it was first used in."""
        if self._parent_path is None:
            self._parent_path = current_path()
        return _Scope(self)

    @property
    def path(self) -> str | None:
        """The names of the scopes around it and its own, None before it is built."""
        return self._path

    def add_weight(
        self,
        shape: tuple | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """A new variable of this layer.

        Args:
            shape: Sizes, () if None.
            initializer: Initializer, name or function of (shape, dtype); None: glorot_uniform for floats, else zeros.
            dtype: None for the layer's variable dtype.
            trainable: Whether an optimizer may change it.
            autocast: Whether `call` gets it in the compute dtype of a mixed policy.
            aggregation, overwrite_with_gradient: Accepted for Keras's sake; there is one device.
            regularizer: Regularizer or name; its value is one of the layer's losses.
            constraint: Constraint or name, applied after each update.
            name: Last part of its path.
        """
        self._check_initialized()
        from kcore import constraints, initializers, regularizers

        shape = () if shape is None else tuple(shape) if isinstance(shape, (list, tuple)) else (shape,)
        if any(size is None for size in shape):
            raise ValueError(
                f"[add_weight] expected known sizes, received shape {shape} for variable {name!r} (layer {self.name!r})"
            )
        dtype = self.variable_dtype if dtype is None else dtype
        if initializer is None:
            initializer = "glorot_uniform" if "float" in str(dtype) else "zeros"
        with self._scope():
            variable = Variable(
                initializers.get(initializer),
                shape=shape,
                dtype=dtype,
                trainable=trainable,
                autocast=autocast,
                name=name,
            )
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        self._track_variable(variable)
        return variable

    def add_variable(self, shape: tuple, initializer: Any, dtype: Any = None, **kwargs: Any) -> Variable:
        """Another name of add_weight."""
        return self.add_weight(shape=shape, initializer=initializer, dtype=dtype, **kwargs)


class _Scope:
    """Opens the layer's own name scope below the path it was first used in."""

    def __init__(self, layer: Building):
        self.layer = layer
        self.inner = None

    def __enter__(self) -> None:
        layer = self.layer
        path = f"{layer._parent_path}/{layer.name}" if layer._parent_path else layer.name
        if current_path() in (layer._parent_path, path):
            self.inner = name_scope(layer.name, caller=layer)
        else:  # used again elsewhere (a sublayer built late): its variables stay where it belongs
            self.inner = absolute_scope(path, caller=layer)
        self.inner.__enter__()

    def __exit__(self, *exc: Any) -> None:
        self.inner.__exit__(*exc)


def _recorded(build: Callable) -> Callable:
    """`build` that opens the layer's name scope, notes the shapes and marks the layer as built."""
    if getattr(build, "is_recorded", False):
        return build
    signature = inspect.signature(build)

    @wraps(build)
    def wrapper(self: Building, *args: Any, **kwargs: Any) -> None:
        if self._building:  # super().build()
            return build(self, *args, **kwargs)
        self._building = True
        try:
            with self._scope():
                self._path = current_path()
                build(self, *args, **kwargs)
        finally:
            self._building = False
        bound = dict(signature.bind(self, *args, **kwargs).arguments)
        bound.pop(next(iter(signature.parameters)))
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                bound.update(bound.pop(parameter.name, {}))
        self._build_shapes = bound
        self.built = True
        self._tracker.lock()
        return None

    wrapper.is_recorded = True
    return wrapper


def shapes_for(function: Callable, shapes: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `build` or `compute_output_shape`: by name, or the first shape where there is one parameter."""
    parameters = [
        p for p in list(inspect.signature(function).parameters.values())[1:] if p.kind is not p.VAR_POSITIONAL
    ]
    named = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
    if len(named) == 1 or (named and named[0].name == "input_shape"):
        return {named[0].name: next(iter(shapes.values()), None)}
    if len(named) < len(parameters):
        return shapes
    names = {p.name for p in named}
    return {key: value for key, value in shapes.items() if key in names}


def shapes_of(value: Any) -> Any:
    """The shapes of tensors, in their structure; while shapes are inferred, None where a size stands for it."""
    unknown = symbolic_sizes()

    def shape(x: Any) -> Any:
        return None if x is None else tuple([None if size in unknown else size for size in x.shape])

    return tree.map_structure(shape, value)


def _as_shape(value: Any) -> Any:
    """A shape from a config: lists (JSON has no tuples) as tuples."""
    return tree.map_shape_structure(tuple, value) if isinstance(value, (list, tuple, dict)) else value
