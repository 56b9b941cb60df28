"""Optimizer updates, in place: the fused ones where PyTorch has them for CPUs, else those over lists of tensors."""

import torch
from torch.optim import adadelta as adadelta_
from torch.optim import adamax as adamax_
from torch.optim import nadam as nadam_
from torch.optim import rmsprop as rmsprop_

from . import peer

_PLAIN = {"weight_decay": 0.0, "maximize": False}
_LIST = {**_PLAIN, "foreach": True}


def _step(step):
    return step.float()


@peer("sgd")
def sgd(w, g, slot, rate, momentum=0.0, nesterov=False):
    slots = [] if slot is None else [slot]
    torch._fused_sgd_(
        [w],
        [g],
        slots,
        momentum=momentum,
        dampening=0.0,
        lr=float(rate),
        nesterov=nesterov,
        is_first_step=False,
        **_PLAIN,
    )
    return (w,) if slot is None else (None,)  # its slot is of gradients, Keras's of steps


@peer("adam")
def adam(w, g, m, v, v_hat, rate, step, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    torch._fused_adam_(
        [w], [g], [m], [v], [] if v_hat is None else [v_hat], [_step(step)],
        lr=float(rate), beta1=beta_1, beta2=beta_2, eps=epsilon, amsgrad=v_hat is not None, **_PLAIN,
    )  # fmt: skip
    return w, m, v


@peer("adagrad")
def adagrad(w, g, accumulator, rate, epsilon=1e-7):
    torch._fused_adagrad_(
        [w], [g], [accumulator], [torch.ones(())], lr=float(rate), lr_decay=0.0, eps=epsilon, **_PLAIN
    )
    return None, accumulator


# The others add epsilon in other places than Keras: only times are compared.


@peer("rmsprop", comparable=False)
def rmsprop(w, g, velocity, average, slot, rate, rho=0.9, momentum=0.0, epsilon=1e-7):
    slots = [[] if x is None else [x] for x in (average, slot)]
    rmsprop_.rmsprop(
        [w], [g], [velocity], *slots, [torch.zeros(())],
        lr=float(rate), alpha=rho, eps=epsilon, momentum=momentum, centered=average is not None, **_LIST,
    )  # fmt: skip
    return w, velocity


@peer("adadelta", comparable=False)
def adadelta(w, g, squares, deltas, rate, rho=0.95, epsilon=1e-7):
    adadelta_.adadelta([w], [g], [squares], [deltas], [torch.zeros(())], lr=float(rate), rho=rho, eps=epsilon, **_LIST)
    return w, squares, deltas


@peer("adamax", comparable=False)
def adamax(w, g, m, u, rate, step, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    adamax_.adamax([w], [g], [m], [u], [_step(step)], lr=float(rate), beta1=beta_1, beta2=beta_2, eps=epsilon, **_LIST)
    return w, m, u


@peer("nadam", comparable=False)
def nadam(w, g, m, v, rate, step, u_product, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    nadam_.nadam(
        [w], [g], [m], [v], [u_product.clone()], [_step(step)],
        lr=float(rate), beta1=beta_1, beta2=beta_2, eps=epsilon, momentum_decay=4e-3, **_LIST,
    )  # fmt: skip
    return w, m, v
