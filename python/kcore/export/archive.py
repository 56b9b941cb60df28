"""ExportArchive: functions of tensors, recorded and written as the programs of one file."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from kcore import _core, tree
from kcore.autograd import Tensor, Variable, convert_to_tensor
from kcore.export.weights import named_cells, variables_of

# Sizes that a free batch is recorded with: two make a line, the third says whether it is one.
_BATCHES = (2, 3, 5)
# Other machines add up in another order.
_TOLERANCE = 1e-3


class ExportArchive:
    """Collects functions, and writes each as a program of its name.

    Variables that several programs use are stored once.

    Example:

    >>> import tempfile, os
    >>> model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2)])
    >>> archive = kcore.export.ExportArchive()
    >>> archive.track(model)
    >>> archive.add_endpoint("scores", lambda x: model(x, training=False), [kcore.InputSpec(shape=(None, 3))])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.kcore")
    >>> archive.write_out(path, verbose=False)
    >>> kcore.export.load(path, "scores")(np.zeros((4, 3), "float32")).shape
    (4, 2)
    """

    def __init__(self) -> None:
        self._variables: list = []
        self._programs: list[dict] = []
        self._cells: list = []

    def track(self, resource: Any) -> None:
        """Names the variables of a model or a layer by their paths."""
        self._variables += variables_of(resource)

    def add_variable_collection(self, name: str, variables: Any) -> None:
        """Names further variables by their paths; `name` is Keras's and has no use here."""
        del name
        self._variables += list(variables)

    def track_and_add_endpoint(self, name: str, resource: Any, input_signature: Any, **kwargs: Any) -> None:
        """`track`, and `add_endpoint` of the resource as it is called for inference."""
        self.track(resource)
        self.add_endpoint(name, _inference_of(resource), input_signature, **kwargs)

    def add_endpoint(self, name: str, fn: Callable, input_signature: Any = None, **kwargs: Any) -> None:
        """Records a function.

        Args:
            name: of the program.
            fn: takes tensors, or nests of them, and returns a nest of tensors.
            input_signature: a list with what describes each argument: InputSpec, KerasTensor, tensors, arrays, or nests
                of them. A first size of None is the size of the batch, which is then free.
            input_names, output_names: lists of names; by default those of the arguments, keys and specs.

        Raises:
            ValueError: the name is taken, a size other than the first is None, or what the function does depends on the
                size of the batch in a way that a program cannot hold.
            RecordingError: the function looks at values.
        """
        if any(program["name"] == name for program in self._programs):
            raise ValueError(f"[add_endpoint] expected a new name, received {name!r} again")
        if input_signature is None:
            raise ValueError("[add_endpoint] expected input_signature: what describes each argument of the function")
        self.add_recorded(name, fn, input_signature, _TOLERANCE, **kwargs)

    def add_recorded(
        self, name: str, fn: Callable, signature: Any, tolerance: float, input_names: Any = None,
        output_names: Any = None,
    ) -> None:  # fmt: skip
        specs = tree.flatten(signature)
        free = [_has_free_batch(spec) for spec in specs]
        batches = _BATCHES if any(free) else (1,)
        recordings = []
        for batch in batches:
            arrays = [_example(spec, batch) for spec in specs]
            recording, outputs, paths = _record(fn, signature, arrays, fold=len(batches) == 1)
            recordings.append((recording, [array.array for array in arrays], outputs))
            self._cells += recording.cells
        if not paths:
            raise ValueError(f"[export] expected {name} to return tensors, received none")
        self._programs.append(
            {
                "name": name,
                "recordings": [recording for recording, _, _ in recordings],
                "batches": list(batches),
                "inputs": _distinct(list(input_names or _input_names(signature))),
                "outputs": _distinct(list(output_names or paths)),
                "test_inputs": recordings[0][1],
                "test_outputs": recordings[0][2],
                "tolerance": tolerance,
            }
        )

    def write_out(self, filepath: str | os.PathLike, options: Any = None, verbose: bool | None = True) -> None:
        """Writes the file; replaces one of that name when it is complete.

        Raises:
            ValueError: there is no endpoint.
        """
        if options is not None:
            raise ValueError("[write_out] expected no options: they are TensorFlow's")
        if not self._programs:
            raise ValueError("[write_out] expected at least one endpoint, received none: call add_endpoint")
        path = os.path.realpath(os.fspath(filepath))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _core.write_programs(path, self._programs, named_cells(self._variables, self._cells))
        if verbose:
            print(f"Saved programs {[program['name'] for program in self._programs]} at {path!r}")


