"""Settings of the process that Keras calls `keras.config`: default float type, epsilon, image layout."""

from __future__ import annotations

from kcore import _core

_settings = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}


def floatx() -> str:
    """The default float dtype, `"float32"` unless changed by `set_floatx`."""
    return _settings["floatx"]


def set_floatx(value: str) -> None:
    """Sets the default float dtype: `"bfloat16"`, `"float32"` or `"float64"`."""
    if value not in ("bfloat16", "float32", "float64"):
        raise ValueError(f"[set_floatx] expected 'bfloat16', 'float32' or 'float64', received {value!r}")
    _settings["floatx"] = value


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite, 1e-7 unless changed."""
    return _settings["epsilon"]


def set_epsilon(value: float) -> None:
    """Sets the value of `epsilon()`; it must be positive."""
    if not value > 0:
        raise ValueError(f"[set_epsilon] expected a positive number, received {value!r}")
    _settings["epsilon"] = float(value)


def image_data_format() -> str:
    """`"channels_last"` unless changed by `set_image_data_format`."""
    return _settings["image_data_format"]


def set_image_data_format(data_format: str) -> None:
    """Sets the default layout of images: `"channels_last"` or `"channels_first"`."""
    _settings["image_data_format"] = standardize_data_format(data_format)


def standardize_data_format(data_format: str | None) -> str:
    """The layout that `data_format` names; the default one for None."""
    if data_format is None:
        return image_data_format()
    data_format = str(data_format).lower()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"[data_format] expected 'channels_last' or 'channels_first', received {data_format!r}")
    return data_format


def float32_matmul_precision() -> str:
    """How much of float32 the products of matrices and convolutions keep; see `set_float32_matmul_precision`."""
    return _core.float32_matmul_precision()


def set_float32_matmul_precision(precision: str) -> None:
    """Sets how much of float32 the products of matrices and convolutions keep, for the whole process.

    PyTorch's names (https://docs.pytorch.org/docs/stable/generated/torch.set_float32_matmul_precision.html), and one
    more. Looser settings are faster where the CPU multiplies bfloat16 (AMX, AVX-512 BF16); elsewhere all are alike. The
    environment variable `KCORE_FLOAT32_MATMUL_PRECISION` sets what a process starts with.

    Args:
        precision: `"ieee"`: fused multiply-adds. `"highest"` (default): the error bound of these, `K * 2**-24` times
            the sum of absolute products, by whichever kernel is fastest; AMX treats values below 2**-126 as zero.
            `"high"`: operands of 16 bits, within `2**-14`. `"medium"`: operands rounded to bfloat16, within `2**-6.9`.

    Raises:
        ValueError: An unknown name.

    >>> set_float32_matmul_precision("high")
    >>> float32_matmul_precision()
    'high'
    >>> set_float32_matmul_precision("highest")
    """
    _core.set_float32_matmul_precision(precision)
