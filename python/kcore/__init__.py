"""kcore: Keras's API on a small C++ core of our own kernels."""

from kcore import ops
from kcore.autograd import GradientTape, Variable, custom_gradient, grad, stop_gradient, value_and_grad

__version__ = "0.1.0"
