"""Pooling, written as its definition: one window after the other."""

import itertools

import numpy as np


def windows(x, window, strides, pads):
    """Yields (index of the output, slices of x inside the window) for x (N, spatial..., C)."""
    spatial = x.shape[1:-1]
    lengths = [
        (n + pads[2 * i] + pads[2 * i + 1] - k) // s + 1 for i, (n, k, s) in enumerate(zip(spatial, window, strides))
    ]
    for index in itertools.product(*map(range, lengths)):
        starts = [o * s - pads[2 * i] for i, (o, s) in enumerate(zip(index, strides))]
        inside = tuple(slice(max(a, 0), min(a + k, n)) for a, k, n in zip(starts, window, spatial))
        yield index, inside


def _output(x, window, strides, pads):
    last = [index for index, _ in windows(x, window, strides, pads)][-1]
    return np.zeros((x.shape[0], *(i + 1 for i in last), x.shape[-1]), x.dtype)


def pool(function):
    """y[window] = function(elements of the window inside x)."""

    def oracle(x, window, strides, pads):
        y = _output(x, window, strides, pads)
        axes = tuple(range(1, x.ndim - 1))
        for index, inside in windows(x, window, strides, pads):
            y[(slice(None), *index)] = function(x[(slice(None), *inside)], axis=axes)
        return y

    return oracle


def _maxima(x, window, strides, pads):
    """Yields (index of y, index of x) of each window's first maximum, sample and channel included."""
    for index, inside in windows(x, window, strides, pads):
        part = x[(slice(None), *inside)]
        for n, c in itertools.product(range(x.shape[0]), range(x.shape[-1])):
            one = part[n, ..., c]
            at = np.unravel_index(np.argmax(one), one.shape)
            yield (n, *index, c), (n, *(s.start + i for s, i in zip(inside, at)), c)


def max_pool_grad(dy, x, window, strides, pads):
    dx = np.zeros_like(x)
    for out, at in _maxima(x, window, strides, pads):
        dx[at] += dy[out]
    return dx


def max_pool_take(v, x, window, strides, pads):
    y = _output(x, window, strides, pads)
    for out, at in _maxima(x, window, strides, pads):
        y[out] = v[at]
    return y


def average_pool_grad(dy, window, strides, pads, size):
    dx = np.zeros((dy.shape[0], *size, dy.shape[-1]))
    for index, inside in windows(dx, window, strides, pads):
        part = dx[(slice(None), *inside)]
        count = np.prod(part.shape[1:-1])
        part += (dy[(slice(None), *index)] / count).reshape(dy.shape[0], *[1] * len(size), dy.shape[-1])
    return dx
