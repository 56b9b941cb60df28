"""RMSprop: gradients divided by a running root mean square."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kcore.autograd import Tensor, Variable
from kcore.ops import optim
from kcore.optimizers.optimizer import Optimizer, check_hyperparameter


class RMSprop(Optimizer):
    """RMSprop (Hinton, Coursera lecture 6e), with optional momentum and centering (Graves, arXiv 1308.0850).

    v = rho * v + (1 - rho) * g**2; w -= lr * g / sqrt(v + epsilon). The further arguments are those of `Optimizer`.

    Args:
        learning_rate: float, schedule or callable.
        rho: decay of the mean square, in [0, 1].
        momentum: of the update, in [0, 1].
        epsilon: added under the root.
        centered: divide by the running standard deviation instead of the root mean square.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
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
        self.rho = check_hyperparameter(self.name, "rho", rho, 0.0, 1.0)
        self.momentum = check_hyperparameter(self.name, "momentum", momentum, 0.0, 1.0)
        self.epsilon = check_hyperparameter(self.name, "epsilon", epsilon)
        self.centered = centered

    def build(self, variables: Iterable[Variable]) -> None:
        """Makes the slots."""
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        self._momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum else []
        self._average_gradients = self.add_optimizer_variables(variables, "average_gradient") if self.centered else []

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Updates one variable and its slots."""
        i = self._get_variable_index(variable)
        slots = [
            self._velocities[i],
            self._average_gradients[i] if self.centered else None,
            self._momentums[i] if self._momentums else None,
        ]
        w, *values = optim.rmsprop(
            variable.value,
            gradient,
            learning_rate,
            *(None if slot is None else slot.value for slot in slots),
            rho=self.rho,
            momentum=self.momentum,
            epsilon=self.epsilon,
        )
        variable.assign(w)
        for slot, value in zip(slots, values, strict=True):
            if slot is not None:
                slot.assign(value)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal optimizer with."""
        own = {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon, "centered": self.centered}
        return {**super().get_config(), **own}
