"""Initializers without chance: Zeros, Ones, Constant, Identity, STFT."""

from __future__ import annotations

import numpy as np

from kcore import ops
from kcore.autograd import Tensor
from kcore.autograd.config import floatx
from kcore.initializers.initializer import Initializer, check_shape
from kcore.saving import deserialize_keras_object, serialize_keras_object


class Zeros(Initializer):
    """All zero."""

    def __call__(self, shape, dtype=None, **kwargs) -> Tensor:
        return ops.zeros(check_shape("Zeros", shape), dtype=dtype or floatx())


class Ones(Initializer):
    """All one."""

    def __call__(self, shape, dtype=None, **kwargs) -> Tensor:
        return ops.ones(check_shape("Ones", shape), dtype=dtype or floatx())


class Constant(Initializer):
    """`value` everywhere: a number, or an array that broadcasts to the shape."""

    def __init__(self, value=0.0):
        self.value = value

    def __call__(self, shape, dtype=None, **kwargs) -> Tensor:
        value = ops.cast(ops.convert_to_tensor(self.value), dtype or floatx())
        return ops.broadcast_to(value, check_shape("Constant", shape))

    def get_config(self) -> dict:
        if isinstance(self.value, (int, float)):
            return {"value": self.value}
        return {"value": serialize_keras_object(np.asarray(self.value))}

    @classmethod
    def from_config(cls, config: dict) -> Constant:
        value = config["value"]
        if isinstance(value, dict):
            value = deserialize_keras_object(value)
        return cls(value)


class Identity(Initializer):
    """`gain` on the main diagonal of a matrix, zero elsewhere."""

    def __init__(self, gain=1.0):
        self.gain = gain

    def __call__(self, shape, dtype=None, **kwargs) -> Tensor:
        shape = check_shape("Identity", shape)
        if len(shape) != 2:
            raise ValueError(f"[Identity] expected a shape of rank 2, received {shape}")
        return ops.multiply(ops.eye(*shape, dtype=dtype or floatx()), self.gain)

    def get_config(self) -> dict:
        # Keras's files leave the gain out. It is written where they would lose it; Keras reads it back, too.
        return {} if self.gain == 1.0 else {"gain": self.gain}


class STFT(Initializer):
    """The real or imaginary part of a discrete Fourier transform: a Conv1D kernel (frame_length, 1, bins).

    Args:
        side: "real" or "imag".
        window: a name that scipy.signal.get_window knows among "hann" and "hamming", an array of frame_length, or None.
        scaling: "density", "spectrum" or None, as in scipy.signal.stft.
        periodic: whether the window is the periodic one.
    """

    def __init__(self, side="real", window="hann", scaling="density", periodic=False):
        if side not in ("real", "imag"):
            raise ValueError(f'[STFT] expected side "real" or "imag", received {side!r}')
        if isinstance(window, str) and window not in ("hann", "hamming"):
            raise ValueError(f'[STFT] expected window "hann", "hamming" or an array, received {window!r}')
        if scaling not in ("density", "spectrum", None):
            raise ValueError(f'[STFT] expected scaling "density", "spectrum" or None, received {scaling!r}')
        self.side = side
        self.window = window
        self.scaling = scaling
        self.periodic = periodic

    def __call__(self, shape, dtype=None, **kwargs) -> Tensor:
        shape = check_shape("STFT", shape)
        if len(shape) != 3 or shape[1] != 1:
            raise ValueError(f"[STFT] expected a shape (frame_length, 1, bins), received {shape}")
        length, _, bins = shape
        fft_length = (bins - 1) * 2
        angles = 2 * np.pi / fft_length * np.outer(np.arange(length), np.arange(bins))
        waves = np.cos(angles) if self.side == "real" else -np.sin(angles)
        window = self._window(length)
        if self.scaling == "density":
            window = window / np.sqrt(np.sum(window**2))
        elif self.scaling == "spectrum":
            window = window / np.sum(window)
        values = (waves * window[:, None])[:, None, :]
        return ops.cast(ops.convert_to_tensor(values), dtype or floatx())

    def _window(self, length: int) -> np.ndarray:
        if self.window is None:
            return np.ones(length)
        if not isinstance(self.window, str):
            window = np.asarray(self.window, dtype="float64")
            if window.shape != (length,):
                raise ValueError(f"[STFT] expected a window of shape ({length},), received {window.shape}")
            return window
        make = np.hanning if self.window == "hann" else np.hamming
        return make(length + 1)[:-1] if self.periodic else make(length)

    def get_config(self) -> dict:
        return {"side": self.side, "window": self.window, "periodic": self.periodic, "scaling": self.scaling}
