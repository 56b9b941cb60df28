"""Float64 convolutions, tap by tap, with whole padded arrays."""

import itertools

import numpy as np


def _taps(x_spatial, kernel_spatial, strides, pads, dilations):
    """Output sizes, and for each tap the slices of the padded input that it meets."""
    rank = len(x_spatial)
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    pads = np.reshape(pads or [0] * 2 * rank, (rank, 2))
    out = [
        (n + lo + hi - (k - 1) * d - 1) // s + 1
        for n, k, s, (lo, hi), d in zip(x_spatial, kernel_spatial, strides, pads, dilations, strict=True)
    ]
    slices = {
        tap: tuple(
            slice(t * d, t * d + (o - 1) * s + 1, s) for t, o, s, d in zip(tap, out, strides, dilations, strict=True)
        )
        for tap in itertools.product(*map(range, kernel_spatial))
    }
    return out, slices, pads


def _padded(x, pads):
    """x with zeros around its spatial dimensions; a negative pad crops."""
    widths = [(0, 0), *((max(lo, 0), max(hi, 0)) for lo, hi in pads), (0, 0)]
    crop = tuple(slice(max(-lo, 0), n - max(-hi, 0)) for n, (lo, hi) in zip(x.shape[1:-1], pads, strict=True))
    return np.pad(x[(slice(None), *crop)], widths)


def _grouped(array, groups):
    return array.reshape(*array.shape[:-1], groups, array.shape[-1] // groups)


def conv(x, kernel, strides=(), pads=(), dilations=(), groups=1):
    """Convolution, channels last: x (n, spatial..., c), kernel (spatial..., c / groups, f)."""
    out, slices, pads = _taps(x.shape[1:-1], kernel.shape[:-2], list(strides), list(pads), list(dilations))
    x = _padded(np.asarray(x, np.float64), pads)
    y = np.zeros((x.shape[0], *out, groups, kernel.shape[-1] // groups))
    for tap, where in slices.items():
        y += np.einsum(
            "...gc,cgf->...gf",
            _grouped(x[(slice(None), *where)], groups),
            _grouped(kernel[tap].astype(np.float64), groups),
        )
    return y.reshape(x.shape[0], *out, kernel.shape[-1])


def conv_input_grad(dy, kernel, input_shape=(), strides=(), pads=(), dilations=(), groups=1):
    """What conv's x receives from dy: every tap adds to the pixels it met."""
    _, slices, pads = _taps(input_shape, kernel.shape[:-2], list(strides), list(pads), list(dilations))
    full = [n + max(lo, 0) + max(hi, 0) for n, (lo, hi) in zip(input_shape, pads, strict=True)]
    # A cropped input is a window of the array; negative pads shift where the taps land.
    shift = [max(-lo, 0) for lo, _ in pads]
    dx = np.zeros((dy.shape[0], *full, groups, kernel.shape[-2]))
    for tap, where in slices.items():
        where = tuple(slice(w.start + s, w.stop + s, w.step) for w, s in zip(where, shift, strict=True))
        dx[(slice(None), *where)] += np.einsum(
            "...gf,cgf->...gc",
            _grouped(np.asarray(dy, np.float64), groups),
            _grouped(kernel[tap].astype(np.float64), groups),
        )
    inner = tuple(slice(max(lo, 0), max(lo, 0) + n) for n, (lo, _) in zip(input_shape, pads, strict=True))
    dx = dx[(slice(None), *inner)]
    return dx.reshape(*dx.shape[:-2], -1) if dx.size else np.zeros((*dx.shape[:-2], groups * kernel.shape[-2]))


def conv_kernel_grad(x, dy, kernel_shape=(), strides=(), pads=(), dilations=(), groups=1):
    """What conv's kernel receives from dy."""
    _, slices, pads = _taps(x.shape[1:-1], kernel_shape, list(strides), list(pads), list(dilations))
    x = _padded(np.asarray(x, np.float64), pads)
    dk = np.zeros((*kernel_shape, x.shape[-1] // groups, dy.shape[-1]))
    for tap, where in slices.items():
        product = np.einsum(
            "pgc,pgf->cgf",
            *(
                _grouped(a.reshape(-1, a.shape[-1]), groups)
                for a in (x[(slice(None), *where)], np.asarray(dy, np.float64))
            ),
        )
        dk[tap] = product.reshape(dk.shape[-2:])
    return dk
