"""SpectralNormalization: a layer whose kernel is divided by its largest singular value."""

from __future__ import annotations

from kcore import ops
from kcore.layers.core.wrapper import Wrapper
from kcore.layers.options import positive_int


class SpectralNormalization(Wrapper):
    """Wraps a layer with a `kernel` (or `embeddings`) and keeps its spectral norm at 1 during training.

    Args:
        layer: the layer to wrap.
        power_iterations: steps of power iteration per training call.

    Weights: the layer's, and `vector_u (1, last size of the kernel)`. Miyato et al., arXiv 1802.05957.

    >>> import numpy as np
    >>> from kcore.layers import Dense
    >>> SpectralNormalization(Dense(3))(np.ones((2, 4), "float32"), training=True).shape
    (2, 3)
    """

    def __init__(self, layer, power_iterations=1, **kwargs):
        super().__init__(layer, **kwargs)
        self.power_iterations = positive_int(self, "power_iterations", power_iterations)

    def build(self, input_shape):
        super().build(input_shape)
        kernel = getattr(self.layer, "kernel", None)
        kernel = getattr(self.layer, "embeddings", None) if kernel is None else kernel
        if kernel is None:
            raise ValueError(
                f"[SpectralNormalization] expected a layer with a kernel or embeddings, received {self.layer!r}"
            )
        self.kernel = kernel
        self.vector_u = self.add_weight(
            name="vector_u", shape=(1, kernel.shape[-1]), initializer="random_normal", trainable=False
        )
        self.built = True

    def call(self, inputs, training=False):
        if training:
            self._normalize()
        return self.layer(inputs)

    def _normalize(self) -> None:
        matrix = ops.stop_gradient(ops.reshape(self.kernel, (-1, self.kernel.shape[-1])))
        u = ops.convert_to_tensor(self.vector_u)
        for _ in range(self.power_iterations):
            v = _unit(ops.matmul(u, ops.transpose(matrix)))
            u = _unit(ops.matmul(v, matrix))
        sigma = ops.matmul(ops.matmul(v, matrix), ops.transpose(u))  # (1, 1)
        self.vector_u.assign(u)
        self.kernel.assign(ops.divide(self.kernel, ops.reshape(sigma, ())))

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "power_iterations": self.power_iterations}


def _unit(x):
    return ops.multiply(x, ops.rsqrt(ops.maximum(ops.sum(ops.square(x)), 1e-12)))
