"""THE table of layers: how to make one, from kcore's layers or from Keras's, and what to call it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Case:
    """One layer with one set of arguments.

    `make(L)` builds it from the module `L`; `shapes` are its inputs' shapes, batch included; `kinds` says what they hold:
    "normal", "ids" (integers below 5), "mask" (bool) or "image" (0 to 255). `call` are further arguments of the call.
    """

    make: Callable[[Any], Any]
    shapes: list[tuple[int, ...]]
    kinds: str | tuple[str, ...] = "normal"
    call: dict[str, Any] = field(default_factory=dict)
    random: bool = False  # draws random numbers in training
    gradients: bool = False  # compared with Keras's, which takes a while
    name: str = ""

    def inputs(self, dtype: str = "float32") -> list[np.ndarray]:
        """The same numbers each time."""
        rng = np.random.default_rng(7)
        kinds = [self.kinds] * len(self.shapes) if isinstance(self.kinds, str) else self.kinds
        draw = {
            "normal": lambda shape: rng.normal(size=shape).astype(dtype),
            "ids": lambda shape: rng.integers(0, 5, shape).astype("int32"),
            "image": lambda shape: rng.integers(0, 256, shape).astype(dtype),
            "pixels": lambda shape: rng.integers(0, 256, shape).astype("uint8"),
        }
        return [draw[kind](shape) for kind, shape in zip(kinds, self.shapes)]


X2, X3, X4, X5 = (4, 5), (3, 6, 4), (2, 6, 7, 4), (2, 5, 6, 4, 4)
MASK = np.array([[1, 1, 0, 1, 1, 0], [0, 0, 1, 1, 0, 1], [1, 1, 1, 1, 1, 1]], bool)
H, C = np.linspace(-1, 1, 9, dtype="float32").reshape(3, 3), np.linspace(1, -0.5, 9, dtype="float32").reshape(3, 3)

_CASES: dict[str, Case] = {}


def _add(name: str, make: Callable, *shapes: tuple, **options: Any) -> None:
    assert name not in _CASES, name
    _CASES[name] = Case(make, list(shapes), name=name, **options)


# core
_add("dense", lambda L: L.Dense(3), X2, gradients=True)
_add(
    "dense-3d-relu", lambda L: L.Dense(3, "relu", kernel_regularizer="l2", bias_initializer="ones"), X3, gradients=True
)
_add("dense-nobias", lambda L: L.Dense(3, activation="softmax", use_bias=False, kernel_constraint="max_norm"), X2)
_add("dense-activity", lambda L: L.Dense(3, activity_regularizer="l1", bias_regularizer="l2"), X2)
_add("einsum-bc", lambda L: L.EinsumDense("abc,cd->abd", (None, 7), bias_axes="d"), X3, gradients=True)
_add("einsum-heads", lambda L: L.EinsumDense("abc,cde->abde", (None, 2, 5), bias_axes="e", activation="tanh"), X3)
_add("einsum-dots", lambda L: L.EinsumDense("...x,xy->...y", output_shape=(7,), bias_axes="y"), (3, 4))
_add("einsum-time", lambda L: L.EinsumDense("abc,bd->adc", (3, 4), bias_axes="d"), X3)
_add("embedding", lambda L: L.Embedding(5, 3), (3, 6), kinds="ids", gradients=True)
_add("embedding-mask", lambda L: L.Embedding(5, 3, "glorot_normal", "l2", mask_zero=True), (3, 6), kinds="ids")
_add("masking", lambda L: L.Masking(mask_value=1.5), X3)
_add("identity", lambda L: L.Identity(), X3)
_add("lambda", lambda L: L.Lambda(lambda x: x * 2 + 1), X3)
# convolution
_add("conv1d", lambda L: L.Conv1D(3, 3), X3, gradients=True)
_add(
    "conv1d-causal", lambda L: L.Conv1D(3, 2, padding="causal", dilation_rate=2, activation="tanh"), X3, gradients=True
)
_add("conv1d-same", lambda L: L.Conv1D(4, 4, strides=2, padding="same", groups=2, use_bias=False), X3)
_add("conv2d", lambda L: L.Conv2D(3, 3, activation="relu"), X4, gradients=True)
_add("conv2d-same", lambda L: L.Conv2D(3, (2, 3), strides=(2, 1), padding="same"), X4, gradients=True)
_add("conv2d-dilated", lambda L: L.Conv2D(4, 2, dilation_rate=(2, 3), groups=4), X4)
_add("conv2d-first", lambda L: L.Conv2D(3, 3, strides=2, padding="same", data_format="channels_first"), (2, 4, 6, 7))
_add("conv3d", lambda L: L.Conv3D(2, 2, strides=(1, 2, 1), padding="same"), X5, gradients=True)
_add("depthwise1d", lambda L: L.DepthwiseConv1D(3, depth_multiplier=2, padding="same"), X3, gradients=True)
_add(
    "depthwise2d", lambda L: L.DepthwiseConv2D(3, strides=2, depth_multiplier=2, activation="relu"), X4, gradients=True
)
_add("depthwise2d-first", lambda L: L.DepthwiseConv2D((2, 3), data_format="channels_first"), (2, 4, 6, 7))
_add("depthwise2d-dilated", lambda L: L.DepthwiseConv2D(2, padding="same", dilation_rate=2, use_bias=False), X4)
_add("separable1d", lambda L: L.SeparableConv1D(3, 3, depth_multiplier=2), X3, gradients=True)
_add("separable2d", lambda L: L.SeparableConv2D(3, 3, strides=2, padding="same", activation="elu"), X4, gradients=True)
_add("conv1d-transpose", lambda L: L.Conv1DTranspose(3, 3, strides=2), X3, gradients=True)
_add("conv2d-transpose", lambda L: L.Conv2DTranspose(3, 3, strides=2, padding="same"), X4, gradients=True)
_add("conv2d-transpose-out", lambda L: L.Conv2DTranspose(3, (3, 2), strides=3, output_padding=1), X4)
_add("conv2d-transpose-dilated", lambda L: L.Conv2DTranspose(3, 3, dilation_rate=2, use_bias=False), X4)
_add("conv2d-transpose-first", lambda L: L.Conv2DTranspose(3, 2, 2, data_format="channels_first"), (2, 4, 6, 7))
_add("conv3d-transpose", lambda L: L.Conv3DTranspose(2, 2, strides=2, activation="relu"), X5)
# pooling
for _n, _shape in ((1, X3), (2, X4), (3, X5)):
    for _kind in ("Max", "Average"):
        _c = f"{_kind}Pooling{_n}D"
        _add(_c, lambda L, c=_c: getattr(L, c)(2), _shape, gradients=_n == 2)
        _add(f"{_c}-same", lambda L, c=_c: getattr(L, c)(3, strides=2, padding="same"), _shape, gradients=_n == 2)
        _g = f"Global{_c}"
        _add(_g, lambda L, c=_g: getattr(L, c)(), _shape)
        _add(f"{_g}-keep", lambda L, c=_g: getattr(L, c)(data_format="channels_first", keepdims=True), _shape)
_add("max2d-first", lambda L: L.MaxPooling2D((2, 3), (1, 2), data_format="channels_first"), (2, 4, 6, 7))
_add("average2d-first", lambda L: L.AveragePooling2D(2, padding="same", data_format="channels_first"), (2, 4, 5, 7))
_add("global-average-mask", lambda L: L.GlobalAveragePooling1D(), X3, call={"mask": MASK}, gradients=True)
_add("global-average-mask-keep", lambda L: L.GlobalAveragePooling1D(keepdims=True), X3, call={"mask": MASK})
# normalization
_add("batch-norm", lambda L: L.BatchNormalization(), X4, gradients=True)
_add("batch-norm-axis1", lambda L: L.BatchNormalization(axis=1, momentum=0.5, epsilon=0.1), X4, gradients=True)
_add("batch-norm-plain", lambda L: L.BatchNormalization(center=False, scale=False), X3)
_add("batch-norm-2d", lambda L: L.BatchNormalization(gamma_initializer="ones", beta_initializer="ones"), X2)
_add("batch-norm-mask", lambda L: L.BatchNormalization(), X3, call={"mask": MASK}, gradients=True)
_add("layer-norm", lambda L: L.LayerNormalization(), X3, gradients=True)
_add("layer-norm-axes", lambda L: L.LayerNormalization(axis=(1, 2), epsilon=0.1), X4, gradients=True)
_add("layer-norm-axis1", lambda L: L.LayerNormalization(axis=1, center=False), X3)
_add("layer-norm-noscale", lambda L: L.LayerNormalization(scale=False), X3)
_add("group-norm", lambda L: L.GroupNormalization(2), X4, gradients=True)
_add("group-norm-axis1", lambda L: L.GroupNormalization(3, axis=1, epsilon=0.1, scale=False), X4)
_add("instance-norm", lambda L: L.GroupNormalization(groups=-1), X4)
_add("unit-norm", lambda L: L.UnitNormalization(axis=(1, 2)), X3, gradients=True)
_add("rms-norm", lambda L: L.RMSNormalization(axis=(1, 2), epsilon=0.1), X3, gradients=True)
_add("spectral-norm", lambda L: L.SpectralNormalization(L.Conv2D(3, 2), power_iterations=2), X4)
# regularization
_add("dropout", lambda L: L.Dropout(0.4, noise_shape=(None, 1, 4), seed=3), X3, random=True)
_add("dropout-0", lambda L: L.Dropout(0), X3)
_add("spatial-dropout1d", lambda L: L.SpatialDropout1D(0.4, seed=3), X3, random=True)
_add("spatial-dropout2d", lambda L: L.SpatialDropout2D(0.4, "channels_first"), X4, random=True)
_add("spatial-dropout3d", lambda L: L.SpatialDropout3D(0.4), X5, random=True)
_add("gaussian-noise", lambda L: L.GaussianNoise(0.4), X3, random=True)
_add("gaussian-dropout", lambda L: L.GaussianDropout(0.4, seed=1), X3, random=True)
_add("alpha-dropout", lambda L: L.AlphaDropout(0.4, noise_shape=(3, 6, 1)), X3, random=True)
_add("activity-regularization", lambda L: L.ActivityRegularization(l1=0.1, l2=0.2), X3)
# reshaping
_add("flatten", lambda L: L.Flatten(), X4)
_add("flatten-first", lambda L: L.Flatten(data_format="channels_first"), X4)
_add("reshape", lambda L: L.Reshape((-1, 2)), X3)
_add("reshape-full", lambda L: L.Reshape((2, 12)), X3)
_add("permute", lambda L: L.Permute((3, 1, 2)), X4)
_add("repeat-vector", lambda L: L.RepeatVector(3), X2)
_add("zero-padding1d", lambda L: L.ZeroPadding1D((2, 1)), X3)
_add("zero-padding2d", lambda L: L.ZeroPadding2D(((1, 2), (0, 3))), X4)
_add("zero-padding2d-first", lambda L: L.ZeroPadding2D((1, 2), data_format="channels_first"), X4)
_add("zero-padding3d", lambda L: L.ZeroPadding3D((1, 2, 0)), X5)
_add("cropping1d", lambda L: L.Cropping1D((2, 1)), X3)
_add("cropping2d", lambda L: L.Cropping2D(((1, 2), (0, 3))), X4)
_add("cropping2d-first", lambda L: L.Cropping2D((1, 1), data_format="channels_first"), X4)
_add("cropping3d", lambda L: L.Cropping3D(1), X5)
_add("up-sampling1d", lambda L: L.UpSampling1D(3), X3)
_add("up-sampling2d", lambda L: L.UpSampling2D((2, 3)), X4)
_add("up-sampling2d-bilinear", lambda L: L.UpSampling2D(2, interpolation="bilinear"), X4)
_add("up-sampling2d-first", lambda L: L.UpSampling2D(2, "channels_first", "bilinear"), X4)
_add("up-sampling3d", lambda L: L.UpSampling3D((1, 2, 3)), X5)
# merging
for _c in ("Add", "Multiply", "Average", "Maximum", "Minimum"):
    _add(_c, lambda L, c=_c: getattr(L, c)(), X3, X3, X3, gradients=_c in ("Multiply", "Maximum"))
    _add(f"{_c}-broadcast", lambda L, c=_c: getattr(L, c)(), X3, (3, 1, 4), (3, 4))
_add("subtract", lambda L: L.Subtract(), X3, X3)
_add("concatenate", lambda L: L.Concatenate(), X3, (3, 6, 2))
_add("concatenate-1", lambda L: L.Concatenate(axis=1), X3, (3, 2, 4), gradients=True)
_add("dot", lambda L: L.Dot(axes=1), X2, X2)
_add("dot-axes", lambda L: L.Dot(axes=(2, 1)), X3, (3, 4, 5), gradients=True)
_add("dot-normalize", lambda L: L.Dot(axes=-1, normalize=True), X3, (3, 5, 4), gradients=True)
_add("dot-4d", lambda L: L.Dot(axes=(3, 2)), X4, (2, 5, 4))
# activations
_add("activation", lambda L: L.Activation("softplus"), X3)
_add("relu", lambda L: L.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2), X3, gradients=True)
_add("relu-plain", lambda L: L.ReLU(), X3)
_add("leaky-relu", lambda L: L.LeakyReLU(negative_slope=0.2), X3)
_add("prelu", lambda L: L.PReLU(alpha_initializer="ones", shared_axes=[1]), X3, gradients=True)
_add("elu", lambda L: L.ELU(alpha=0.5), X3)
_add("softmax", lambda L: L.Softmax(axis=1), X3)
_add("softmax-axes", lambda L: L.Softmax(axis=(1, 2)), X3, gradients=True)
_add("softmax-mask", lambda L: L.Softmax(), (3, 6), call={"mask": MASK})
# attention
_add("attention", lambda L: L.Attention(use_scale=True), X3, (3, 5, 4), gradients=True)
_add("attention-concat", lambda L: L.Attention(score_mode="concat"), X3, (3, 5, 4), (3, 5, 4))
_add("attention-causal", lambda L: L.Attention(), X3, X3, call={"use_causal_mask": True})
_add("attention-mask", lambda L: L.Attention(), X3, X3, call={"mask": [MASK, MASK]})
_add("additive-attention", lambda L: L.AdditiveAttention(), X3, (3, 5, 4), gradients=True)
# recurrent
for _c, _options in (("SimpleRNN", {"activation": "relu"}), ("LSTM", {"unit_forget_bias": False}), ("GRU", {})):
    _init = [H, C] if _c == "LSTM" else [H]
    _add(_c, lambda L, c=_c: getattr(L, c)(3), X3, gradients=True)
    _add(f"{_c}-options", lambda L, c=_c, o=_options: getattr(L, c)(3, use_bias=False, go_backwards=True, **o), X3)
    _add(f"{_c}-all", lambda L, c=_c: getattr(L, c)(3, return_sequences=True, return_state=True), X3)
    _add(
        f"{_c}-mask",
        lambda L, c=_c: getattr(L, c)(3, return_sequences=True, bias_initializer="ones"),
        X3,
        call={"mask": MASK},
        gradients=True,
    )
    _add(
        f"{_c}-mask-back",
        lambda L, c=_c: getattr(L, c)(3, return_state=True, go_backwards=True),
        X3,
        call={"mask": MASK, "initial_state": _init},
    )
    _add(
        f"{_c}-zero-mask",
        lambda L, c=_c: getattr(L, c)(3, return_sequences=True, zero_output_for_mask=True),
        X3,
        call={"mask": MASK},
    )
    _add(
        f"{_c}-cell-loop",
        lambda L, c=_c: L.RNN(
            getattr(L, f"{c}Cell")(3, activation="softsign"), return_sequences=True, return_state=True
        ),
        X3,
        call={"mask": MASK},
        gradients=True,
    )
    _add(
        f"{_c}-dropout",
        lambda L, c=_c: getattr(L, c)(3, dropout=0.3, recurrent_dropout=0.2, seed=1),
        X3,
        random=True,
    )
    _add(f"{_c}-input-dropout", lambda L, c=_c: getattr(L, c)(3, dropout=0.3, return_sequences=True), X3, random=True)
_add("gru-before", lambda L: L.GRU(3, reset_after=False, return_sequences=True), X3, gradients=True)
_add("gru-before-cell", lambda L: L.RNN(L.GRUCell(3, reset_after=False)), X3)
_add("lstm-hard", lambda L: L.LSTM(3, recurrent_activation="hard_sigmoid", unroll=True), X3)
_add("rnn-stacked", lambda L: L.RNN([L.LSTMCell(3), L.GRUCell(2)], return_state=True), X3)
_add("rnn-stacked-mask", lambda L: L.RNN([L.SimpleRNNCell(3), L.LSTMCell(2)]), X3, call={"mask": MASK})
for _mode in ("concat", "sum", "mul", "ave", None):
    _add(f"bidirectional-{_mode}", lambda L, m=_mode: L.Bidirectional(L.LSTM(3), merge_mode=m), X3)
_add(
    "bidirectional-sequences",
    lambda L: L.Bidirectional(L.GRU(3, return_sequences=True, return_state=True)),
    X3,
    call={"mask": MASK},
)
for _mode in ("concat", "mul", None):
    _add(
        f"bidirectional-{_mode}-sequences",
        lambda L, m=_mode: L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode=m),
        X3,
        gradients=_mode is not None,
    )
_add("bidirectional-simple", lambda L: L.Bidirectional(L.SimpleRNN(3, activation="relu", use_bias=False)), X3)
_add(
    "bidirectional-two",
    lambda L: L.Bidirectional(
        L.LSTM(3, return_sequences=True), backward_layer=L.GRU(3, go_backwards=True, return_sequences=True)
    ),
    X3,
    gradients=True,
)
_add("time-distributed", lambda L: L.TimeDistributed(L.Dense(3, activation="tanh")), X3, gradients=True)
_add("time-distributed-conv", lambda L: L.TimeDistributed(L.Conv2D(3, 2)), (2, 3, 5, 6, 4))
# preprocessing
_add("rescaling", lambda L: L.Rescaling(1 / 127.5, offset=-1), X4, kinds="pixels")
_add("normalization", lambda L: L.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 2.0, 3.0, 0.0]), X3)
_add("normalization-invert", lambda L: L.Normalization(axis=None, mean=2.0, variance=9.0, invert=True), X3)
_add("normalization-axes", lambda L: L.Normalization(axis=(1, 3)), X4)
_add("center-crop", lambda L: L.CenterCrop(3, 4), X4, kinds="image")
_add("center-crop-large", lambda L: L.CenterCrop(9, 4), X4, kinds="image")
_add("resizing", lambda L: L.Resizing(4, 9), X4, kinds="image")
_add("resizing-crop", lambda L: L.Resizing(4, 4, crop_to_aspect_ratio=True), X4, kinds="image")
_add("resizing-pad", lambda L: L.Resizing(4, 4, pad_to_aspect_ratio=True, fill_value=3.0), X4, kinds="image")
_add("resizing-nearest", lambda L: L.Resizing(3, 5, "nearest", data_format="channels_first"), X4, kinds="image")
for _c, _args in (
    ("RandomFlip", ("vertical",)),
    ("RandomRotation", (0.2, "constant")),
    ("RandomZoom", ((-0.2, 0.3), 0.1, "nearest")),
    ("RandomTranslation", (0.2, (-0.1, 0.3), "wrap", "nearest")),
    ("RandomContrast", (0.4,)),
    ("RandomBrightness", (0.3,)),
):
    _add(_c, lambda L, c=_c, a=_args: getattr(L, c)(*a, seed=1), X4, kinds="image", random=True)
_add("category-multi", lambda L: L.CategoryEncoding(5), (3, 6), kinds="ids")
_add("category-count", lambda L: L.CategoryEncoding(6, output_mode="count"), (3, 6), kinds="ids")
_add("category-one-hot", lambda L: L.CategoryEncoding(5, output_mode="one_hot"), (3, 1), kinds="ids")
_add("discretization", lambda L: L.Discretization([-1.0, 0.0, 0.5]), X2)
_add("discretization-hot", lambda L: L.Discretization([-1.0, 0.0, 0.5], output_mode="one_hot"), X2)

CASES = list(_CASES.values())
