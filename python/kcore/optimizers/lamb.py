"""Lamb: Adam with a step per variable that follows its norm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kcore import ops
from kcore.autograd import Tensor, Variable, result_type
from kcore.optimizers.optimizer import Optimizer, check_hyperparameter


class Lamb(Optimizer):
    """LAMB (You et al., arXiv 1904.00962): Adam's direction, as long as the variable's norm times the rate.

    The further arguments are those of `Optimizer`.

    Args:
        learning_rate: float, schedule or callable.
        beta_1: decay of the mean gradient, in [0, 1].
        beta_2: decay of the second moment, in [0, 1].
        epsilon: added to the denominator.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
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
        self.beta_1 = check_hyperparameter(self.name, "beta_1", beta_1, 0.0, 1.0)
        self.beta_2 = check_hyperparameter(self.name, "beta_2", beta_2, 0.0, 1.0)
        self.epsilon = check_hyperparameter(self.name, "epsilon", epsilon)

    def build(self, variables: Iterable[Variable]) -> None:
        """Makes the slots."""
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Updates one variable and its moments."""
        i = self._get_variable_index(variable)
        dtype = result_type(variable.dtype, "float32")  # in bfloat16, 1 - 0.999 would be 0
        w, gradient = ops.cast(variable.value, dtype), ops.cast(gradient, dtype)
        step = ops.cast(self._step, dtype)
        m, v = self._momentums[i], self._velocities[i]
        m.assign(m.value + (gradient - m.value) * (1 - self.beta_1))
        v.assign(v.value + (gradient * gradient - v.value) * (1 - self.beta_2))
        m_hat = m.value / (1.0 - ops.power(ops.cast(self.beta_1, dtype), step))
        v_hat = v.value / (1.0 - ops.power(ops.cast(self.beta_2, dtype), step))
        direction = m_hat / (ops.sqrt(v_hat) + self.epsilon)
        w_norm, d_norm = ops.sqrt(ops.sum(w * w)), ops.sqrt(ops.sum(direction * direction))
        usable = ops.logical_and(w_norm > 0, d_norm > 0)
        ratio = ops.where(usable, w_norm / ops.where(usable, d_norm, ops.ones_like(d_norm)), ops.ones_like(d_norm))
        variable.assign(w - ratio * ops.cast(learning_rate, dtype) * direction)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal optimizer with."""
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
