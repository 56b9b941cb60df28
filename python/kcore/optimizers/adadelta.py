"""Adadelta: steps in the units of the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kcore.autograd import Tensor, Variable
from kcore.ops import optim
from kcore.optimizers.optimizer import Optimizer, check_hyperparameter


class Adadelta(Optimizer):
    """Adadelta (Zeiler, arXiv 1212.5701).

    a = rho * a + (1 - rho) * g**2; d = -g * rms(b) / rms(a); b = rho * b + (1 - rho) * d**2; w += lr * d, where
    rms(x) = sqrt(x + epsilon). The further arguments are those of `Optimizer`.

    Args:
        learning_rate: float, schedule or callable; the paper's is 1.
        rho: decay of both means, in [0, 1].
        epsilon: added under the roots.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
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
        self.rho = check_hyperparameter(self.name, "rho", rho, 0.0, 1.0)
        self.epsilon = check_hyperparameter(self.name, "epsilon", epsilon)

    def build(self, variables: Iterable[Variable]) -> None:
        """Makes the slots."""
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        self._accumulated_grads, self._accumulated_delta_vars = self.add_optimizer_variables(
            variables, ["accumulated_grad", "accumulated_delta_var"]
        )

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Updates one variable and its slots."""
        i = self._get_variable_index(variable)
        a = self._accumulated_grads[i]
        b = self._accumulated_delta_vars[i]
        w, a_new, b_new = optim.adadelta(
            variable.value, gradient, learning_rate, a.value, b.value, rho=self.rho, epsilon=self.epsilon
        )
        variable.assign(w)
        a.assign(a_new)
        b.assign(b_new)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal optimizer with."""
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}
