"""Discretization: numbers to the bins they fall into."""

from __future__ import annotations

import numpy as np

from kcore import ops
from kcore.graph import KerasTensor
from kcore.layers.options import BuiltinLayer, get_options, one_of, positive_int
from kcore.layers.preprocessing.category_encoding import encode, encoded_shape


class Discretization(BuiltinLayer):
    """Replaces each number by the index of its bin; bin i holds [bin_boundaries[i - 1], bin_boundaries[i]).

    Args:
        bin_boundaries: ascending numbers between the bins; or
        num_bins: how many bins `adapt(data)` is to make, with equally many numbers in each.
        epsilon: how far the quantiles may be off, as Keras's configuration holds it; here they are exact.
        output_mode: `"int"`, `"one_hot"`, `"multi_hot"` or `"count"`.
        sparse: accepted if False: outputs are dense.

    >>> import numpy as np
    >>> Discretization([0.0, 1.0])(np.array([-1.0, 0.5, 1.0], "float32")).numpy().tolist()
    [0, 1, 2]
    """

    OPTIONS = ("bin_boundaries", "num_bins", "epsilon", "output_mode", "sparse")

    def __init__(
        self, bin_boundaries=None, num_bins=None, epsilon=0.01, output_mode="int", sparse=False, dtype=None, name=None
    ):
        super().__init__(name=name, dtype=dtype)
        if sparse:
            raise NotImplementedError(f"[Discretization] expected sparse=False (not supported), received {sparse!r}")
        if (bin_boundaries is None) == (num_bins is None):
            raise ValueError(
                f"[Discretization] expected either bin_boundaries or num_bins, received {bin_boundaries!r} and {num_bins!r}"
            )
        self.output_mode = one_of(self, "output_mode", output_mode, ("int", "one_hot", "multi_hot", "count"))
        self.num_bins = None if num_bins is None else positive_int(self, "num_bins", num_bins)
        self.bin_boundaries = None if bin_boundaries is None else [float(b) for b in sorted(bin_boundaries)]
        self.epsilon = epsilon
        self.sparse = sparse
        self.autocast = False
        self.built = True

    def adapt(self, data, steps=None):
        """Sets the boundaries to quantiles of `data`: an array or an iterable of batches, `steps` of them at most."""
        if self.num_bins is None:
            raise ValueError("[Discretization] expected num_bins to adapt, received bin_boundaries at construction")
        if not hasattr(data, "shape"):
            data = np.concatenate([np.ravel(np.asarray(b)) for _, b in zip(range(steps or 2**31), data)])
        values = np.sort(np.ravel(np.asarray(data, "float64")))
        self.bin_boundaries = [float(q) for q in np.quantile(values, np.arange(1, self.num_bins) / self.num_bins)]

    @property
    def _depth(self) -> int:
        return len(self.bin_boundaries) + 1

    def call(self, inputs):
        if self.bin_boundaries is None:
            raise ValueError("[Discretization] expected adapt() to be called first, received no bin_boundaries")
        inputs = ops.convert_to_tensor(inputs)
        boundaries = ops.convert_to_tensor(np.asarray(self.bin_boundaries, "float32"))
        bins = ops.searchsorted(boundaries, ops.cast(inputs, "float32"), side="right")
        if self.output_mode == "int":
            return ops.cast(bins, "int32")
        return encode(bins, self._depth, self.output_mode, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (
            tuple(input_shape)
            if self.output_mode == "int"
            else encoded_shape(tuple(input_shape), self._depth, self.output_mode)
        )

    def compute_output_spec(self, inputs):
        dtype = "int32" if self.output_mode == "int" else self.compute_dtype
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype=dtype)

    def get_config(self):
        return {**get_options(self, self.OPTIONS), "name": self.name, "dtype": self.dtype}
