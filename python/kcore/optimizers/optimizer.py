"""Optimizer: what all optimizers share, from the gradients handed in to the variables updated."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from kcore import ops
from kcore.autograd import Tensor, Variable
from kcore.autograd.recorder import decided, fed, forget_recordings
from kcore.autograd.settings import note_attribute
from kcore.naming import auto_name, name_scope
from kcore.optimizers.clipping import Clipping
from kcore.optimizers.schedules import LearningRateSchedule
from kcore.saving import deserialize_keras_object, serialize_keras_object


def check_hyperparameter(owner: str, name: str, value: Any, low: float = 0.0, high: float = math.inf) -> float:
    """`value` as a float; ValueError unless it is a finite number in [low, high]."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or not low <= number <= high:
        limits = f"in [{low:g}, {high:g}]" if math.isfinite(high) else f">= {low:g}"
        raise ValueError(f"[{owner}] expected `{name}` to be a finite number {limits}, received {name}={value!r}")
    return number


class _Phase(NamedTuple):
    """What a call of an optimizer does, as far as its number tells."""

    updates: bool  # the variables; else it adds to the accumulated gradients
    is_first: bool  # no update came before
    overwrites: bool  # puts the moving averages in place of the variables


class Optimizer:
    """Updates variables from gradients. A subclass overrides `build` (its slots) and `update_step` (its formula).

    Args:
        learning_rate: float, a `schedules.LearningRateSchedule`, or a callable without arguments.
        weight_decay: variables shrink by `learning_rate * weight_decay` of themselves before each update.
        clipnorm, clipvalue, global_clipnorm: bounds on the norm of each gradient, on its elements, on the norm of all
            gradients together. At most one of the three.
        use_ema: keep moving averages of the variables; `finalize_variable_values` puts them in place.
        ema_momentum: of the averages, in [0, 1].
        ema_overwrite_frequency: put the averages in place every so many updates as well.
        loss_scale_factor: the loss is multiplied by it, the gradients divided.
        gradient_accumulation_steps: update every so many calls, from the mean gradient. At least 2.
        name: prefix of the variables' paths; by default the class's name in snake case.

    Example:

    >>> from kcore import Variable, ops, optimizers
    >>> x = Variable([1.0, 2.0], name="x")
    >>> optimizer = optimizers.SGD(learning_rate=0.5)
    >>> _ = optimizer.apply_gradients([(ops.ones(2), x)])
    >>> x.numpy().tolist()
    [0.5, 1.5]
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Callable[[], Any],
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        owner = name or type(self).__name__
        if kwargs.pop("decay", None) is not None:
            warnings.warn(
                f"[{owner}] `decay` is no longer an argument of optimizers; use a learning-rate schedule", stacklevel=3
            )
        if kwargs:
            raise ValueError(f"Argument(s) not recognized: {kwargs}")
        if weight_decay is not None:
            weight_decay = check_hyperparameter(owner, "weight_decay", weight_decay)
        if use_ema:
            check_hyperparameter(owner, "ema_momentum", ema_momentum, 0.0, 1.0)
            _check_count(owner, "ema_overwrite_frequency", ema_overwrite_frequency, 1)
        if loss_scale_factor is not None and check_hyperparameter(owner, "loss_scale_factor", loss_scale_factor) == 0:
            raise ValueError(f"[{owner}] expected `loss_scale_factor` > 0, received 0")
        _check_count(owner, "gradient_accumulation_steps", gradient_accumulation_steps, 2)
        self.name = name or auto_name(type(self).__name__)
        self.weight_decay = weight_decay
        self.clipping = Clipping(owner, clipnorm, clipvalue, global_clipnorm)
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._variables: list[Variable] = []
        self._trainable_variables: list[Variable] = []
        self._index: dict[int, int] = {}
        self._no_decay_ids: set[int] = set()
        self._no_decay_names: list[str] = []
        self._iterations = self.add_variable((), dtype="int32", name="iteration")
        if isinstance(learning_rate, LearningRateSchedule) or callable(learning_rate):
            self._learning_rate: Any = learning_rate
        else:
            rate = check_hyperparameter(owner, "learning_rate", learning_rate)
            self._learning_rate = self.add_variable(
                (), initializer=lambda shape, dtype: ops.full(shape, rate, dtype), name="learning_rate"
            )

    def __setattr__(self, name: str, value: Any) -> None:
        note_attribute(self, name, value)
        object.__setattr__(self, name, value)

    # ---- variables

    @property
    def variables(self) -> list[Variable]:
        """Iteration, learning rate, then the slots, in the order of Keras's files."""
        return list(self._variables)

    @property
    def clipnorm(self) -> float | None:
        """Bound on the norm of each gradient."""
        return self.clipping.clipnorm

    @property
    def clipvalue(self) -> float | None:
        """Bound on the elements of the gradients."""
        return self.clipping.clipvalue

    @property
    def global_clipnorm(self) -> float | None:
        """Bound on the norm of all gradients together."""
        return self.clipping.global_clipnorm

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: str | None = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A new variable of the optimizer's own."""
        del aggregation, layout  # of distributed Keras; accepted so that its subclasses run
        with name_scope(self.name, caller=self):
            variable = Variable(
                _initializer(initializer), shape=tuple(shape), dtype=dtype or "float32", trainable=False, name=name
            )
        self._variables.append(variable)
        return variable

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """A slot: a variable of the shape and dtype of `reference_variable`, named after it."""
        path = getattr(reference_variable, "path", None) or reference_variable.name
        name = f"{path}_{name or 'slot'}".replace("/", "_")
        return self.add_variable(reference_variable.shape, initializer, reference_variable.dtype, name=name)

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Variable], name: str | Sequence[str], initializer: Any = "zeros"
    ) -> Any:
        """Slots for all variables: a list, or for several names a tuple of lists (made variable by variable)."""
        names = [name] if isinstance(name, str) else list(name)
        initializers = list(initializer) if isinstance(initializer, (list, tuple)) else [initializer] * len(names)
        if len(initializers) != len(names):
            raise ValueError(
                f"[{self.name}] expected as many initializers as names, received {len(initializers)} initializers "
                f"and names {names}"
            )
        slots = tuple([] for _ in names)
        for variable in trainable_variables:
            for one, made, start in zip(names, slots, initializers, strict=True):
                made.append(self.add_variable_from_reference(variable, one, start))
        return slots[0] if isinstance(name, str) else slots

    def build(self, variables: Iterable[Variable]) -> None:
        """Makes the slots for `variables`. Subclasses call this first, then add theirs."""
        if self.built:
            return
        variables = _as_list(self.name, variables)
        self._trainable_variables = list(variables)
        self._index = {id(variable): i for i, variable in enumerate(variables)}
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._accumulated_gradients = self.add_optimizer_variables(variables, "gradient_accumulator")
        self.built = True

    def _get_variable_index(self, variable: Variable) -> int:
        return self._index[id(variable)]

    def assign(self, variable: Variable, value: Any) -> None:
        """`variable = value`, the way own optimizers write it."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """`variable += value`, the way own optimizers write it."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """`variable -= value`, the way own optimizers write it."""
        variable.assign_sub(value)

    # ---- learning rate and iterations

    @property
    def iterations(self) -> Any:
        """Updates so far, an int32 scalar."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._iterations, self.gradient_accumulation_steps)
        return self._iterations

    @iterations.setter
    def iterations(self, variable: Variable) -> None:
        if self.built:
            raise RuntimeError(f"[{self.name}] cannot set `iterations` to a new variable after the optimizer was built")
        self._variables[next(i for i, v in enumerate(self._variables) if v is self._iterations)] = variable
        self._iterations = variable

    @property
    def learning_rate(self) -> Any:
        """The rate now: the variable, or what the schedule or callable gives for this step."""
        rate = self._learning_rate
        if isinstance(rate, Variable):
            return rate
        return rate(self.iterations) if isinstance(rate, LearningRateSchedule) else fed(rate)

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        previous = self._learning_rate
        if callable(learning_rate) and not isinstance(learning_rate, (Variable, Tensor)):
            if isinstance(previous, Variable):
                self._variables = [v for v in self._variables if v is not previous]
            self._learning_rate = learning_rate
            forget_recordings(f"learning_rate of {self.name} was set to a function")
            return
        if not isinstance(previous, Variable):
            raise TypeError(
                f"[{self.name}] this optimizer was created with the learning-rate schedule {type(previous).__name__}, so "
                "its learning rate cannot be set; create it with a float `learning_rate` to set it later"
            )
        if not isinstance(learning_rate, (Variable, Tensor)):
            learning_rate = check_hyperparameter(self.name, "learning_rate", learning_rate)
        previous.assign(learning_rate)

    # ---- one update

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Tensor | None, Variable]]) -> Any:
        """Updates variables from (gradient, variable) pairs; gives the iterations. A None gradient is skipped."""
        pairs = list(grads_and_vars)
        if not pairs:
            raise ValueError(f"[{self.name}] apply_gradients expected (gradient, variable) pairs, received none")
        gradients, variables = zip(*pairs, strict=True)
        self.apply(gradients, variables)
        return self._iterations

    def apply(self, grads: Iterable[Tensor | None], trainable_variables: Iterable[Variable] | None = None) -> None:
        """Updates variables: those given, or all the optimizer was built on.

        Raises:
            ValueError: no gradient at all, a count that differs from the variables', an unknown variable, or a gradient
                of another shape than its variable.
        """
        gradients = list(grads)
        if not gradients:
            return
        variables = self._match_variables(gradients, trainable_variables)
        if any(gradient is None for gradient in gradients):
            gradients, variables = self._drop_missing(gradients, variables)
        for gradient, variable in zip(gradients, variables, strict=True):
            if tuple(gradient.shape) != tuple(variable.shape):
                raise ValueError(
                    f"[{self.name}] expected a gradient of shape {tuple(variable.shape)} for variable "
                    f"'{variable.path}', received shape {tuple(gradient.shape)}"
                )
        gradients = [
            ops.cast(g, v.dtype) if g.dtype != v.dtype else g for g, v in zip(gradients, variables, strict=True)
        ]
        if self.loss_scale_factor is not None:
            gradients = [gradient / self.loss_scale_factor for gradient in gradients]
        self._apply_known(gradients, variables)
        for variable in variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.value))
        self._iterations.assign_add(1)

    def _apply_known(self, gradients: list[Tensor], variables: list[Variable]) -> None:
        """Accumulates, clips, decays, updates and averages."""
        phase = decided(self._iterations, self._phase) if self.gradient_accumulation_steps or self.use_ema else None
        if self.gradient_accumulation_steps:
            accumulated = [self._accumulated_gradients[self._get_variable_index(v)] for v in variables]
            steps = self.gradient_accumulation_steps
            if not phase.updates:
                for total, gradient in zip(accumulated, gradients, strict=True):
                    total.assign_add(gradient)
                self._average(variables, phase)
                return
            gradients = [(g + total.value) / steps for g, total in zip(gradients, accumulated, strict=True)]
            for total in accumulated:
                total.assign(ops.zeros_like(total.value))
        gradients = self.clipping(gradients)
        self._apply_weight_decay(variables)
        self._update_all(gradients, variables, ops.convert_to_tensor(self.learning_rate))
        self._average(variables, phase)

    def _phase(self, calls: int) -> _Phase:
        """What a call does that comes after `calls` others. The only thing that depends on their number in Python, so
        that steps of each phase can be recorded."""
        steps = self.gradient_accumulation_steps or 1
        updates, frequency = calls // steps, self.ema_overwrite_frequency
        return _Phase((calls + 1) % steps == 0, updates == 0, bool(frequency) and (updates + 1) % frequency == 0)

    def _update_all(self, gradients: list[Tensor], variables: list[Variable], learning_rate: Tensor) -> None:
        self._step = ops.convert_to_tensor(self.iterations) + 1
        for gradient, variable in zip(gradients, variables, strict=True):
            self.update_step(gradient, variable, learning_rate)

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Updates one variable; the subclass's formula."""
        raise NotImplementedError(f"[{type(self).__name__}] an optimizer must override `update_step`")

    def _match_variables(self, gradients: list, variables: Iterable[Variable] | None) -> list[Variable]:
        if variables is None:
            if not self.built:
                raise ValueError(
                    f"[{self.name}] apply(grads) without variables expected a built optimizer; call "
                    "`optimizer.build(trainable_variables)` first"
                )
            variables = self._trainable_variables
        variables = list(variables)
        if len(variables) != len(gradients):
            raise ValueError(
                f"[{self.name}] expected one gradient for each of {len(variables)} variables, received {len(gradients)}"
            )
        self.build(variables)
        for variable in variables:
            if id(variable) not in self._index:
                raise ValueError(
                    f"[{self.name}] unknown variable '{variable.path}': the optimizer was built for "
                    f"{[v.path for v in self._trainable_variables]}. Build a new optimizer for new variables"
                )
        return variables

    def _drop_missing(self, gradients: list, variables: list[Variable]) -> tuple[list[Tensor], list[Variable]]:
        kept = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
        if not kept:
            raise ValueError(f"[{self.name}] no gradients provided for any variable")
        missing = [v.path for g, v in zip(gradients, variables, strict=True) if g is None]
        warnings.warn(
            f"[{self.name}] the loss does not depend on the variables {missing}: they stay as they are", stacklevel=4
        )
        return [g for g, _ in kept], [v for _, v in kept]

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss to differentiate: multiplied by `loss_scale_factor` if there is one."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    # ---- weight decay

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Spares variables from weight decay: those given, and those whose path contains one of the names."""
        if self.built:
            raise ValueError(
                f"[{self.name}] `exclude_from_weight_decay()` must be called before the optimizer is built"
            )
        self._no_decay_ids = {id(variable) for variable in var_list or ()}
        self._no_decay_names = list(var_names or ())

    def _use_weight_decay(self, variable: Variable) -> bool:
        return id(variable) not in self._no_decay_ids and not any(n in variable.path for n in self._no_decay_names)

    def _apply_weight_decay(self, variables: list[Variable]) -> None:
        if self.weight_decay is None:
            return
        rate = ops.convert_to_tensor(self.learning_rate) * self.weight_decay
        for variable in variables:
            if self._use_weight_decay(variable):
                variable.assign(variable.value - variable.value * ops.cast(rate, variable.dtype))

    # ---- moving averages

    def _average(self, variables: list[Variable], phase: _Phase | None) -> None:
        if not self.use_ema:
            return
        momentum = 0.0 if phase.is_first else self.ema_momentum  # the first average is the variable itself
        for variable in variables:
            average = self._averages[self._get_variable_index(variable)]
            average.assign(average.value * momentum + variable.value * (1 - momentum))
        if phase.overwrites:
            self.finalize_variable_values(variables)

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Puts the moving averages in place of the variables, if there are any; `fit` calls it at its end."""
        if not self.use_ema or not self.built:
            return
        for variable in var_list:
            if id(variable) in self._index:
                variable.assign(self._averages[self._get_variable_index(variable)].value)

    # ---- saving

    def save_own_variables(self, store: Any) -> None:
        """Writes the variables under "0", "1", ..."""
        for i, variable in enumerate(self._variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote; warns and leaves all as it is where the number differs."""
        if len(store.keys()) != len(self._variables):
            message = (
                f"Skipping variable loading for optimizer '{self.name}', because it has {len(self._variables)} variables "
                f"whereas the saved optimizer has {len(store.keys())} variables."
            )
            if not self._trainable_variables:
                message += " The optimizer is not built: call `optimizer.build(trainable_variables)` first."
            warnings.warn(message, stacklevel=2)
            return
        for i, variable in enumerate(self._variables):
            variable.assign(store[str(i)][()])

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Assigns all variables, in the order of `variables`."""
        if not self.built:
            raise ValueError(
                f"[{self.name}] expected a built optimizer; call `optimizer.build(trainable_variables)` first"
            )
        if len(weights) != len(self._variables):
            raise ValueError(f"[{self.name}] expected {len(self._variables)} weights, received {len(weights)}")
        for variable, value in zip(self._variables, weights, strict=True):
            if tuple(variable.shape) != tuple(value.shape):
                raise ValueError(
                    f"[{self.name}] expected shape {tuple(variable.shape)} for '{variable.path}', received "
                    f"{tuple(value.shape)}"
                )
            variable.assign(value)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal optimizer with."""
        rate = self._learning_rate
        return {
            "name": self.name,
            "learning_rate": float(rate.numpy()) if isinstance(rate, Variable) else serialize_keras_object(rate),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Optimizer:
        """An optimizer from what `get_config` gave."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = deserialize_keras_object(config["learning_rate"], custom_objects=custom_objects)
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _check_count(owner: str, name: str, value: Any, low: int) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < low):
        raise ValueError(f"[{owner}] expected `{name}` to be None or an integer >= {low}, received {name}={value!r}")


def _as_list(owner: str, variables: Any) -> list[Variable]:
    variables = list(variables)
    for variable in variables:
        if not isinstance(variable, Variable):
            raise ValueError(f"[{owner}] expected a list of variables, received a {type(variable).__name__} in it")
    return variables


def _initializer(initializer: Any) -> Any:
    from kcore import initializers

    return initializers.get(initializer) if isinstance(initializer, str) else initializer
