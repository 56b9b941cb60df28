"""SGD, plain, with momentum or with Nesterov momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kcore.autograd import Tensor, Variable
from kcore.ops import optim
from kcore.optimizers.optimizer import Optimizer, check_hyperparameter


class SGD(Optimizer):
    """Gradient descent.

    Without momentum w -= lr * g; with it v = momentum * v - lr * g and w += v, or, Nesterov's way,
    w += momentum * v - lr * g (Sutskever et al., ICML 2013). The further arguments are those of `Optimizer`.

    Args:
        learning_rate: float, schedule or callable.
        momentum: in [0, 1].
        nesterov: look ahead along the momentum.

    >>> from kcore import optimizers
    >>> optimizers.SGD(0.1, momentum=0.9).get_config()["momentum"]
    0.9
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        self.momentum = check_hyperparameter(self.name, "momentum", momentum, 0.0, 1.0)
        self.nesterov = nesterov

    def build(self, variables: Iterable[Variable]) -> None:
        """Makes the momentum slots, where there is momentum."""
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        self.momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum else []

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Updates one variable and its momentum."""
        slot = self.momentums[self._get_variable_index(variable)] if self.momentums else None
        w, momentum = optim.sgd(
            variable.value,
            gradient,
            learning_rate,
            None if slot is None else slot.value,
            momentum=self.momentum,
            nesterov=self.nesterov,
        )
        variable.assign(w)
        if slot is not None:
            slot.assign(momentum)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal optimizer with."""
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
