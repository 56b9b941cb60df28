"""Adagrad: each weight slows down with the squares of its own gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kcore import initializers
from kcore.autograd import Tensor, Variable
from kcore.ops import optim
from kcore.optimizers.optimizer import Optimizer, check_hyperparameter


class Adagrad(Optimizer):
    """Adagrad (Duchi et al., JMLR 2011).

    a += g**2; w -= lr * g / sqrt(a + epsilon). The further arguments are those of `Optimizer`.

    Args:
        learning_rate: float, schedule or callable.
        initial_accumulator_value: where a starts.
        epsilon: added under the root.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
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
        self.initial_accumulator_value = check_hyperparameter(
            self.name, "initial_accumulator_value", initial_accumulator_value
        )
        self.epsilon = check_hyperparameter(self.name, "epsilon", epsilon)

    def build(self, variables: Iterable[Variable]) -> None:
        """Makes the slots."""
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        self._accumulators = self.add_optimizer_variables(
            variables, "accumulator", initializers.Constant(self.initial_accumulator_value)
        )

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Updates one variable and its slots."""
        i = self._get_variable_index(variable)
        a = self._accumulators[i]
        w, a_new = optim.adagrad(variable.value, gradient, learning_rate, a.value, epsilon=self.epsilon)
        variable.assign(w)
        a.assign(a_new)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal optimizer with."""
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
