"""State: the variables, sublayers, losses and metrics of a layer, found through its attributes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from kcore.autograd import Tensor, Variable
from kcore.autograd.random import SeedGenerator
from kcore.autograd.recorder import forget_recordings
from kcore.autograd.settings import note_attribute
from kcore.layers.layer.call_signature import context
from kcore.layers.layer.tracking import Tracker


class State:
    """The part of Layer that holds things. Lists of variables are in Keras's order: own ones, then those of sublayers."""

    def _init_state(self, trainable: bool) -> None:
        if "_tracker" not in self.__dict__:
            self._start_tracking()
        self._trainable = bool(trainable)
        object.__setattr__(self, "_losses", [])
        object.__setattr__(self, "_losses_number", 0)
        self._call_number = 0
        self._called = False

    def _start_tracking(self) -> None:
        trainable, non_trainable, layers, metrics, seeds = [], [], [], [], []
        tracker = Tracker(
            {
                "trainable_variables": (_is_trainable, trainable),
                "non_trainable_variables": (_is_variable, non_trainable),
                "metrics": (_is_metric, metrics),
                "layers": (_is_layer, layers),
                "seed_generators": (_is_seed_generator, seeds),
            }
        )
        set_attribute = object.__setattr__  # the lists that the tracker fills are not attributes to be tracked
        set_attribute(self, "_tracker", tracker)
        set_attribute(self, "_trainable_variables", trainable)
        set_attribute(self, "_non_trainable_variables", non_trainable)
        set_attribute(self, "_layers", layers)
        set_attribute(self, "_metrics", metrics)
        set_attribute(self, "_seed_generators", seeds)

    def __setattr__(self, name: str, value: Any) -> None:
        if type(value) in (int, float, bool, str, type(None)) and name not in self.__dict__:
            object.__setattr__(self, name, value)
            return
        note_attribute(self, name, value)
        if isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
            return
        if "_tracker" not in self.__dict__:
            self._start_tracking()
        if not self.__dict__.get("_tracking", True):
            object.__setattr__(self, name, value)
            return
        old = self.__dict__.get(name)
        object.__setattr__(self, name, self._tracker.track(value))
        if old is not None and old is not value and _may_hold_state(old):
            self._forget(old)

    def __delattr__(self, name: str) -> None:
        value = self.__dict__.get(name)
        object.__delattr__(self, name)
        if value is not None:
            self._forget(value)

    def _forget(self, value: Any) -> None:
        """Untracks what an attribute held, unless another attribute holds it, too."""
        if not any(held is value for held in self.__dict__.values()):
            self._tracker.untrack(value)

    def _check_initialized(self) -> None:
        if "_losses" not in self.__dict__ or "built" not in self.__dict__:
            raise RuntimeError(
                f"[{type(self).__name__}] expected `super().__init__()` to be called first thing in `__init__()`"
            )

    def _track_variable(self, variable: Variable) -> None:
        self._tracker.add("trainable_variables" if variable.trainable else "non_trainable_variables", variable)
        if not self._trainable:
            variable.trainable = False

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> Iterator[Any]:
        """This layer and its sublayers, outermost first, each once."""
        seen: set[int] = set()

        def walk(layer: Any) -> Iterator[Any]:
            if id(layer) in seen:
                return
            seen.add(id(layer))
            yield layer
            if recursive:
                for child in layer._layers:
                    yield from walk(child)

        if include_self:
            yield self
        seen.add(id(self))
        for child in self._layers:
            yield from walk(child)

    # --- variables --------------------------------------------------------------------------------------------------

    @property
    def variables(self) -> list[Variable]:
        """Weights and the states of seed generators, each once."""
        found: dict[int, Variable] = {}
        for variable in self._own_variables():
            found.setdefault(id(variable), variable)
        for generator in self._seed_generators:
            found.setdefault(id(generator.state), generator.state)
        for layer in self._layers:
            for variable in layer.variables:
                found.setdefault(id(variable), variable)
        return list(found.values())

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables an optimizer changes; none if the layer is not trainable."""
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The other variables."""
        return [v for v in self.variables if not v.trainable] if self.trainable else self.variables

    @property
    def weights(self) -> list[Variable]:
        """The variables that are saved: without the states of seed generators."""
        found: dict[int, Variable] = {}
        for variable in self._own_variables():
            found.setdefault(id(variable), variable)
        for layer in self._layers:
            for variable in layer.weights:
                found.setdefault(id(variable), variable)
        return list(found.values())

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights an optimizer changes; none if the layer is not trainable."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The other weights."""
        return [v for v in self.weights if not v.trainable] if self.trainable else self.weights

    def _own_variables(self) -> list[Variable]:
        return self._trainable_variables + self._non_trainable_variables

    @property
    def trainable(self) -> bool:
        """Whether the variables are to be trained; setting it sets that of all sublayers."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = bool(value)
        if self._trainable != value:
            forget_recordings(f"trainable of {self.name} was set to {value}")
        object.__setattr__(self, "_trainable", value)
        for variable in self._trainable_variables:
            variable.trainable = value
        for layer in self._layers:
            layer.trainable = value

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: list) -> None:
        """Sets the weights from arrays in the order of get_weights.

        Raises:
            ValueError: their number or a shape differs.
        """
        variables = self.weights
        if len(variables) != len(weights):
            raise ValueError(
                f"[set_weights] expected {len(variables)} weights for layer {self.name!r}, received {len(weights)}"
            )
        arrays = [w.numpy() if isinstance(w, (Tensor, Variable)) else np.asarray(w) for w in weights]
        for variable, array in zip(variables, arrays):
            if tuple(variable.shape) != array.shape:
                raise ValueError(
                    f"[set_weights] expected shape {tuple(variable.shape)} for weight {variable.path!r} of layer "
                    f"{self.name!r}, received {array.shape}"
                )
        for variable, array in zip(variables, arrays):
            variable.assign(array)

    def count_params(self) -> int:
        """The number of elements of all weights.

        Raises:
            ValueError: the layer is not built.
        """
        if not self.built:
            raise ValueError(
                f"[count_params] expected layer {self.name!r} to be built; call it on data or `layer.build(input_shape)`"
            )
        return sum(int(np.prod(v.shape, dtype=np.int64)) for v in self.weights)

    def save_own_variables(self, store: Any) -> None:
        """Puts the layer's own variables, not its sublayers', into `store` under "0", "1", ..."""
        for index, variable in enumerate(self._own_variables()):
            store[str(index)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """The inverse of save_own_variables.

        Raises:
            ValueError: the layer is not built, or the number or a shape differs.
        """
        variables = self._own_variables()
        if len(store.keys()) != len(variables):
            if not variables and not self.built:
                raise ValueError(
                    f"[load_own_variables] layer {self.name!r} was never built and has no variables, but the file has "
                    f"{len(store.keys())} for it. Build it first, e.g. by calling it on data."
                )
            raise ValueError(
                f"[load_own_variables] expected {len(variables)} variables for layer {self.name!r}, received "
                f"{len(store.keys())}; expected {[v.name for v in variables]}"
            )
        for index, variable in enumerate(variables):
            array = np.asarray(store[str(index)])
            if array.shape != tuple(variable.shape):
                raise ValueError(
                    f"[load_own_variables] expected shape {tuple(variable.shape)} for {variable.path!r} of layer "
                    f"{self.name!r}, received {array.shape}"
                )
            variable.assign(array)

    # --- losses and metrics -----------------------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Adds scalars to what training minimizes; called from `call`. Those of the last call count.

        Args:
            loss: A scalar tensor, or a nest of them.
        """
        from kcore import tree
        from kcore.autograd import convert_to_tensor

        losses = [convert_to_tensor(x) for x in tree.flatten(loss) if x is not None]
        if any(x.is_symbolic for x in losses):
            return
        for x in losses:
            if x.size != 1:
                raise ValueError(f"[add_loss] expected a scalar, received shape {x.shape} (layer {self.name!r})")
        if context.losses is not None:
            context.losses.extend((self, x) for x in losses)
            return
        if self._losses_number != context.number:
            object.__setattr__(self, "_losses", [])
            object.__setattr__(self, "_losses_number", context.number)
        self._losses.extend(losses)

    @property
    def losses(self) -> list[Tensor]:
        """What add_loss got during the last call of this layer, and the regularizers of the trainable weights."""
        number = self._call_number
        found = []
        for layer in self._flatten_layers():
            if layer._losses_number == number or layer is self:
                found.extend(layer._losses)
        for variable in self.trainable_weights:
            if variable.regularizer is not None:
                found.append(variable.regularizer(variable.value))
        return found

    @property
    def metrics(self) -> list:
        """The metrics in its attributes and those of its sublayers."""
        found = list(self._metrics)
        for layer in self._layers:
            found.extend(metric for metric in layer.metrics if not any(metric is other for other in found))
        return found

    @property
    def metrics_variables(self) -> list[Variable]:
        """The variables of its metrics."""
        return [variable for metric in self.metrics for variable in metric.variables]


# Functions, not lambdas: a layer can be pickled.
def _is_trainable(x: Any) -> bool:
    return isinstance(x, Variable) and x.trainable


def _is_variable(x: Any) -> bool:
    return isinstance(x, Variable)


def _is_layer(x: Any) -> bool:
    return isinstance(x, State)


def _is_seed_generator(x: Any) -> bool:
    return isinstance(x, SeedGenerator)


def _is_metric(x: Any) -> bool:
    # A metric exists only if its module was imported; layers do not need it otherwise.
    module = sys.modules.get("kcore.metrics.metric")
    return module is not None and isinstance(x, module.Metric)


def _may_hold_state(value: Any) -> bool:
    return isinstance(value, (State, Variable, SeedGenerator, list, tuple, dict, set)) or _is_metric(value)
