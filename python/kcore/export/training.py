"""Training steps as programs."""

from __future__ import annotations

import os
from typing import Any

from kcore import tree
from kcore.autograd import Tensor, convert_to_tensor
from kcore.export.archive import ExportArchive
from kcore.models.trainer.data import pack_x_y_sample_weight

# A step rounds on its way forward, backward, and in the optimizer.
_TOLERANCE = 5e-3


def training_program(model: Any, filepath: str | os.PathLike, x: Any, y: Any = None, sample_weight: Any = None) -> None:
    """Writes the training step of a compiled model as a program, for applications that train without Python.

    The program takes a batch (of a nest, its parts by their names), updates the weights, the optimizer's state and the
    random counters, and gives the loss and metrics of that batch. `Context::save` writes the weights that it came to:
    `export.load_weights` puts them back into the model, `Context::load` into a context of what `model.export` wrote.

    Args:
        model: a compiled model. Its weights and state stay as they are.
        filepath: the file, `NAME.kcore`.
        x, y, sample_weight: a batch such as `train_on_batch` takes, of the size that the application will train with. It
            is what the program is tested with when it is loaded, and lies in the file.

    Raises:
        ValueError: the model is not compiled.
        RecordingError: the step looks at values in Python, or is decided by a count of steps (gradient accumulation).

    Example:

    >>> import tempfile, os
    >>> model = kcore.Sequential([kcore.Input((3,)), kcore.layers.Dense(2)])
    >>> model.compile("adam", "mse")
    >>> path = os.path.join(tempfile.mkdtemp(), "train.kcore")
    >>> x, y = np.ones((8, 3), "float32"), np.zeros((8, 2), "float32")
    >>> kcore.export.training_program(model, path, x, y)
    >>> step = kcore.export.load(path, "train")
    >>> float(step(x, y)) > float(step(x, y))
    True
    """
    model._assert_compiled("training_program")
    data = tuple(_tensors(part) for part in (x, y, sample_weight))
    names = [name for part, name in zip(data, ("x", "y", "sample_weight")) for name in _names(part, name)]

    def step(*given: Any) -> dict[str, Any]:
        parts = iter(given)
        batch = tuple(None if part is None else next(parts) for part in data)
        model.reset_metrics()  # the metrics of this batch
        return model.train_step(pack_x_y_sample_weight(*batch))

    archive = ExportArchive()
    if model.optimizer is not None and model.built:
        model.optimizer.build(model.trainable_variables)
    archive.track(model)
    archive.add_recorded("train", step, [part for part in data if part is not None], _TOLERANCE, names)
    archive.write_out(filepath, verbose=False)


def _tensors(part: Any) -> Any:
    return None if part is None else tree.map_structure(convert_to_tensor, part)


def _names(part: Any, name: str) -> list[str]:
    if part is None or isinstance(part, Tensor):
        return [] if part is None else [name]
    return [".".join([name, *map(str, path)]) for path, _ in tree.flatten_with_path(part)]
