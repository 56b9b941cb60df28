"""Convolutions: plain, grouped, depthwise, separable, transposed. The three core ops are each other's gradients."""

from __future__ import annotations

from typing import Any

from kcore.autograd import Tensor, apply, vjp
from kcore.autograd.config import standardize_data_format
from kcore.ops.matmul import epilogue_grads
from kcore.ops.operands import as_tensor, cast_to
from kcore.ops.public import public
from kcore.ops.shape import moveaxis, reshape

# y = conv(x, kernel) is linear in each input, and so are its gradients. With dy of y's shape, each of the three ops is
# the derivative of <dy, conv(x, kernel)> for one of the three tensors, computed from the other two.


def _conv(
    x: Tensor, kernel: Tensor, window: dict[str, Any], bias: Tensor | None = None, activation: str = "linear"
) -> Tensor:
    if bias is None and activation == "linear":
        return apply("conv", (x, kernel), window)
    return apply("conv", (x, kernel, bias), {**window, "activation": activation})


def _input_grad(dy: Tensor, kernel: Tensor, input_shape: tuple[int, ...], window: dict[str, Any]) -> Tensor:
    return apply("conv_input_grad", (dy, kernel), {"input_shape": list(input_shape), **window})


def _kernel_grad(x: Tensor, dy: Tensor, kernel_shape: tuple[int, ...], window: dict[str, Any]) -> Tensor:
    return apply("conv_kernel_grad", (x, dy), {"kernel_shape": list(kernel_shape), **window})


def _window(node: Any) -> dict[str, Any]:
    """The attributes that the three ops share: strides, pads, dilations, groups."""
    own = ("input_shape", "kernel_shape", "activation", "statistics")
    return {name: value for name, value in node.attrs.items() if name not in own}


@vjp("conv")
def conv_vjp(node, *dys):
    x, kernel = node.inputs[:2]
    w = _window(node)
    dy, dbias, dresidual = epilogue_grads(node, *dys)
    dx = _input_grad(dy, kernel, x.shape[1:-1], w) if node.needs[0] else None
    dkernel = _kernel_grad(x, dy, kernel.shape[:-2], w) if node.needs[1] else None
    return [dx, dkernel, dbias, dresidual][: len(node.inputs)]


@vjp("conv_input_grad")
def conv_input_grad_vjp(node, g):
    dy, kernel = node.inputs  # g has the shape of x
    w = _window(node)
    return [
        _conv(g, kernel, w) if node.needs[0] else None,
        _kernel_grad(g, dy, kernel.shape[:-2], w) if node.needs[1] else None,
    ]


@vjp("conv_kernel_grad")
def conv_kernel_grad_vjp(node, g):
    x, dy = node.inputs  # g has the shape of the kernel
    w = _window(node)
    return [
        _input_grad(dy, g, x.shape[1:-1], w) if node.needs[0] else None,
        _conv(x, g, w) if node.needs[1] else None,
    ]


def _sizes(value: Any, rank: int, name: str, op: str) -> list[int]:
    """One int for each spatial dimension, from an int or that many."""
    values = [value] * rank if isinstance(value, int) else list(value) if isinstance(value, (list, tuple)) else None
    if values is None or len(values) != rank or not all(hasattr(v, "__index__") for v in values):
        raise ValueError(f"[{op}] expected {name} to be an int or {rank} ints, received {value!r}")
    return [v.__index__() for v in values]


def _padding(value: Any, known: tuple[str, ...], op: str) -> str:
    name = value.lower() if isinstance(value, str) else value
    if name not in known:
        raise ValueError(f"[{op}] expected padding to be one of {', '.join(map(repr, known))}, received {value!r}")
    return name


