"""Layers: state and a computation.

Receives tensors or placeholders and ops to compute with; hands layers to the models. Must not import optimizers or models,
nor anything of saving but the serialization of configurations.
"""

from kcore.layers.activations.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from kcore.layers.attention.attention import AdditiveAttention, Attention
from kcore.layers.attention.group_query_attention import GroupQueryAttention
from kcore.layers.attention.multi_head_attention import MultiHeadAttention
from kcore.layers.convolutional.conv import Conv1D, Conv2D, Conv3D
from kcore.layers.convolutional.depthwise import DepthwiseConv1D, DepthwiseConv2D
from kcore.layers.convolutional.separable import SeparableConv1D, SeparableConv2D
from kcore.layers.convolutional.transpose import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from kcore.layers.core.dense import Dense
from kcore.layers.core.einsum_dense import EinsumDense
from kcore.layers.core.embedding import Embedding
from kcore.layers.core.identity import Identity
from kcore.layers.core.input_layer import Input, InputLayer
from kcore.layers.core.lambda_layer import Lambda
from kcore.layers.core.masking import Masking
from kcore.layers.core.wrapper import Wrapper
from kcore.layers.input_spec import InputSpec
from kcore.layers.layer import Layer
from kcore.layers.merging.concatenate import Concatenate, concatenate
from kcore.layers.merging.dot import Dot, dot
from kcore.layers.merging.elementwise import (
    Add,
    Average,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    maximum,
    minimum,
    multiply,
    subtract,
)
from kcore.layers.normalization.batch_normalization import BatchNormalization
from kcore.layers.normalization.group_normalization import GroupNormalization
from kcore.layers.normalization.layer_normalization import LayerNormalization, RMSNormalization
from kcore.layers.normalization.spectral_normalization import SpectralNormalization
from kcore.layers.normalization.unit_normalization import UnitNormalization
from kcore.layers.pooling.global_pooling import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
)
from kcore.layers.pooling.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from kcore.layers.preprocessing.category_encoding import CategoryEncoding
from kcore.layers.preprocessing.discretization import Discretization
from kcore.layers.preprocessing.normalization import Normalization
from kcore.layers.preprocessing.random_affine import RandomRotation, RandomTranslation, RandomZoom
from kcore.layers.preprocessing.random_color import RandomBrightness, RandomContrast
from kcore.layers.preprocessing.random_flip import RandomFlip
from kcore.layers.preprocessing.rescaling import Rescaling
from kcore.layers.preprocessing.sizes import CenterCrop, RandomCrop, Resizing
from kcore.layers.regularization.activity_regularization import ActivityRegularization
from kcore.layers.regularization.dropout import (
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from kcore.layers.reshaping.borders import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from kcore.layers.reshaping.shape import Flatten, Permute, RepeatVector, Reshape
from kcore.layers.reshaping.up_sampling import UpSampling1D, UpSampling2D, UpSampling3D
from kcore.layers.rnn.bidirectional import Bidirectional
from kcore.layers.rnn.gru import GRU, GRUCell
from kcore.layers.rnn.lstm import LSTM, LSTMCell
from kcore.layers.rnn.rnn import RNN
from kcore.layers.rnn.simple_rnn import SimpleRNN, SimpleRNNCell
from kcore.layers.rnn.stacked_rnn_cells import StackedRNNCells
from kcore.layers.rnn.time_distributed import TimeDistributed

# Keras's other names.
AvgPool1D = AveragePooling1D
AvgPool2D = AveragePooling2D
AvgPool3D = AveragePooling3D
MaxPool1D = MaxPooling1D
MaxPool2D = MaxPooling2D
MaxPool3D = MaxPooling3D
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalMaxPool3D = GlobalMaxPooling3D
Convolution1D = Conv1D
Convolution2D = Conv2D
Convolution3D = Conv3D
Convolution1DTranspose = Conv1DTranspose
Convolution2DTranspose = Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D

__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormalization",
    "Bidirectional",
    "CategoryEncoding",
    "CenterCrop",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Convolution3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Discretization",
    "Dot",
    "Dropout",
    "EinsumDense",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "GroupQueryAttention",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SpectralNormalization",
    "StackedRNNCells",
    "Subtract",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Wrapper",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]
