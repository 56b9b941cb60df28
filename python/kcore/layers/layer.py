"""Layer: state (variables and sublayers) and a computation; the base class of everything a model is made of."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import numpy as np

from kcore import dtype_policies, tree
from kcore.autograd import Tensor, Variable, convert_to_tensor
from kcore.autograd.dtype import holds_numbers, is_floating
from kcore.autograd.variable import autocast as variables_autocast
from kcore.graph import KerasTensor, Node, Operation, any_keras_tensor, compute_output_spec, symbolic_sizes
from kcore.layers.call_signature import TENSORS, CallSignature, context, tensor_arguments
from kcore.layers.input_spec import assert_input_compatibility
from kcore.layers.state import State
from kcore.naming import absolute_scope, current_path, name_scope

_ADDED = "_layer_named"  # marks an exception whose message already names the layer


class Layer(State, Operation):
    """Base class of layers.

    A subclass creates sublayers in `__init__`, variables in `build(input_shape)` with `add_weight`, and computes in
    `call(inputs)`. It is built by its first call. `build` may have one parameter (the shape of the first argument of
    `call`) or one per tensor argument, named after it (`query_shape`, `value_shape`).

    Args:
        activity_regularizer: Regularizer (or its name) of the outputs; its value is added to the losses.
        trainable: Whether the variables are to be trained.
        dtype: Name of a dtype or a DTypePolicy; None for the global policy.
        autocast: Whether float inputs are cast to the compute dtype.
        name: Unique within a model, automatic if None.

    Example:

    >>> import kcore
    >>> class Scale(kcore.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.scale = self.add_weight(shape=input_shape[-1:], initializer="ones", name="scale")
    ...     def call(self, inputs):
    ...         return inputs * self.scale
    >>> Scale()(kcore.ops.ones((2, 3))).shape
    (2, 3)
    """

    _convert_input_args = True
    _allow_non_tensor_positional_args = False

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        self._init_state(trainable)
        Operation.__init__(self, name=name)
        self.activity_regularizer = None
        if activity_regularizer is not None:
            from kcore import regularizers

            self.activity_regularizer = regularizers.get(activity_regularizer)
        self._input_shape_arg = _input_shape_argument(kwargs)
        if kwargs:
            raise ValueError(_unknown_arguments(type(self), kwargs))
        self._dtype_policy = dtype_policies.get(dtype)
        self.autocast = bool(autocast)
        self.input_spec = None
        self.supports_masking = False
        self.built = False
        self._building = False
        self._build_shapes: dict | None = None
        self._path: str | None = None
        self._parent_path: str | None = None

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _recorded(cls.__dict__["build"])

    # --- building ---------------------------------------------------------------------------------------------------

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
        shapes = {f"{name}_shape": _shapes(value) for name, value in tensor_arguments(arguments).items()}
        with self._scope():
            if getattr(type(self).build, "is_default", False):
                self._path = current_path()
                self._note_default_build(shapes)
                self.built = True
            else:
                self.build(**_shapes_for(type(self).build, shapes))

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

    # --- variables --------------------------------------------------------------------------------------------------

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

    # --- dtypes -----------------------------------------------------------------------------------------------------

    @property
    def dtype_policy(self) -> dtype_policies.DTypePolicy:
        """In which dtypes it computes and keeps its variables."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        self._dtype_policy = dtype_policies.get(value)

    @property
    def dtype(self) -> str:
        """Alias of variable_dtype."""
        return self.variable_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of its weights."""
        return self._dtype_policy.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The dtype it computes in."""
        return self._dtype_policy.compute_dtype

    @property
    def input_dtype(self) -> str:
        """The dtype that float inputs are cast to."""
        return self._dtype_policy.compute_dtype

    # --- calling ----------------------------------------------------------------------------------------------------

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation. May take `training` and `mask` (or `NAME_mask` for each of several tensor arguments)."""
        raise NotImplementedError(f"[{type(self).__name__}] expected a `call()` method, found none")

    def stateless_call(
        self,
        trainable_variables: list,
        non_trainable_variables: list,
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> tuple:
        """The call with other values in place of the variables', which stay as they are.

        Args:
            trainable_variables, non_trainable_variables: Values in the order of the properties of these names.
            return_losses: Whether the losses are returned, too.

        Returns:
            The outputs, the values of the non-trainable variables after the call, and the losses if wanted.
        """
        variables = self.trainable_variables + self.non_trainable_variables
        values = [*trainable_variables, *non_trainable_variables]
        if len(values) != len(variables):
            raise ValueError(f"[stateless_call] expected {len(variables)} values, received {len(values)}")
        before = [variable.value for variable in variables]
        try:
            for variable, value in zip(variables, values):
                variable.assign(value)
            outputs = self(*args, **kwargs)
            after = [variable.value for variable in self.non_trainable_variables]
            losses = self.losses if return_losses else None
        finally:
            for variable, value in zip(variables, before):
                variable.assign(value)
        return (outputs, after, losses) if return_losses else (outputs, after)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._check_initialized()
        signature = self._call_signature()
        outer_training, outer_autocast = context.training, variables_autocast.dtype
        if context.depth == 0:
            context.number += 1
        context.depth += 1
        try:
            if self._convert_input_args:
                args = tuple([self._convert(arg) for arg in args])
                kwargs = {key: self._convert(value) for key, value in kwargs.items()}
            if not self._allow_non_tensor_positional_args:
                self._check_positional(args)
            arguments = signature.bind(args, kwargs)
            first = next(iter(arguments.values()), None)
            self._check_inputs(first)
            self._maybe_build(arguments)

            symbolic = any_keras_tensor(args, kwargs)
            noted = kwargs if not symbolic or self._notes_all_arguments(args, kwargs) else dict(kwargs)
            self._fill_in_training(signature, arguments, kwargs)
            self._fill_in_masks(signature, arguments, kwargs)
            mask = kwargs.get("mask")
            if mask is None:  # noted now, for MultiHeadAttention takes the masks of its inputs away
                mask = tree.map_structure(_mask_of, first)

            self.__dict__["_call_number"] = context.number  # not an attribute to look for state in
            run = partial(self._call_on_placeholders, noted) if symbolic else self.call
            variables_autocast.dtype = self._dtype_policy.autocast_dtype(outer_autocast, self.autocast)
            if self._called:
                outputs = run(*args, **kwargs)
            else:
                with self._scope():  # sublayers may be built on the way
                    outputs = run(*args, **kwargs)
                self._called = True
                self._tracker.lock()
            if self.activity_regularizer is not None:
                for output in tree.flatten(outputs):
                    if isinstance(output, Tensor):  # per sample, so that its strength does not depend on the batch
                        self.add_loss(self.activity_regularizer(output) / (output.shape[0] if output.shape else 1))
            self._set_output_masks(first, mask, outputs)
            return outputs
        except Exception as error:
            _name_layer(error, self.name)
            raise
        finally:
            context.depth -= 1
            context.training = outer_training
            variables_autocast.dtype = outer_autocast

    def _call_on_placeholders(self, noted: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        outputs = self._output_spec(*args, **kwargs)
        Node(self, args, noted, outputs)
        return outputs

    def _notes_all_arguments(self, args: tuple, kwargs: dict[str, Any]) -> bool:
        """Whether the graph is to hold the mask and `training` that a call fills in, or only what it was given.

        As in Keras, whose files hold them for calls on one tensor of the layer's own dtype. Other calls fill them in
        again when the model runs, or is read from a file.
        """
        if not self._convert_input_args:
            return True
        if kwargs or len(args) != 1 or not isinstance(args[0], KerasTensor):
            return False
        return args[0].dtype == self._input_array_dtype()

    def _call_signature(self) -> CallSignature:
        own = self.__dict__.get("call")
        if own is not None:  # replaced on the instance
            return CallSignature(own, skip=0)
        cls = type(self)
        if "_signature" not in cls.__dict__:
            cls._signature = CallSignature(
                cls.call, skip=0 if isinstance(cls.__dict__.get("call"), staticmethod) else 1
            )
        return cls._signature

    def _convert(self, value: Any) -> Any:
        if isinstance(value, (list, tuple, dict)):
            return tree.map_structure(self._convert, value)
        if isinstance(value, KerasTensor):
            return value  # cast where its shape is inferred, and again when the model runs
        if isinstance(value, (Tensor, Variable, np.ndarray, np.generic)) or hasattr(value, "__array__"):
            if isinstance(value, np.ndarray) and not holds_numbers(value.dtype):
                raise TypeError(f"[{type(self).__name__}] expected numbers, received a NumPy array of {value.dtype}")
            tensor = convert_to_tensor(value)
            cast = self._cast(tensor)
            if cast is not tensor and tensor.keras_mask is not None:
                cast.keras_mask = tensor.keras_mask
            return cast
        return value

    def _cast(self, x: Any) -> Any:
        dtype = self._input_array_dtype()
        if not self.autocast or x.dtype == dtype or not is_floating(x.dtype) or not is_floating(dtype):
            return x
        return KerasTensor(x.shape, dtype) if isinstance(x, KerasTensor) else convert_to_tensor(x, dtype)

    def _input_array_dtype(self) -> str:
        """`input_dtype` as arrays have it."""
        return self._dtype_policy.array_dtype

    def _check_positional(self, args: tuple) -> None:
        for arg in tree.flatten(args):
            if not isinstance(arg, TENSORS) and arg is not None:
                raise ValueError(
                    f"[{type(self).__name__}] expected tensors as positional arguments, received {arg!r} of type "
                    f"{type(arg).__name__}; pass it by keyword"
                )
        if args and args[0] is None:
            raise ValueError(f"[{type(self).__name__}] expected tensors as inputs, received None")

    def _check_inputs(self, inputs: Any) -> None:
        if self.input_spec is not None:
            assert_input_compatibility(self.input_spec, inputs, self.name)

    def _fill_in_training(self, signature: CallSignature, arguments: dict, kwargs: dict) -> None:
        """`training` is what was passed, else that of the call around this one, else the default of `call`."""
        if "training" in arguments:
            context.training = arguments["training"]
            return
        if context.training is None:
            context.training = signature.defaults.get("training")
        if context.training is not None and signature.accepts("training"):
            kwargs["training"] = context.training

    def _fill_in_masks(self, signature: CallSignature, arguments: dict, kwargs: dict) -> None:
        tensors = tensor_arguments(arguments)
        if len(tensors) == 1:
            if (
                signature.accepts("mask")
                and arguments.get("mask") is None
                and ("mask" in kwargs or "mask" not in arguments)
            ):
                kwargs["mask"] = tree.map_structure(_mask_of, next(iter(tensors.values())))
            return
        for name, value in tensors.items():
            mask_name = f"{name}_mask"
            if signature.accepts(mask_name) and arguments.get(mask_name) is None and _has_mask(value):
                kwargs[mask_name] = tree.map_structure(_mask_of, value)

    def _set_output_masks(self, inputs: Any, mask: Any, outputs: Any) -> None:
        if self.supports_masking:
            flat = [output for output in tree.flatten(outputs) if isinstance(output, TENSORS)]
            if all(output.keras_mask is not None for output in flat):
                return
            masks = self.compute_mask(inputs, mask)
            if masks is not None:
                for output, mask in zip(tree.flatten(outputs), tree.flatten(masks)):
                    if mask is not None and isinstance(output, TENSORS) and output.keras_mask is None:
                        output.keras_mask = mask
        elif _has_mask(inputs) and not _has_mask(outputs):
            warnings.warn(
                f"Layer {self.name!r} (of type {type(self).__name__}) was passed an input with a mask attached to it. It "
                "does not support masking, so the layers after it will not see the mask.",
                stacklevel=3,
            )

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the outputs; that of the inputs unless overridden. Used where `supports_masking` is True."""
        return previous_mask

    # --- shapes without data ----------------------------------------------------------------------------------------

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """KerasTensors of the outputs for KerasTensor inputs."""
        if getattr(type(self).compute_output_shape, "is_default", False):
            return compute_output_spec(self._call_cast, *args, **kwargs)
        tensors = tensor_arguments(self._call_signature().bind(args, kwargs))
        shapes = {f"{name}_shape": _shapes(value) for name, value in tensors.items()}
        shape = self.compute_output_shape(**_shapes_for(type(self).compute_output_shape, shapes))
        dtype = self._dtype_policy.array_dtype
        return tree.map_shape_structure(lambda s: KerasTensor(s, dtype), shape)

    def _output_spec(self, *args: Any, **kwargs: Any) -> Any:
        def cast(x: Any) -> Any:
            if not isinstance(x, KerasTensor):
                return x
            y = self._cast(x)
            if y is not x:
                y.keras_mask = x.keras_mask
            return y

        if self._convert_input_args:
            args, kwargs = tree.map_structure(cast, (args, kwargs))
        return self.compute_output_spec(*args, **kwargs)

    def _call_cast(self, *args: Any, **kwargs: Any) -> Any:
        if self._convert_input_args:
            args = tuple([self._convert(arg) for arg in args])
            kwargs = {key: self._convert(value) for key, value in kwargs.items()}
        outer = variables_autocast.dtype
        variables_autocast.dtype = self._dtype_policy.autocast_dtype(outer, self.autocast)
        try:
            return self.call(*args, **kwargs)
        finally:
            variables_autocast.dtype = outer

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shape of the outputs (a tuple, or a nest of tuples) for the shapes of the inputs; None stays None.

        Written from `call` by itself; overridden where `call` does what cannot be followed without data.
        """
        layer = self
        if not self.built and not getattr(type(self).build, "is_default", False):
            layer = type(self).from_config(self.get_config())  # shapes are asked for before the variables are wanted
        dtype = self._dtype_policy.array_dtype

        def placeholders(shapes: Any) -> Any:
            return tree.map_shape_structure(lambda shape: KerasTensor(shape, dtype), shapes)

        positional = [placeholders(shape) for shape in args]
        if "input_shape" in kwargs:
            positional.insert(0, placeholders(kwargs.pop("input_shape")))
        named = {key.removesuffix("_shape"): placeholders(shapes) for key, shapes in kwargs.items()}
        layer._maybe_build(layer._call_signature().bind(tuple(positional), named))
        return tree.map_structure(lambda x: x.shape, compute_output_spec(layer._call_cast, *positional, **named))

    compute_output_shape.is_default = True

    # --- configuration ----------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; a subclass adds its own: `{**super().get_config(), "units": self.units}`."""
        self._check_initialized()
        config = super().get_config()
        config["trainable"] = self.trainable
        config["dtype"] = dtype_policies.serialize(self._dtype_policy)
        if self.activity_regularizer is not None:
            from kcore import regularizers

            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    get_config.is_default = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.__dict__.get('_name')}, built={self.__dict__.get('built')}>"