def export_model(
    model: Any, filepath: str | os.PathLike, verbose: bool | None = None, input_signature: Any = None
) -> None:
    """Writes a model for inference; `model.export` in other words."""
    if input_signature is None:
        input_signature = [_signature_of(model)]
    archive = ExportArchive()
    names = {}
    for kind in ("input_names", "output_names"):
        found = getattr(getattr(model, "_functional", None) or model, kind, None)
        if found and (kind != "input_names" or len(found) == len(tree.flatten(input_signature))):
            names[kind] = found
    archive.track_and_add_endpoint("serve", model, input_signature, **names)
    archive.write_out(filepath, verbose=bool(verbose))


def _inference_of(resource: Any) -> Callable:
    forward = getattr(resource, "_forward", None)
    return resource if forward is None else lambda x: forward(x, training=False)


def _signature_of(model: Any) -> Any:
    """What the model takes."""
    struct = getattr(model, "_inputs_struct", None)
    if struct is None and getattr(model, "_functional", None) is not None:
        struct = model._functional._inputs_struct
    if struct is not None:
        return struct
    shapes = (getattr(model, "_build_shapes", None) or {}).get("input_shape")
    if shapes is None:
        raise ValueError(
            "[export] expected a model that knows its inputs: build or call it, or give input_signature, a list of "
            "InputSpec"
        )
    from kcore.graph import KerasTensor

    return tree.map_shape_structure(lambda shape: KerasTensor(shape, model.input_dtype), shapes)


def _shape_of(spec: Any) -> tuple:
    shape = getattr(spec, "shape", None)
    if shape is None:
        raise ValueError(f"[export] expected a shape for each input, received {spec!r}")
    if any(size is None for size in shape[1:]):
        raise ValueError(
            f"[export] expected fixed sizes after the batch, received the shape {tuple(shape)}. Give input_signature, "
            "with one program (ExportArchive.add_endpoint) for each size that you need"
        )
    return tuple(shape)


def _has_free_batch(spec: Any) -> bool:
    return not isinstance(spec, np.ndarray) and None in _shape_of(spec)


def _example(spec: Any, batch: int) -> Tensor:
    """What the program is tested with: the tensor itself, or random floats and zeros for integers, which may be indices."""
    if isinstance(spec, (Tensor, np.ndarray)):
        return convert_to_tensor(spec)
    shape = tuple(batch if size is None else size for size in _shape_of(spec))
    dtype = spec.dtype or "float32"
    if "float" not in dtype:
        return convert_to_tensor(np.zeros(shape, dtype))
    values = np.random.default_rng(0).uniform(-1, 1, shape)
    return convert_to_tensor(values.astype("float32"), dtype)


def _record(fn: Callable, signature: Any, arrays: list, fold: bool) -> tuple:
    """The recording, what came out, and the names of the outputs. Variables hold afterwards what they held before."""
    for _ in range(2):  # the first call of a layer may make its variables
        recorder = _core.Recorder([tensor.array for tensor in arrays], fold)
        try:
            own = iter(recorder.inputs)
            given = tree.map_structure(lambda _: Tensor(next(own)), signature)  # noqa: B023
            result = tree.map_structure(_as_tensor, fn(*given))
            outputs = [leaf.array for leaf in tree.flatten(result) if isinstance(leaf, Tensor)]
            made = recorder.has_made
        except BaseException:
            recorder.abort()
            raise
        if not made:
            break
        recorder.abort()
    else:
        raise _core.RecordingError("[export] the function makes a Variable in every call: make Variables once, outside")
    recording = _core.Recording(recorder, outputs)
    for cell in recording.cells:
        cell.value = recorder.before(cell)
    names = [_name(path, "output") for path, leaf in tree.flatten_with_path(result) if isinstance(leaf, Tensor)]
    return recording, outputs, names


def _as_tensor(leaf: Any) -> Any:
    return convert_to_tensor(leaf) if isinstance(leaf, Variable) else leaf


def _input_names(signature: Any) -> list[str]:
    names = []
    for path, spec in tree.flatten_with_path(signature):
        named = path[-1] if isinstance(path[-1], str) else getattr(spec, "name", None)
        names.append(named or _name(path, "input"))
    return names


def _name(path: tuple, what: str) -> str:
    """`output` of a single one, the key of a dict, else the way to it."""
    keys = [str(part) for part in path]
    return ".".join(keys if any(isinstance(part, str) for part in path) else [what, *keys])


def _distinct(names: list[str]) -> list[str]:
    used: dict[str, int] = {}
    result = []
    for name in names:
        count = used[name] = used.get(name, -1) + 1
        result.append(f"{name}:{count}" if count else name)
    return result
