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


def max_pool(x, window, strides, pads, caches=True):
    """The maxima, and which position of its window, padding counted, the first of them has."""
    y = pool(np.max)(x, window, strides, pads)
    positions = np.zeros(y.shape, "uint8" if np.prod(window) <= 256 else "int32")
    for index, inside in windows(x, window, strides, pads):
        part = x[(slice(None), *inside)]
        start = [s.start - o * t + pads[2 * i] for i, (s, o, t) in enumerate(zip(inside, index, strides))]
        for n, c in itertools.product(range(x.shape[0]), range(x.shape[-1])):
            at = np.unravel_index(np.argmax(part[n, ..., c]), part.shape[1:-1])
            positions[(n, *index, c)] = np.ravel_multi_index([a + b for a, b in zip(start, at)], window)
    return (y, positions) if caches else (y, np.zeros(0, "uint8"))


def _maxima(positions, window, strides, pads):
    """Yields (index of y, index of x) of each window's maximum, sample and channel included."""
    for out in np.ndindex(positions.shape):
        n, *index, c = out
        at = np.unravel_index(positions[out], window)
        yield out, (n, *(o * s - pads[2 * i] + k for i, (o, s, k) in enumerate(zip(index, strides, at))), c)


def max_pool_grad(dy, positions, window, strides, pads, size):
    dx = np.zeros((dy.shape[0], *size, dy.shape[-1]))
    for out, at in _maxima(positions, window, strides, pads):
        dx[at] += dy[out]
    return dx


def max_pool_take(v, positions, window, strides, pads):
    y = np.zeros(positions.shape)
    for out, at in _maxima(positions, window, strides, pads):
        y[out] = v[at]
    return y


def average_pool_grad(dy, window, strides, pads, size):
    dx = np.zeros((dy.shape[0], *size, dy.shape[-1]))
    for index, inside in windows(dx, window, strides, pads):
        part = dx[(slice(None), *inside)]
        count = np.prod(part.shape[1:-1])
        part += (dy[(slice(None), *index)] / count).reshape(dy.shape[0], *[1] * len(size), dy.shape[-1])
    return dx