def same_pads(sizes: Any, reaches: Any, strides: Any) -> list[int]:
    """(before, after) for each dimension such that a window of stride s has ceil(size / s) positions.

    >>> same_pads([5], [3], [2])
    [1, 1]
    """
    pads = []
    for n, reach, s in zip(sizes, reaches, strides):
        last = (n - 1) // max(s, 1) * s  # the op refuses strides below 1
        total = max(last + reach - n, 0)
        pads += [total // 2, total - total // 2]
    return pads


class _Call:
    """The arguments that every convolution has, checked, with channels last."""

    def __init__(self, op: str, inputs: Any, kernel: Any, strides: Any, data_format: Any, dilation_rate: Any):
        self.op = op
        self.kernel = as_tensor(kernel)
        x = cast_to(as_tensor(inputs), self.kernel.dtype)
        self.rank = x.ndim - 2
        if self.rank not in (1, 2, 3) or self.kernel.ndim != x.ndim:
            raise ValueError(
                f"[{op}] expected inputs with a batch, 1 to 3 spatial dimensions and channels, and a kernel of as many "
                f"dimensions, received shapes {x.shape} and {self.kernel.shape}"
            )
        self.first = standardize_data_format(data_format) == "channels_first"
        self.x = moveaxis(x, 1, -1) if self.first else x
        self.strides = _sizes(strides, self.rank, "strides", op)
        self.dilations = _sizes(dilation_rate, self.rank, "dilation_rate", op)
        self.spatial = self.x.shape[1:-1]
        self.reaches = [(k - 1) * d + 1 for k, d in zip(self.kernel.shape, self.dilations)]

    def pads(self, padding: Any) -> list[int]:
        padding = _padding(padding, ("valid", "same", "causal") if self.rank == 1 else ("valid", "same"), self.op)
        if padding == "causal":  # position t sees nothing after t
            return [self.reaches[0] - 1, 0]
        return same_pads(self.spatial, self.reaches, self.strides) if padding == "same" else [0] * 2 * self.rank

    def window(self, pads: list[int], groups: int) -> dict[str, Any]:
        return {"strides": self.strides, "pads": pads, "dilations": self.dilations, "groups": groups}

    def run(self, kernel: Tensor, padding: Any, groups: int, bias: Any, activation: str) -> Tensor:
        """activation(x convolved with kernel + bias)."""
        bias = None if bias is None else cast_to(as_tensor(bias), kernel.dtype)
        return self.finish(_conv(self.x, kernel, self.window(self.pads(padding), max(groups, 1)), bias, activation))

    def finish(self, y: Tensor) -> Tensor:
        return moveaxis(y, -1, 1) if self.first else y


@public
def conv(
    inputs: Any,
    kernel: Any,
    strides: int | tuple[int, ...] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | tuple[int, ...] = 1,
) -> Tensor:
    """Convolution (without flipping the kernel) in 1, 2 or 3 dimensions.

    Args:
        inputs: (batch, spatial..., channels), or (batch, channels, spatial...) for `data_format="channels_first"`. Cast
            to the kernel's dtype.
        kernel: (spatial..., channels / groups, filters). Its size says how many groups of channels there are.
        strides: An int, or one for each spatial dimension.
        padding: "valid"; "same", zeros around the inputs such that stride s gives ceil(size / s) pixels; in one
            dimension also "causal", zeros in front only.
        data_format: "channels_last" or "channels_first"; None stands for `keras.config.image_data_format()`.
        dilation_rate: Pixels from one tap of the kernel to the next.

    Returns:
        (batch, new spatial..., filters), or with channels first.

    Raises:
        ValueError: Shapes, strides and the like do not fit, or the result would be empty.

    >>> kcore.ops.conv(kcore.ops.ones((1, 4, 4, 3)), kcore.ops.ones((3, 3, 3, 2)), padding="same", strides=2).shape
    (1, 2, 2, 2)
    """
    return fused_conv(inputs, kernel, None, "linear", strides, padding, data_format, dilation_rate)


@public
def fused_conv(
    inputs: Any,
    kernel: Any,
    bias: Any,
    activation: str,
    strides: int | tuple[int, ...] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | tuple[int, ...] = 1,
) -> Tensor:
    """`activation(conv(inputs, kernel) + bias)` in one op.

    Args:
        bias: (filters,), or None.
        activation: `"linear"` or one of `kcore.ops.matmul.FUSED_ACTIVATIONS`.
        inputs, kernel, strides, padding, data_format, dilation_rate: As for `conv`.
    """
    call = _Call("conv", inputs, kernel, strides, data_format, dilation_rate)
    channels, group_channels = call.x.shape[-1], call.kernel.shape[-2]
    # Where it does not divide, the op says what it expected of an ungrouped kernel.
    groups = channels // group_channels if group_channels and channels % group_channels == 0 else 1
    return call.run(call.kernel, padding, groups, bias, activation)


@public
def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: int | tuple[int, ...] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | tuple[int, ...] = 1,
) -> Tensor:
    """Convolution of each channel with filters of its own.

    Args:
        inputs: (batch, spatial..., channels).
        kernel: (spatial..., channels, multiplier).
        strides, padding, data_format, dilation_rate: As for `conv`.

    Returns:
        (batch, new spatial..., channels * multiplier): the filters of a channel side by side.

    >>> kcore.ops.depthwise_conv(kcore.ops.ones((1, 4, 4, 3)), kcore.ops.ones((3, 3, 3, 2))).shape
    (1, 2, 2, 6)
    """
    return fused_depthwise_conv(inputs, kernel, None, "linear", strides, padding, data_format, dilation_rate)


