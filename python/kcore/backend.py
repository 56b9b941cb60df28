"""`keras.backend`: the few names of it that are public in Keras 3."""

from kcore.autograd.config import (
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from kcore.autograd.dtype import is_floating, result_type, standardize_dtype
from kcore.graph.keras_tensor import is_keras_tensor
from kcore.naming import get_uid
from kcore.session import clear_session

__all__ = [
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "result_type",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "standardize_dtype",
]


def backend() -> str:
    """The name of what computes: "kcore".

    >>> backend()
    'kcore'
    """
    return "kcore"


def is_float_dtype(dtype: object) -> bool:
    """Whether a dtype is a float type.

    >>> is_float_dtype("float32"), is_float_dtype("int32")
    (True, False)
    """
    return is_floating(standardize_dtype(dtype))


def is_int_dtype(dtype: object) -> bool:
    """Whether a dtype is an integer type, signed or not.

    >>> is_int_dtype("uint8"), is_int_dtype("bool")
    (True, False)
    """
    return "int" in standardize_dtype(dtype)
