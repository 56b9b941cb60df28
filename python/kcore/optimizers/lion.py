"""Lion: the sign of an interpolated momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kcore.autograd import Tensor, Variable
from kcore.ops import optim
from kcore.optimizers.optimizer import Optimizer, check_hyperparameter


class Lion(Optimizer):
    """Lion (Chen et al., arXiv 2302.06675).

    w -= lr * sign(beta_1 * m + (1 - beta_1) * g); m = beta_2 * m + (1 - beta_2) * g.
    The further arguments are those of `Optimizer`.

    Args:
        learning_rate: float, schedule or callable.
        beta_1: weight of the momentum in the update, in (0, 1].
        beta_2: decay of the momentum, in [0, 1].
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
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

    def build(self, variables: Iterable[Variable]) -> None:
        """Makes the slots."""
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Updates one variable and its slots."""
        i = self._get_variable_index(variable)
        a = self._momentums[i]
        w, a_new = optim.lion(variable.value, gradient, learning_rate, a.value, beta_1=self.beta_1, beta_2=self.beta_2)
        variable.assign(w)
        a.assign(a_new)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal optimizer with."""
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2}
