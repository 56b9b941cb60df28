"""Conv1D, Conv2D, Conv3D."""

from __future__ import annotations

from kcore import ops
from kcore.activations import fused_activation
from kcore.layers.input_spec import InputSpec
from kcore.layers.options import (
    BuiltinLayer,
    add_weight,
    arguments,
    data_format_of,
    infer_shape,
    int_tuple,
    padding_of,
    positive_int,
)
from kcore.ops.conv import fused_conv


class Windowed(BuiltinLayer):
    """What all convolutions share: their options, their input check, their bias and activation."""

    def set_windows(self, rank: int, values: dict, allow_causal: bool = False) -> None:
        """Takes the options of a convolution over `rank` axes out of a constructor's `locals()`."""
        self.rank = rank
        checked = {
            "kernel_size": int_tuple(self, "kernel_size", values["kernel_size"], rank),
            "strides": int_tuple(self, "strides", values["strides"], rank),
            "dilation_rate": int_tuple(self, "dilation_rate", values["dilation_rate"], rank),
            "padding": padding_of(self, values["padding"], allow_causal),
            "data_format": data_format_of(self, values["data_format"]),
        }
        for name in ("filters", "groups", "depth_multiplier"):
            if name in values:
                checked[name] = positive_int(self, name, values[name])
        self.set_options(values, **checked)
        self.input_spec = InputSpec(ndim=rank + 2)

    def refuse_strided_dilation(self) -> None:
        """Raises if the windows are both strided and dilated."""
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"[{type(self).__name__}] expected strides or dilation_rate to be 1, "
                f"received strides={self.strides} and dilation_rate={self.dilation_rate}"
            )

    @property
    def channel_axis(self) -> int:
        """Where the channels lie."""
        return -1 if self.data_format == "channels_last" else 1

    def channels_of(self, input_shape) -> int:
        """The number of channels, which must be known."""
        channels = input_shape[self.channel_axis] if len(input_shape) == self.rank + 2 else None
        if channels is None:
            raise ValueError(
                f"[{type(self).__name__}] expected an input of {self.rank + 2} axes with known channels "
                f"({self.data_format}), received shape {tuple(input_shape)}"
            )
        return channels

    def add_bias(self, size: int) -> None:
        """Adds the bias, if there is one, over the output's channels."""
        self.bias = add_weight(self, "bias", (size,)) if self.use_bias else None

    def finish(self, outputs):
        """Bias, then activation."""
        if self.bias is not None:
            last = self.data_format == "channels_last"
            bias = self.bias if last else ops.reshape(self.bias, (1, -1) + (1,) * self.rank)
            outputs = ops.add(outputs, bias)
        return outputs if self.activation is None else self.activation(outputs)

    def fused(self, convolve, inputs, *kernels):
        """A convolution with its bias, and its activation if the op knows that one, in one op."""
        name = fused_activation(self.activation)
        outputs = convolve(inputs, *kernels, bias=self.bias, activation=name or "linear")
        return outputs if name else self.activation(outputs)


def pad_causal(layer, inputs):
    """Pads the front of the time axis so that no output sees a later input; other paddings are left to the op."""
    if layer.padding != "causal":
        return inputs
    front = layer.dilation_rate[0] * (layer.kernel_size[0] - 1)
    time = [(front, 0)]
    return ops.pad(inputs, [(0, 0), *time, (0, 0)] if layer.data_format == "channels_last" else [(0, 0), (0, 0), *time])


