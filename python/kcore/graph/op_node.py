"""Calls of ops functions as operations of the graph, named and serialized as Keras names and serializes them.

Keras has a class for each function (`mean` -> `Mean`). Here one class per function is made from its signature when it is
first called on a KerasTensor: parameters that hold tensors become the arguments of the call, the others its config.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from kcore import tree
from kcore.graph.keras_tensor import KerasTensor
from kcore.graph.operation import Operation
from kcore.graph.spec import compute_output_spec

# Parameters that are arguments of the call in Keras; all others of a function are in the config.
_TENSORS = frozenset(
    """
    a abs_ array beta bias bins choicelist condition condlist constant_values data default depthwise_kernel elems
    f fill_value gamma images index indices init_val inputs kernel key loop_vars mask mean moving_mean offset
    operands output output_length pointwise_kernel predictions q query scale segment_ids sequence_lengths
    sorted_sequence start start_indices step stop target target_length targets tensor updates value values
    variable variance weights x x1 x2 xs y
    """.split()  # noqa: SIM905
)
# Where the same name means an option.
_OPTIONS = {
    "bincount": {"weights"},
    "diagonal": {"offset"},
    "trace": {"offset"},
    "histogram": {"bins"},
    "squareplus": {"b"},
    "trapezoid": {"x"},
    "unique": {"fill_value"},
}
# Arguments of the call that Keras passes by keyword; the others are positional.
_BY_KEYWORD = {
    "arange": {"step"},
    "average": {"weights"},
    "dot_product_attention": {"bias", "mask", "scale"},
    "pad": {"constant_values"},
    "rms_normalization": {"scale"},
}
_ALSO_TENSORS = {"solve": {"b"}, "solve_triangular": {"b"}, "lstsq": {"b"}, "allclose": set()}
_CLASS_NAMES = {
    "abs": "Absolute",
    "allclose": "AllClose",
    "batch_normalization": "BatchNorm",
    "cdist": "CDist",
    "conj": "Conjugate",
    "ctc_decode": "CTCDecode",
    "ctc_loss": "CTCLoss",
    "fft": "FFT",
    "fft2": "FFT2",
    "get_item": "GetItem",
    "hard_swish": "HardSilu",
    "ifft2": "IFFT2",
    "irfft": "IRFFT",
    "isin": "IsIn",
    "istft": "ISTFT",
    "layer_normalization": "LayerNorm",
    "psnr": "PSNR",
    "rfft": "RFFT",
    "rms_normalization": "RMSNorm",
    "searchsorted": "SearchSorted",
    "stft": "STFT",
    "svd": "SVD",
    "swish": "Silu",
}
# Modules other than numpy that Keras's classes are in.
_MODULES = {
    "nn": "adaptive_average_pool adaptive_max_pool average_pool batch_normalization binary_crossentropy "
    "categorical_crossentropy celu conv conv_transpose ctc_decode ctc_loss depth_to_space depthwise_conv "
    "dot_product_attention elu fold gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh layer_normalization "
    "leaky_relu log_sigmoid log_softmax max_pool moments multi_hot normalize one_hot polar psnr relu relu6 "
    "rms_normalization selu separable_conv sigmoid silu soft_shrink softmax softplus softsign space_to_depth "
    "sparse_categorical_crossentropy sparse_plus sparse_sigmoid sparsemax squareplus swish tanh_shrink threshold unfold",
    "core": "associative_scan cast cond fori_loop map saturate_cast scan scatter scatter_update slice slice_update "
    "stop_gradient switch unstack vectorized_map while_loop",
    "math": "erf erfc erfinv extract_sequences fft fft2 ifft2 in_top_k irfft istft logdet logsumexp rfft rsqrt segment_max "
    "segment_min segment_prod segment_sum stft top_k view_as_complex view_as_real cdist",
    "linalg": "cholesky cholesky_inverse det eig eigh inv jvp lstsq lu_factor matrix_rank norm pinv qr solve "
    "solve_triangular svd",
    "image": "affine_transform crop_images elastic_transform extract_patches gaussian_blur hsv_to_rgb map_coordinates "
    "pad_images perspective_transform resize rgb_to_grayscale rgb_to_hsv scale_and_translate",
}
_MODULE_OF = {function: module for module, functions in _MODULES.items() for function in functions.split()}

_classes: dict[str, type] = {}


class OpNode(Operation):
    """A call of one ops function; the base of the classes made here."""

    function: Callable
    function_name: str
    parameters: tuple[inspect.Parameter, ...]
    variadic: bool
    keras_module: str  # where Keras has the class, as configs name it

    def __init__(self, name: str | None = None, **config: Any):
        super().__init__(name=name)
        self.config = config

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The function with the config's values filled in."""
        return self._spread(args, kwargs) if self.variadic else self.function(**self._arguments(args, kwargs))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return compute_output_spec(self.call, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **self.config}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> OpNode:
        return cls(**config)

    def _arguments(self, args: tuple, kwargs: dict) -> dict[str, Any]:
        names = [p.name for p in self.parameters if p.name not in self.config]
        if len(args) > len(names):
            raise TypeError(f"[{self.function_name}] expected at most {len(names)} tensors, received {len(args)}")
        config = {key: _tuples(value) for key, value in self.config.items()}
        given = dict(zip(names, args))
        if self.function_name == "get_item" and isinstance(given.get("key"), list):
            given["key"] = tuple(given["key"])  # JSON has no tuples; a list of slices would be no index
        return {**config, **given, **kwargs}

    def _spread(self, args: tuple, kwargs: dict) -> Any:
        leading = []
        for parameter in self.parameters:
            if parameter.kind is parameter.VAR_POSITIONAL:
                break
            leading.append(parameter.name)
        first = [self.config[name] for name in leading if name in self.config]
        options = {key: value for key, value in self.config.items() if key not in leading}
        return self.function(*first, *args, **options, **kwargs)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def symbolic_call(function: Callable, args: tuple, kwargs: dict) -> Any:
    """What `function` (of kcore.ops) returns for arguments with KerasTensors among them: KerasTensors."""
    cls = op_class(function)
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    config: dict[str, Any] = {}
    call_args: list[Any] = []
    call_kwargs: dict[str, Any] = {}
    for parameter in cls.parameters:
        value = bound.arguments[parameter.name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            call_args.extend(value)
        elif parameter.kind is parameter.VAR_KEYWORD:
            call_kwargs.update(value)
        elif not _is_tensor_parameter(function.__name__, parameter.name) and not _holds_tensor(value):
            config[parameter.name] = value
        elif parameter.name in _BY_KEYWORD.get(function.__name__, ()):
            call_kwargs[parameter.name] = value
        else:
            call_args.append(value)
    return cls(**config).symbolic_call(*call_args, **call_kwargs)


def op_class(function: Callable) -> type:
    """The class of an ops function's calls."""
    name = function.__name__
    if name not in _classes:
        class_name = _class_name(name)
        parameters = tuple(inspect.signature(function).parameters.values())
        _classes[name] = type(
            class_name,
            (OpNode,),
            {
                "__doc__": f"A call of ops.{name} in a model.",
                "function": staticmethod(function),
                "function_name": name,
                "parameters": parameters,
                "variadic": any(p.kind is p.VAR_POSITIONAL for p in parameters),
                "keras_module": f"keras.src.ops.{_MODULE_OF.get(name, 'numpy')}",
            },
        )
    return _classes[name]


def op_class_named(class_name: str, namespace: Any) -> type | None:
    """The class for a name in a config (`GetItem`), given the module of the ops functions; None if there is none."""
    for function_name in dir(namespace):
        function = getattr(namespace, function_name)
        if _class_name(function_name) == class_name and inspect.isfunction(function):
            return op_class(inspect.unwrap(function))
    return None


def _class_name(function_name: str) -> str:
    return _CLASS_NAMES.get(function_name) or "".join(part.capitalize() for part in function_name.split("_"))


def _is_tensor_parameter(function_name: str, parameter: str) -> bool:
    if parameter in _OPTIONS.get(function_name, ()):
        return False
    return parameter in _TENSORS or parameter in _ALSO_TENSORS.get(function_name, ())


def _holds_tensor(value: Any) -> bool:
    return any(isinstance(leaf, KerasTensor) for leaf in tree.flatten(value))


def _tuples(value: Any) -> Any:
    return tree.lists_to_tuples(value) if isinstance(value, list) else value
