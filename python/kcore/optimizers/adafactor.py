"""Adafactor: second moments kept as one row and one column per matrix."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kcore import ops
from kcore.autograd import Tensor, Variable, result_type
from kcore.optimizers.optimizer import Optimizer, check_hyperparameter


class Adafactor(Optimizer):
    """Adafactor (Shazeer & Stern, arXiv 1804.04235). The further arguments are those of `Optimizer`.

    Args:
        learning_rate: float, schedule or callable.
        beta_2_decay: power of the step in the decay of the second moment.
        epsilon_1: added to squared gradients.
        epsilon_2: least scale of a variable.
        clip_threshold: bound on the root mean square of an update.
        relative_step: let the rate fall as 1 / sqrt(step) where that is smaller.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
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
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = check_hyperparameter(self.name, "epsilon_1", epsilon_1)
        self.epsilon_2 = check_hyperparameter(self.name, "epsilon_2", epsilon_2)
        self.clip_threshold = check_hyperparameter(self.name, "clip_threshold", clip_threshold)
        self.relative_step = relative_step

    def build(self, variables: Iterable[Variable]) -> None:
        """Makes the slots: row means and column means for two dimensions and more, and a full one."""
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        self._rows: list[Variable] = []
        self._columns: list[Variable] = []
        self._velocities: list[Variable] = []
        for variable in variables:
            shape = tuple(variable.shape)
            if len(shape) < 2:  # two int32 scalars that nobody reads: files of Keras hold them
                for slots in (self._rows, self._columns):
                    slots.append(Variable(0, dtype="int32", trainable=False, name=variable.name))
                    self._variables.append(slots[-1])
            else:
                self._rows.append(self.add_variable(shape[:-1], name=variable.name))
                self._columns.append(self.add_variable(shape[:-2] + shape[-1:], name=variable.name))
            self._velocities.append(self.add_variable_from_reference(variable, "velocity"))

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Updates one variable and its slots."""
        i = self._get_variable_index(variable)
        dtype = result_type(variable.dtype, "float32")  # in bfloat16, 1 - 0.999 would be 0
        w, gradient = ops.cast(variable.value, dtype), ops.cast(gradient, dtype)
        step = ops.cast(self._step, dtype)
        rate = ops.cast(learning_rate, dtype)
        if self.relative_step:
            rate = ops.minimum(rate, 1.0 / ops.sqrt(step))
        rate = ops.maximum(_rms(w), self.epsilon_2) * rate
        squares = gradient * gradient + self.epsilon_1
        beta_2 = 1.0 - ops.power(step, self.beta_2_decay)
        row, column, velocity = self._rows[i], self._columns[i], self._velocities[i]
        if len(variable.shape) >= 2:
            row.assign(beta_2 * row.value + (1 - beta_2) * ops.mean(squares, axis=-1))
            column.assign(beta_2 * column.value + (1 - beta_2) * ops.mean(squares, axis=-2))
            share = row.value / ops.mean(row.value, axis=-1, keepdims=True)
            velocity.assign(ops.expand_dims(share, -1) * ops.expand_dims(column.value, -2))
        else:
            velocity.assign(beta_2 * velocity.value + (1 - beta_2) * squares)
        update = gradient * ops.rsqrt(velocity.value)
        update = update / ops.maximum(1.0, _rms(update) / self.clip_threshold)
        variable.assign(w - rate * update)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal optimizer with."""
        own = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def _rms(x: Tensor) -> Tensor:
    return ops.sqrt(ops.mean(x * x))
