"""The three convolution ops against sums tap by tap: ranks, strides, pads, dilations, groups, depthwise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oracles.conv import conv, conv_input_grad, conv_kernel_grad

from .case import Case, normal
from .matmul import ACTIVATIONS

_WHY = "rounding of a sum in spans of 256, relative to the sum of absolute products"


def _flops(y, kernel):
    """Two for each output and each weight of its filter."""
    return 2.0 * math.prod(y.shape) * math.prod(kernel.shape[:-1])


FLOPS = {
    "conv": lambda inputs, outputs, attrs: _flops(outputs[0], inputs[1]),
    "conv_input_grad": lambda inputs, outputs, attrs: _flops(*inputs[:2]),
    "conv_kernel_grad": lambda inputs, outputs, attrs: _flops(inputs[1], outputs[0]),
}


def _case(op, oracle, inputs, attrs, name, second):
    def scale(a, b, **attrs):
        return oracle(np.abs(a), np.abs(b), **attrs)

    return Case(
        op, inputs, oracle, attrs=attrs, scale=scale, ulps=6, why=_WHY, flops=FLOPS[op], name=name, second=second
    )


def window(
    name: str,
    batch: int,
    sizes: tuple[int, ...],
    channels: int,
    kernel: tuple[int, ...],
    filters: int,
    groups: int = 1,
    second: bool = False,
    **attrs: Any,
) -> list[Case]:
    """A convolution and both of its gradients, as ops of their own."""
    attrs["groups"] = groups
    x = normal(batch, *sizes, channels, key="x")
    w = normal(*kernel, channels // groups, filters, key="w")
    y_shape = conv(x, w, **attrs).shape
    dy = normal(*y_shape, key="dy")
    return [
        _case("conv", conv, [x, w], attrs, name, second),
        _case("conv_input_grad", conv_input_grad, [dy, w], {"input_shape": list(sizes), **attrs}, name, second),
        _case("conv_kernel_grad", conv_kernel_grad, [x, dy], {"kernel_shape": list(kernel), **attrs}, name, second),
    ]


def with_epilogue(x, w, bias=None, residual=None, activation="linear", **attrs):
    return ACTIVATIONS[activation](sum((z for z in (bias, residual) if z is not None), conv(x, w, **attrs)))


def with_statistics(*inputs, statistics, **attrs):
    y = with_epilogue(*inputs, **attrs)
    rows = y.reshape(-1, y.shape[-1])
    return y, rows.mean(0), rows.var(0)


def statistics(name: str, batch: int, filters: int, **options: Any) -> Case:
    """A case with the mean and variance of each filter."""
    x, w = normal(batch, 5, 6, 3, key="x"), normal(3, 3, 3, filters, key="w")
    return Case(
        "conv",
        [x, w, normal(filters, key="bias")],
        with_statistics,
        attrs={"statistics": True, "activation": "tanh", "pads": [1, 1, 1, 1]},
        ulps=24,
        why="rounding of y; its sums are in groups of 256, around a mean, and those in float64",
        name=f"statistics {name}",
        **options,
    )


def magnitude(x, w, bias=None, residual=None, activation="linear", **attrs):
    extra = sum((np.abs(z) for z in (bias, residual) if z is not None), 0)
    return conv(np.abs(x), np.abs(w), **attrs) + extra


def fused(
    name: str,
    x_shape: tuple[int, ...],
    kernel: tuple[int, ...],
    filters: int,
    activation: str = "linear",
    bias: bool = True,
    residual: bool = False,
    second: bool = False,
    **attrs: Any,
) -> Case:
    """A convolution with an epilogue."""
    x = normal(*x_shape, key="x")
    w = normal(*kernel, x_shape[-1] // attrs.get("groups", 1), filters, key="w")
    y = conv(x, w, **attrs)
    return Case(
        "conv",
        [x, w, normal(filters, key="bias") if bias else None, normal(*y.shape, key="residual") if residual else None],
        with_epilogue,
        attrs={**attrs, "activation": activation},
        scale=magnitude,
        ulps=6,
        why=_WHY + "; slopes are at most one",
        flops=2 * y.size * w.size // filters,
        name=f"{name} {activation}{' bias' * bias}{' residual' * residual}",
        second=second,
    )


CASES = [
    *window("plain", 2, (5, 6), 3, (3, 2), 4, second=True),
    *window("pointwise", 2, (4, 5), 7, (1, 1), 9),
    *window("pointwise groups", 2, (4, 5), 6, (1, 1), 9, groups=3),
    *window("pads", 1, (5, 4), 2, (3, 3), 3, pads=[1, 2, 0, 1]),
    *window("cropped", 1, (7, 6), 2, (3, 2), 3, pads=[-1, 2, 1, -2]),
    *window("stride", 2, (7, 8), 3, (3, 3), 5, strides=[2, 3], pads=[1, 1, 0, 2], second=True),
    *window("stride beyond kernel", 1, (9, 8), 2, (2, 1), 3, strides=[4, 3]),
    *window("dilation", 1, (9, 9), 4, (3, 2), 3, dilations=[2, 3], pads=[2, 1, 0, 3]),
    *window("stride and dilation", 1, (11, 12), 3, (3, 3), 4, strides=[2, 3], dilations=[3, 2], pads=[3, 3, 2, 1]),
    *window("wide taps", 1, (4, 9), 17, (2, 3), 35, pads=[1, 0, 1, 1]),  # taps of more than 16 channels
    *window("one channel", 3, (6, 6), 1, (3, 3), 33, pads=[1, 1, 1, 1]),
    *window("long sum", 1, (4, 4), 70, (2, 2), 5, pads=[1, 0, 1, 0]),  # K of 280: more than a span
    *window("padded pixels", 1, (3, 4), 256, (2, 2), 9, pads=[1, 0, 1, 0]),  # neighbours would share a set of L1
    *window("groups", 2, (5, 5), 6, (3, 3), 8, groups=2, pads=[1, 1, 1, 1], strides=[2, 1], second=True),
    *window("depthwise", 2, (6, 5), 5, (3, 3), 5, groups=5, pads=[1, 1, 1, 1], second=True),
    *window("depthwise multiplier", 1, (6, 7), 4, (3, 2), 12, groups=4, strides=[2, 1], dilations=[1, 2]),
    *window("depthwise wide", 1, (3, 4), 83, (2, 2), 83, groups=83, pads=[0, 1, 1, 0]),
    *window("depthwise stride", 1, (7, 7), 3, (3, 3), 3, groups=3, strides=[2, 3], pads=[1, 0, 2, 2]),
    *window("line", 2, (9,), 4, (3,), 5, strides=[2], pads=[2, 0]),
    *window("causal line", 1, (8,), 3, (3,), 2, dilations=[2], pads=[4, 0]),
    *window("depthwise line", 1, (8,), 3, (2,), 6, groups=3),
    *window("volume", 1, (4, 3, 5), 2, (2, 3, 2), 3, strides=[1, 2, 2], pads=[0, 1, 1, 1, 0, 1], second=True),
    *window("depthwise volume", 1, (4, 3, 4), 2, (2, 2, 3), 4, groups=2, pads=[0, 1, 1, 0, 1, 1]),
    *window("whole image", 2, (3, 3), 2, (3, 3), 4),
    *window("few to many groups", 2, (5, 6), 12, (3, 3), 12, groups=3, pads=[1, 1, 1, 1]),
    *window("slab of several boxes", 3, (19, 33), 5, (3, 3), 18, pads=[1, 1, 1, 1]),
    *window("strided whole rows", 2, (40, 41), 32, (1, 1), 40, strides=[2, 2]),
    *window("depthwise chunks", 2, (9, 23), 70, (3, 3), 70, groups=70, pads=[1, 1, 1, 1], strides=[1, 2]),
    *window("depthwise chunks multiplier", 2, (9, 5), 40, (3, 3), 80, groups=40, pads=[1, 1, 1, 1]),
    *window("depthwise many taps", 1, (9, 9), 17, (6, 5), 17, groups=17, pads=[2, 3, 2, 2]),
    statistics("of one group", 2, 7),
    statistics("of several groups", 21, 19, grad=False),
    fused("direct", (2, 5, 6, 3), (3, 2), 5, "relu", second=True),
    fused("direct", (2, 5, 6, 3), (3, 2), 37, "tanh", residual=True, pads=[1, 1, 0, 1]),
    fused("direct", (2, 5, 6, 4), (3, 3), 6, "sigmoid", residual=True, groups=2, strides=[2, 1]),
    fused("direct", (2, 5, 6, 3), (3, 3), 5, "linear", bias=False, residual=True),
    fused("direct spans", (1, 4, 4, 300), (2, 2), 7, "relu"),
    fused("direct groups", (1, 4, 5, 20), (2, 2), 18, "tanh", residual=True, groups=2),
    fused("pointwise", (2, 4, 5, 7), (1, 1), 9, "sigmoid", residual=True),
    fused("pointwise packed groups", (1, 2, 3, 4), (1, 1), 2080, "tanh", residual=True, groups=2),
    fused("pointwise", (2, 4, 5, 6), (1, 1), 8, "tanh", residual=True, groups=2),
    fused("few filters", (2, 4, 5, 16), (3, 2), 5, "linear", residual=True, second=True),
    fused("pairs", (2, 5, 6, 8), (3, 3), 40, "tanh", residual=True),
    fused("depthwise", (2, 6, 5, 21), (3, 3), 21, "tanh", residual=True, groups=21, pads=[1, 1, 1, 1], second=True),
    fused("depthwise", (1, 6, 5, 4), (3, 3), 12, "sigmoid", groups=4),
    *window("few filters", 2, (5, 7), 16, (3, 3), 3, pads=[1, 1, 1, 1], second=True),  # lanes are columns of patches
    *window("few filters of many channels", 1, (9, 11), 32, (2, 3), 7, dilations=[2, 2], pads=[1, 1, 2, 2]),
    *window("few channels of many filters", 1, (11, 9), 2, (3, 3), 48, strides=[2, 2], pads=[1, 1, 1, 1]),
    *window(
        "pairs", 2, (9, 11), 6, (3, 3), 20, pads=[1, 1, 1, 1]
    ),  # bfloat16 is multiplied in pairs; rows of 11 leave one
    *window("pairs stride", 1, (8, 13), 10, (3, 3), 18, strides=[1, 2], pads=[1, 1, 0, 1]),
    *window(
        "pairs stride and dilation", 1, (9, 17), 16, (2, 3), 34, strides=[2, 2], dilations=[2, 3], pads=[1, 1, 3, 2]
    ),
    *window("pairs groups", 2, (6, 7), 36, (3, 3), 40, groups=2, pads=[1, 1, 1, 1]),
    *window("pairs pointwise", 2, (5, 5), 34, (1, 1), 24),
    *window("pairs in spans", 1, (4, 5), 192, (3, 3), 40, pads=[1, 1, 1, 1]),
    *window("pairs line", 2, (19,), 12, (4,), 16, pads=[3, 0]),
    *window("no images", 0, (4, 4), 3, (3, 3), 2),
    *window("no images depthwise", 0, (4, 4), 3, (3, 3), 3, groups=3),
]
