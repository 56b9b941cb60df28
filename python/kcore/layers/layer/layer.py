"""Layer: state (variables and sublayers) and a computation; the base class of everything a model is made of."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from kcore import dtype_policies, tree
from kcore.autograd import Tensor, Variable, convert_to_tensor
from kcore.autograd.dtype import holds_numbers, is_floating
from kcore.autograd.variable import autocast as variables_autocast
from kcore.graph import KerasTensor, Operation, any_keras_tensor
from kcore.layers.input_spec import assert_input_compatibility
from kcore.layers.layer.building import Building
from kcore.layers.layer.call_signature import TENSORS, CallSignature, context
from kcore.layers.layer.constructor import input_shape_argument, unknown_arguments
from kcore.layers.layer.masks import Masks, masks_of
from kcore.layers.layer.placeholders import Placeholders
from kcore.layers.layer.remat import RematScope, current_scope
from kcore.layers.layer.state import State

_ADDED = "_layer_named"  # marks an exception whose message already names the layer


class Layer(State, Building, Masks, Placeholders, Operation):
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
    _is_recomputed = True  # as a whole in a RematScope; models leave that to their layers
    _remat: RematScope | None = None  # the scope that it was made in

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
        if self._is_recomputed:
            object.__setattr__(self, "_remat", current_scope())
        Operation.__init__(self, name=name)
        self.activity_regularizer = None
        if activity_regularizer is not None:
            from kcore import regularizers

            self.activity_regularizer = regularizers.get(activity_regularizer)
        self._input_shape_arg = input_shape_argument(kwargs)
        if kwargs:
            raise ValueError(unknown_arguments(type(self), kwargs))
        self._dtype_policy = dtype_policies.get(dtype)
        self.autocast = bool(autocast)
        self.input_spec = None
        self.supports_masking = False
        self._init_building()

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
                mask = masks_of(first)

            self.__dict__["_call_number"] = context.number  # not an attribute to look for state in
            call = self.call if self._remat is None or not self._called else self._remat.call_of(self)
            run = partial(self._call_on_placeholders, noted) if symbolic else call
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
