"""Tensors and gradients on top of the compute core.

Receives arrays and op names from everything above; hands op calls to `_core.run` through one door, `apply`.
Imports nothing of kcore but `_core`.
"""

from kcore.autograd.apply import apply, is_recorded, vjp, vjp_of
from kcore.autograd.dtype import result_type, standardize_dtype
from kcore.autograd.recorded_function import function, jit
from kcore.autograd.tape import GradientTape, custom_gradient, grad, stop_gradient, value_and_grad
from kcore.autograd.tensor import Tensor, convert_to_tensor, is_tensor
from kcore.autograd.variable import Variable

__all__ = [
    "GradientTape",
    "Tensor",
    "Variable",
    "apply",
    "convert_to_tensor",
    "custom_gradient",
    "function",
    "grad",
    "is_recorded",
    "is_tensor",
    "jit",
    "result_type",
    "standardize_dtype",
    "stop_gradient",
    "value_and_grad",
    "vjp",
    "vjp_of",
]
