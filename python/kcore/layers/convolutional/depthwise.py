"""DepthwiseConv1D, DepthwiseConv2D: every channel convolved by its own kernels."""

from __future__ import annotations

from kcore.layers.convolutional.conv import Windowed
from kcore.layers.input_spec import InputSpec
from kcore.layers.options import add_weight, arguments, infer_shape
from kcore.ops.conv import fused_depthwise_conv


class BaseDepthwiseConv(Windowed):
    """A depthwise convolution over `rank` axes.

    Args:
        rank: number of axes convolved over.
        depth_multiplier: output channels per input channel.
        kernel_size, ...: as in the `Conv` layers.
    """

    OPTIONS = ("depth_multiplier", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "activation")
    OPTIONS += ("use_bias", "depthwise_initializer", "bias_initializer", "depthwise_regularizer", "bias_regularizer")
    OPTIONS += ("activity_regularizer", "depthwise_constraint", "bias_constraint")

    def __init__(
        self,
        rank,
        depth_multiplier,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.set_windows(rank, locals())

    def _kernel_shape(self, input_shape) -> tuple[int, ...]:
        return (*self.kernel_size, self.channels_of(input_shape), self.depth_multiplier)

    def build(self, input_shape):
        kernel_shape = self._kernel_shape(input_shape)
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={self.channel_axis: input_shape[self.channel_axis]})
        self.kernel = add_weight(self, "kernel", kernel_shape, options="depthwise")
        self.add_bias(kernel_shape[-2] * self.depth_multiplier)
        self.built = True

    def _convolve(self, inputs, kernel, bias=None, activation="linear"):
        return depthwise(self, inputs, kernel, bias, activation)

    def call(self, inputs):
        return self.fused(self._convolve, inputs, self.kernel)

    def compute_output_shape(self, input_shape):
        return infer_shape(self._convolve, input_shape, self._kernel_shape(input_shape))


def depthwise(layer, inputs, kernel, bias=None, activation="linear"):
    """The depthwise convolution a layer asks for: `(batch, *spatial, channels)`, `(*kernel_size, channels, multiplier)`."""
    strides = layer.strides[0] if len(set(layer.strides)) == 1 else layer.strides
    return fused_depthwise_conv(
        inputs,
        kernel,
        bias,
        activation,
        strides=strides,
        padding=layer.padding,
        data_format=layer.data_format,
        dilation_rate=layer.dilation_rate,
    )


class DepthwiseConv1D(BaseDepthwiseConv):
    """Depthwise convolution over time.

    Input shape: `(batch, steps, channels)`. Output shape: `(batch, new_steps, channels * depth_multiplier)`.
    Weights: `kernel (kernel_size, channels, depth_multiplier)`, `bias (channels * depth_multiplier,)`.

    >>> import numpy as np
    >>> DepthwiseConv1D(3, depth_multiplier=2)(np.ones((2, 10, 5), "float32")).shape
    (2, 8, 10)
    """

    def __init__(
        self,
        kernel_size,
        strides=1,
        padding="valid",
        depth_multiplier=1,
        data_format=None,
        dilation_rate=1,
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(1, **arguments(locals()))


class DepthwiseConv2D(BaseDepthwiseConv):
    """Depthwise convolution over an image.

    Input shape: `(batch, height, width, channels)`. Output shape: `(batch, new_height, new_width, channels *
    depth_multiplier)`. Weights: `kernel (*kernel_size, channels, depth_multiplier)`, `bias (channels * depth_multiplier,)`.

    >>> import numpy as np
    >>> DepthwiseConv2D(3, padding="same")(np.ones((2, 8, 8, 3), "float32")).shape
    (2, 8, 8, 3)
    """

    def __init__(
        self,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        depth_multiplier=1,
        data_format=None,
        dilation_rate=(1, 1),
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(2, **arguments(locals()))
