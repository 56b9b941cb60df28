"""Optimizer updates as pure ops: weight, gradient and slots in, the new weight and the new slots out.

`learning_rate` and `step` (1 for the first update) are 0-d tensors or numbers; a recorded program reads them anew each
time. Slots have the shape and dtype of the weight. A slot that is None is not used, and None comes back for it.
"""

from __future__ import annotations

from typing import Any

from kcore.autograd import Tensor, apply
from kcore.ops.operands import as_tensor

Slots = tuple[Tensor | None, ...]


def _update(op: str, tensors: tuple, slots: tuple, scalars: tuple, attrs: dict[str, Any]) -> Slots:
    given = [None if slot is None else as_tensor(slot) for slot in slots]
    out = apply(op, (*map(as_tensor, tensors), *given, *map(as_tensor, scalars)), attrs)
    return (out[0], *(None if slot is None else new for slot, new in zip(slots, out[1:])))


def sgd(
    w: Any, g: Any, learning_rate: Any, momentum_slot: Any = None, momentum: float = 0.0, nesterov: bool = False
) -> Slots:
    """Gradient descent: m = momentum m - lr g, w = w + m; with `nesterov` w = w + momentum m - lr g.

    Returns:
        (w, momentum_slot).

    >>> [None if v is None else v.tolist() for v in sgd([1.0], [0.5], 0.1)]
    [[0.949999988079071], None]
    """
    return _update("sgd", (w, g), (momentum_slot,), (learning_rate,), {"momentum": momentum, "nesterov": nesterov})


def adagrad(w: Any, g: Any, learning_rate: Any, accumulator: Any, epsilon: float = 1e-7) -> Slots:
    """Duchi et al., JMLR 12, 2011: a = a + g^2, w = w - lr g / sqrt(a + epsilon). Returns (w, accumulator)."""
    return _update("adagrad", (w, g), (accumulator,), (learning_rate,), {"epsilon": epsilon})


def rmsprop(
    w: Any,
    g: Any,
    learning_rate: Any,
    velocity: Any,
    average: Any = None,
    momentum_slot: Any = None,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
) -> Slots:
    """Tieleman and Hinton, 2012; v = rho v + (1 - rho) g^2, w = w - lr g / sqrt(v + epsilon).

    Args:
        w, g, learning_rate: Weight, gradient, 0-d rate.
        velocity: Slot v.
        average: Slot of the centered form, the average of g, whose square is subtracted from v.
        momentum_slot: Slot m = momentum m + lr g / sqrt(v + epsilon), then w = w - m.

    Returns:
        (w, velocity, average, momentum_slot).
    """
    attrs = {"rho": rho, "momentum": momentum, "epsilon": epsilon}
    return _update("rmsprop", (w, g), (velocity, average, momentum_slot), (learning_rate,), attrs)


def adadelta(
    w: Any,
    g: Any,
    learning_rate: Any,
    accumulated_g: Any,
    accumulated_delta: Any,
    rho: float = 0.95,
    epsilon: float = 1e-7,
) -> Slots:
    """Zeiler, https://arxiv.org/abs/1212.5701. Returns (w, accumulated_g, accumulated_delta)."""
    slots = (accumulated_g, accumulated_delta)
    return _update("adadelta", (w, g), slots, (learning_rate,), {"rho": rho, "epsilon": epsilon})


def adam(
    w: Any,
    g: Any,
    learning_rate: Any,
    step: Any,
    m: Any,
    v: Any,
    v_hat: Any = None,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Slots:
    """Kingma and Ba, https://arxiv.org/abs/1412.6980; with `v_hat` the AMSGrad form (Reddi et al., 1904.09237).

        m = m + (1 - beta_1)(g - m);  v = v + (1 - beta_2)(g^2 - v)
        w = w - lr sqrt(1 - beta_2^step) / (1 - beta_1^step) m / (sqrt(v) + epsilon)

    AdamW is the same after a decay of the weight. Returns (w, m, v, v_hat).
    """
    attrs = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
    return _update("adam", (w, g), (m, v, v_hat), (learning_rate, step), attrs)


def adamax(
    w: Any,
    g: Any,
    learning_rate: Any,
    step: Any,
    m: Any,
    u: Any,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Slots:
    """Adam with the infinity norm, u = max(beta_2 u, |g|); section 7.1 of 1412.6980. Returns (w, m, u)."""
    attrs = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
    return _update("adamax", (w, g), (m, u), (learning_rate, step), attrs)


def nadam(
    w: Any,
    g: Any,
    learning_rate: Any,
    step: Any,
    u_product: Any,
    m: Any,
    v: Any,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Slots:
    """Adam with Nesterov momentum (Dozat, 2016).

    Args:
        u_product: 0-d; the product of the momenta beta_1 (1 - 0.96^t / 2) of all steps t up to and with `step`.

    Returns:
        (w, m, v).
    """
    attrs = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
    return _update("nadam", (w, g), (m, v), (learning_rate, step, u_product), attrs)


def lion(w: Any, g: Any, learning_rate: Any, m: Any, beta_1: float = 0.9, beta_2: float = 0.99) -> Slots:
    """Chen et al., https://arxiv.org/abs/2302.06675: w = w - lr sign(beta_1 m + (1 - beta_1) g). Returns (w, m)."""
    return _update("lion", (w, g), (m,), (learning_rate,), {"beta_1": beta_1, "beta_2": beta_2})


def ftrl(
    w: Any,
    g: Any,
    learning_rate: Any,
    accumulator: Any,
    linear: Any,
    learning_rate_power: float = -0.5,
    l1: float = 0.0,
    l2: float = 0.0,
    l2_shrinkage: float = 0.0,
    beta: float = 0.0,
) -> Slots:
    """Follow the regularized leader (McMahan et al., KDD 2013). Returns (w, accumulator, linear)."""
    attrs = {
        "learning_rate_power": learning_rate_power,
        "l1": l1,
        "l2": l2,
        "l2_shrinkage": l2_shrinkage,
        "beta": beta,
    }
    return _update("ftrl", (w, g), (accumulator, linear), (learning_rate,), attrs)
