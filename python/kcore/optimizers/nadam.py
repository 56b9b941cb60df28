"""Nadam: Adam with Nesterov momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kcore import ops
from kcore.autograd import Tensor, Variable
from kcore.ops import optim
from kcore.optimizers.optimizer import Optimizer, check_hyperparameter


class Nadam(Optimizer):
    """Nadam (Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016).

    Adam's moments; the momentum grows as u_t = beta_1 * (1 - 0.5 * 0.96**t), and the update looks one step ahead:
    w -= lr * (u_{t+1} * m / (1 - U_{t+1}) + (1 - u_t) * g / (1 - U_t)) / (sqrt(v / (1 - beta_2**t)) + epsilon), where U_t is
    the product of u_1 to u_t.
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
        self._u_product = Variable(1.0, dtype="float32", trainable=False)
        self._variables.append(self._u_product)

    def _update_all(self, gradients: list[Tensor], variables: list[Variable], learning_rate: Tensor) -> None:
        step = ops.cast(self.iterations + 1, "float32")
        self._u_product.assign(self._u_product.value * self.beta_1 * (1.0 - 0.5 * ops.power(0.96, step)))
        super()._update_all(gradients, variables, learning_rate)

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Updates one variable and its slots."""
        i = self._get_variable_index(variable)
        a = self._momentums[i]
        b = self._velocities[i]
        w, a_new, b_new = optim.nadam(
            variable.value,
            gradient,
            learning_rate,
            self._step,
            self._u_product.value,
            a.value,
            b.value,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )
        variable.assign(w)
        a.assign(a_new)
        b.assign(b_new)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal optimizer with."""
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
