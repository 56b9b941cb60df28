"""What a metric is: state in Variables that `update_state` adds to and `result` reads."""

from __future__ import annotations

import functools
import math

from kcore import initializers, ops
from kcore.autograd import Tensor, Variable
from kcore.autograd.config import floatx
from kcore.autograd.dtype import standardize_dtype
from kcore.naming import auto_name


class Metric:
    """Base of all metrics. Subclasses write `update_state(...)` and `result()`, with ops only.

    Args:
        dtype: dtype of the state and of the computation, by default the default float.
        name: what the metric is called in logs.

    >>> class Largest(Metric):
    ...     def __init__(self, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.largest = self.add_variable((), "zeros", name="largest")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest.assign(ops.maximum(self.largest, ops.max(y_pred)))
    ...     def result(self):
    ...         return self.largest.value
    >>> float(Largest()([0.0], [3.0]))
    3.0
    """

    # Which way is better: "up", "down", or None where that is unknown. Callbacks with mode "auto" read it.
    _direction: str | None = None

    def __init__(self, dtype=None, name=None):
        if name is not None and not isinstance(name, str):
            raise ValueError(f"[{type(self).__name__}] expected name to be a string, received {name!r}")
        self.name = name or auto_name(type(self).__name__)
        self._dtype = standardize_dtype(getattr(dtype, "compute_dtype", dtype) or floatx())
        self._own_variables: list[Variable] = []
        self._metrics: list[Metric] = []

    def __setattr__(self, name: str, value) -> None:
        if isinstance(value, (Variable, Metric)):
            if "_metrics" not in self.__dict__:
                raise RuntimeError(
                    f"[{type(self).__name__}] expected super().__init__() to be called first in __init__"
                )
            tracked = self._metrics if isinstance(value, Metric) else self._own_variables
            if not any(value is other for other in tracked):
                tracked.append(value)
        super().__setattr__(name, value)

    @property
    def dtype(self) -> str:
        """The dtype of the state and of the computation."""
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """The state: the metric's own variables, then those of metrics it holds."""
        return self._own_variables + [variable for metric in self._metrics for variable in metric.variables]

    def add_variable(self, shape, initializer, dtype=None, aggregation="sum", name=None) -> Variable:
        """Makes a variable of state. `reset_state` will set it to zero."""
        variable = Variable(
            initializers.get(initializer),
            shape=tuple(shape),
            dtype=dtype or self.dtype,
            trainable=False,
            aggregation=aggregation,
            name=name,
        )
        variable.path = f"{self.name}/{variable.name}"
        self._own_variables.append(variable)
        return variable

    def add_weight(self, shape=(), initializer="zeros", dtype=None, name=None) -> Variable:
        """`add_variable` under its older name."""
        return self.add_variable(shape, initializer or "zeros", dtype=dtype, name=name)

    def update_state(self, *args, **kwargs) -> None:
        """Adds a batch to the state. Usually `(y_true, y_pred, sample_weight=None)`."""
        raise NotImplementedError(f"[{type(self).__name__}] expected an update_state method")

    def result(self) -> Tensor:
        """What the state amounts to: a scalar, a tensor, or a dict of them."""
        raise NotImplementedError(f"[{type(self).__name__}] expected a result method")

    def reset_state(self) -> None:
        """Sets all variables to zero."""
        for variable in self.variables:
            variable.assign(_zeros(variable.shape, variable.dtype))

    def __call__(self, *args, **kwargs) -> Tensor:
        """Adds a batch to the state and returns the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(self, metric_variables, *args, **kwargs) -> list[Tensor]:
        """`update_state` as a function: takes the values of the variables, returns the new ones, leaves the state."""
        return self._with_values(metric_variables, lambda: self.update_state(*args, **kwargs))[1]

    def stateless_result(self, metric_variables) -> Tensor:
        """`result` for the given values of the variables."""
        return self._with_values(metric_variables, self.result)[0]

    def stateless_reset_state(self) -> list[Tensor]:
        """The values that `reset_state` would set."""
        return [ops.zeros(variable.shape, dtype=variable.dtype) for variable in self.variables]

    def _with_values(self, values, function):
        variables = self.variables
        if len(values) != len(variables):
            raise ValueError(f"[{self.name}] expected {len(variables)} values of variables, received {len(values)}")
        kept = [variable.value for variable in variables]
        try:
            for variable, value in zip(variables, values):
                variable.assign(value)
            outcome = function()
            return outcome, [variable.value for variable in variables]
        finally:
            for variable, value in zip(variables, kept):
                variable.assign(value)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict) -> Metric:
        """A metric with these arguments."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _zeros(shape: tuple[int, ...], dtype: str) -> Tensor:
    return _small_zeros(shape, dtype) if math.prod(shape) <= 256 else ops.zeros(shape, dtype=dtype)


@functools.lru_cache(maxsize=64)
def _small_zeros(shape: tuple[int, ...], dtype: str) -> Tensor:
    return ops.zeros(shape, dtype=dtype)