class BaseConv(Windowed):
    """A convolution over `rank` axes; the kernel is not flipped.

    Args:
        rank: number of axes convolved over.
        filters: number of output channels.
        kernel_size, strides, dilation_rate: one integer, or one per axis.
        padding: `"valid"`, `"same"`, and for one axis `"causal"`.
        data_format: where the channels lie, `"channels_last"` or `"channels_first"`.
        groups: the channels are split into this many groups, convolved apart.
        activation, use_bias, ...: as in `Dense`.
    """

    OPTIONS = ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups", "activation")
    OPTIONS += ("use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer")
    OPTIONS += ("activity_regularizer", "kernel_constraint", "bias_constraint")

    def __init__(
        self,
        rank,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
        groups=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.set_windows(rank, locals(), allow_causal=rank == 1)
        self.refuse_strided_dilation()
        if self.filters % self.groups:
            raise ValueError(
                f"[{type(self).__name__}] expected filters divisible by groups, received filters={filters}, groups={groups}"
            )

    def _kernel_shape(self, input_shape) -> tuple[int, ...]:
        channels = self.channels_of(input_shape)
        if channels % self.groups:
            raise ValueError(
                f"[{type(self).__name__}] expected input channels divisible by groups={self.groups}, "
                f"received {channels} in shape {tuple(input_shape)}"
            )
        return (*self.kernel_size, channels // self.groups, self.filters)

    def build(self, input_shape):
        kernel_shape = self._kernel_shape(input_shape)
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={self.channel_axis: input_shape[self.channel_axis]})
        infer_shape(
            self.convolve, input_shape, kernel_shape
        )  # a window larger than the input fails here, not at the first call
        self.kernel = add_weight(self, "kernel", kernel_shape)
        self.add_bias(self.filters)
        self.built = True

    def convolve(self, inputs, kernel, bias=None, activation="linear"):
        """The convolution of `(batch, *spatial, channels)` by `(*kernel_size, channels // groups, filters)`."""
        return fused_conv(
            pad_causal(self, inputs),
            kernel,
            bias,
            activation,
            strides=self.strides,
            padding="valid" if self.padding == "causal" else self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )

    def convolution_op(self, inputs, kernel):
        """Hook for subclasses that convolve differently."""
        return self.convolve(inputs, kernel)

    def call(self, inputs):
        if type(self).convolution_op is not BaseConv.convolution_op:
            return self.finish(self.convolution_op(inputs, self.kernel))
        return self.fused(self.convolve, inputs, self.kernel)

    def compute_output_shape(self, input_shape):
        return infer_shape(self.convolve, input_shape, self._kernel_shape(input_shape))


class Conv1D(BaseConv):
    """Convolution over time.

    Input shape: `(batch, steps, channels)`. Output shape: `(batch, new_steps, filters)`.
    Weights: `kernel (kernel_size, channels // groups, filters)`, `bias (filters,)`. See `BaseConv` for the arguments.

    >>> import numpy as np
    >>> Conv1D(4, 3, padding="causal")(np.ones((2, 10, 5), "float32")).shape
    (2, 10, 4)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
        groups=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(1, **arguments(locals()))


class Conv2D(BaseConv):
    """Convolution over an image.

    Input shape: `(batch, height, width, channels)`. Output shape: `(batch, new_height, new_width, filters)`.
    Weights: `kernel (*kernel_size, channels // groups, filters)`, `bias (filters,)`. See `BaseConv` for the arguments.

    >>> import numpy as np
    >>> Conv2D(4, (3, 5), strides=2, padding="same")(np.ones((2, 8, 8, 3), "float32")).shape
    (2, 4, 4, 4)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        data_format=None,
        dilation_rate=(1, 1),
        groups=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(2, **arguments(locals()))


class Conv3D(BaseConv):
    """Convolution over a volume.

    Input shape: `(batch, depth, height, width, channels)`. Output shape: `(batch, new_depth, new_height, new_width,
    filters)`. Weights: `kernel (*kernel_size, channels // groups, filters)`, `bias (filters,)`. See `BaseConv` for
    the arguments.

    >>> import numpy as np
    >>> Conv3D(4, 3)(np.ones((2, 5, 6, 7, 3), "float32")).shape
    (2, 3, 4, 5, 4)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1, 1),
        padding="valid",
        data_format=None,
        dilation_rate=(1, 1, 1),
        groups=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(3, **arguments(locals()))