@public
def fused_depthwise_conv(
    inputs: Any,
    kernel: Any,
    bias: Any,
    activation: str,
    strides: int | tuple[int, ...] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | tuple[int, ...] = 1,
) -> Tensor:
    """`activation(depthwise_conv(inputs, kernel) + bias)` in one op.

    Args:
        bias: (channels * multiplier,), or None.
        activation: `"linear"` or one of `kcore.ops.matmul.FUSED_ACTIVATIONS`.
        inputs, kernel, strides, padding, data_format, dilation_rate: As for `depthwise_conv`.
    """
    call = _Call("depthwise_conv", inputs, kernel, strides, data_format, dilation_rate)
    channels, multiplier = call.kernel.shape[-2:]
    if call.x.shape[-1] != channels:
        raise ValueError(
            f"[depthwise_conv] expected kernel of shape ({'k, ' * call.rank}{call.x.shape[-1]}, multiplier), received "
            f"{call.kernel.shape}; inputs are {as_tensor(inputs).shape}"
        )
    flat = reshape(call.kernel, (*call.kernel.shape[:-2], 1, channels * multiplier))
    return call.run(flat, padding, channels, bias, activation)


@public
def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: int | tuple[int, ...] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | tuple[int, ...] = 1,
) -> Tensor:
    """A depthwise convolution, then a convolution of size one that mixes the channels.

    Args:
        inputs: (batch, spatial..., channels).
        depthwise_kernel: (spatial..., channels, multiplier).
        pointwise_kernel: (1..., channels * multiplier, filters).
        strides, padding, data_format, dilation_rate: As for `conv`, of the depthwise part.
    """
    y = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(y, pointwise_kernel, padding="valid", data_format=data_format)


@public
def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: int | tuple[int, ...] = 1,
    padding: str = "valid",
    output_padding: int | tuple[int, ...] | None = None,
    data_format: str | None = None,
    dilation_rate: int | tuple[int, ...] = 1,
) -> Tensor:
    """Transposed convolution: the input gradient of `conv`, which spreads each pixel over a window of the output.

    Args:
        inputs: (batch, spatial..., channels).
        kernel: (spatial..., filters, channels).
        strides: Output pixels from one input pixel to the next.
        padding: "valid", the whole of all windows; "same", `size * stride` pixels.
        output_padding: Pixels of the output beyond the least size that the padding allows; None chooses as said above.
        data_format, dilation_rate: As for `conv`.

    Returns:
        (batch, new spatial..., filters), or with channels first.

    >>> kcore.ops.conv_transpose(kcore.ops.ones((1, 4, 4, 3)), kcore.ops.ones((3, 3, 2, 3)), 2, "same").shape
    (1, 8, 8, 2)
    """
    call = _Call("conv_transpose", inputs, kernel, strides, data_format, dilation_rate)
    padding = _padding(padding, ("valid", "same"), "conv_transpose")
    if call.x.shape[-1] != call.kernel.shape[-1]:
        raise ValueError(
            f"[conv_transpose] expected kernel of shape ({'k, ' * call.rank}filters, {call.x.shape[-1]}), received "
            f"{call.kernel.shape}; inputs are {as_tensor(inputs).shape}"
        )
    per_axis = output_padding is not None and not isinstance(output_padding, int)
    extra = list(output_padding) if per_axis else [output_padding] * call.rank
    if len(extra) != call.rank:
        raise ValueError(
            f"[conv_transpose] expected output_padding to be an int or {call.rank} ints, received {output_padding!r}"
        )
    sizes, pads = [], []
    for n, reach, s, more in zip(call.spatial, call.reaches, call.strides, extra):
        size, before, after = _transposed_axis(n, reach, s, padding, more)
        sizes.append(size)
        pads += [before, after]
    return call.finish(_input_grad(call.x, call.kernel, tuple(sizes), call.window(pads, 1)))


def _transposed_axis(n: int, reach: int, stride: int, padding: str, extra: int | None) -> tuple[int, int, int]:
    """Size of a transposed convolution's output, and the pads of the convolution whose input gradient it is.

    All windows together cover (n - 1) * stride + reach pixels. "valid" keeps these, and the gaps that a stride beyond
    the reach leaves. "same" keeps n * stride; given output_padding, (n - 1) * stride + reach % 2 + output_padding. Half
    of what "same" leaves out is cut off in front. A negative pad behind adds pixels that no window covers.
    """
    full = (n - 1) * stride + reach
    if padding == "valid":
        size = full + (max(stride - reach, 0) if extra is None else extra)
        before = 0
    else:
        size = n * stride if extra is None else (n - 1) * stride + reach % 2 + extra
        inside = size - full + 2 * (reach - 1)  # zeros around the stretched input that the flipped kernel slides over
        before = max(reach - 1 - (inside + 1) // 2, 0)
    return size, before, full - size - before
