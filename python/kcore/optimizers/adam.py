"""Adam and AdamW: steps scaled by running first and second moments of the gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kcore.autograd import Tensor, Variable
from kcore.ops import optim
from kcore.optimizers.optimizer import Optimizer, check_hyperparameter


class Adam(Optimizer):
    """Adam (Kingma & Ba, arXiv 1412.6980), with AMSGrad on demand (Reddi et al., arXiv 1904.09237).

    m += (1 - beta_1) * (g - m); v += (1 - beta_2) * (g**2 - v);
    w -= lr * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon).
    The further arguments are those of `Optimizer`.

    Args:
        learning_rate: float, schedule or callable.
        beta_1: decay of the first moment, in [0, 1].
        beta_2: decay of the second moment, in [0, 1].
        epsilon: added to the denominator (the paper's "epsilon hat").
        amsgrad: divide by the largest second moment so far.

    >>> from kcore import optimizers
    >>> float(optimizers.Adam(learning_rate=0.5).learning_rate.numpy())
    0.5
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        self.amsgrad = amsgrad

    def build(self, variables: Iterable[Variable]) -> None:
        """Makes the slots."""
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        self._velocity_hats = self.add_optimizer_variables(variables, "velocity_hat") if self.amsgrad else []

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Updates one variable and its moments."""
        i = self._get_variable_index(variable)
        m, v = self._momentums[i], self._velocities[i]
        v_hat = self._velocity_hats[i] if self.amsgrad else None
        w, m_new, v_new, v_hat_new = optim.adam(
            variable.value,
            gradient,
            learning_rate,
            self._step,
            m.value,
            v.value,
            None if v_hat is None else v_hat.value,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )
        variable.assign(w)
        m.assign(m_new)
        v.assign(v_new)
        if v_hat is not None:
            v_hat.assign(v_hat_new)

    def get_config(self) -> dict[str, Any]:
        """The arguments to build an equal optimizer with."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}
        return {**super().get_config(), **own}


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101), 0.004 by default.

    The decay is multiplied by the learning rate, as in every optimizer here. Arguments as for `Adam`.

    >>> from kcore import optimizers
    >>> optimizers.AdamW().weight_decay
    0.004
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        if weight_decay is None:
            raise ValueError(f"[{name or 'AdamW'}] expected `weight_decay` to be a float, received None")
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
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
