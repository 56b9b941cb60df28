"""Ftrl: follow the regularized leader, for sparse linear models."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from kcore import initializers
from kcore.autograd import Tensor, Variable
from kcore.ops import optim
from kcore.optimizers.optimizer import Optimizer, check_hyperparameter


class Ftrl(Optimizer):
    """FTRL-proximal (McMahan et al., KDD 2013), with shrinkage. The further arguments are those of `Optimizer`.

    Args:
        learning_rate: float, schedule or callable.
        learning_rate_power: how the rate falls with the squared gradients, <= 0.
        initial_accumulator_value: where the sum of squared gradients starts.
        l1_regularization_strength, l2_regularization_strength: of the penalties.
        l2_shrinkage_regularization_strength: of a penalty on the magnitude that acts on the gradient.
        beta: of the paper.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
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
        self.learning_rate_power = check_hyperparameter(
            self.name, "learning_rate_power", learning_rate_power, -math.inf
        )
        if self.learning_rate_power > 0:
            raise ValueError(f"[{self.name}] expected `learning_rate_power` <= 0, received {learning_rate_power}")
        self.initial_accumulator_value = check_hyperparameter(
            self.name, "initial_accumulator_value", initial_accumulator_value
        )
        self.l1_regularization_strength = check_hyperparameter(
            self.name, "l1_regularization_strength", l1_regularization_strength
        )
        self.l2_regularization_strength = check_hyperparameter(
            self.name, "l2_regularization_strength", l2_regularization_strength
        )
        self.l2_shrinkage_regularization_strength = check_hyperparameter(
            self.name, "l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength
        )
        self.beta = check_hyperparameter(self.name, "beta", beta)

    def build(self, variables: Iterable[Variable]) -> None:
        """Makes the slots."""
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        self._accumulators, self._linears = self.add_optimizer_variables(
            variables, ["accumulator", "linear"], [initializers.Constant(self.initial_accumulator_value), "zeros"]
        )

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Updates one variable and its slots."""
        i = self._get_variable_index(variable)
        accumulator, linear = self._accumulators[i], self._linears[i]
        w, accumulator_new, linear_new = optim.ftrl(
            variable.value,
            gradient,
            learning_rate,
            accumulator.value,
            linear.value,
            learning_rate_power=self.learning_rate_power,
            l1=self.l1_regularization_strength,
            l2=self.l2_regularization_strength,
            l2_shrinkage=self.l2_shrinkage_regularization_strength,
            beta=self.beta,
        )
        variable.assign(w)
        accumulator.assign(accumulator_new)
        linear.assign(linear_new)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal optimizer with."""
        return {
            **super().get_config(),
            "learning_rate_power": self.learning_rate_power,
            "initial_accumulator_value": self.initial_accumulator_value,
            "l1_regularization_strength": self.l1_regularization_strength,
            "l2_regularization_strength": self.l2_regularization_strength,
            "l2_shrinkage_regularization_strength": self.l2_shrinkage_regularization_strength,
            "beta": self.beta,
        }