class _Scope:
    """Opens the layer's own name scope below the path it was first used in."""

    def __init__(self, layer: Layer):
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
    def wrapper(self: Layer, *args: Any, **kwargs: Any) -> None:
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


def _shapes_for(function: Callable, shapes: dict[str, Any]) -> dict[str, Any]:
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


def _shapes(value: Any) -> Any:
    """The shapes of tensors, in their structure; while shapes are inferred, None where a size stands for it."""
    unknown = symbolic_sizes()

    def shape(x: Any) -> Any:
        return None if x is None else tuple([None if size in unknown else size for size in x.shape])

    return tree.map_structure(shape, value)


def _as_shape(value: Any) -> Any:
    """A shape from a config: lists (JSON has no tuples) as tuples."""
    return tree.map_shape_structure(tuple, value) if isinstance(value, (list, tuple, dict)) else value


def _mask_of(x: Any) -> Any:
    return getattr(x, "keras_mask", None)


def _has_mask(x: Any) -> bool:
    return any(_mask_of(leaf) is not None for leaf in tree.flatten(x))


def _name_layer(error: Exception, name: str) -> None:
    """Adds `(layer "name")` to the message: that of the innermost layer, once."""
    if getattr(error, _ADDED, False) or not error.args or not isinstance(error.args[0], str):
        return
    if not isinstance(error, (ValueError, TypeError, NotImplementedError, RuntimeError, IndexError, AttributeError)):
        return
    try:
        setattr(error, _ADDED, True)
    except AttributeError:
        return
    if f'"{name}"' not in error.args[0] and f"{name!r}" not in error.args[0]:
        error.args = (f'{error.args[0]} (layer "{name}")', *error.args[1:])


def _input_shape_argument(kwargs: dict[str, Any]) -> tuple | None:
    """Takes the shape arguments of old Keras out of `kwargs`."""
    shape = None
    if "input_dim" in kwargs:
        shape = (None, kwargs.pop("input_dim"))
    if "input_shape" in kwargs:
        shape = (None, *kwargs.pop("input_shape"))
    if "batch_input_shape" in kwargs:
        shape = tuple(kwargs.pop("batch_input_shape"))
    if shape is not None:
        warnings.warn(
            "Do not pass an `input_shape` or `input_dim` argument to a layer; begin a Sequential model with an "
            "`Input(shape)` object instead.",
            stacklevel=4,
        )
    return shape


def _unknown_arguments(cls: type, kwargs: dict[str, Any]) -> str:
    known = set()
    for base in cls.__mro__:
        if "__init__" in base.__dict__:
            known.update(inspect.signature(base.__init__).parameters)
    known -= {"self", "args", "kwargs"}
    hints = [match for name in kwargs for match in difflib.get_close_matches(name, known, n=1)]
    hint = f"; did you mean {', '.join(map(repr, hints))}?" if hints else ""
    return f"[{cls.__name__}] expected known arguments, received {kwargs}{hint}"
