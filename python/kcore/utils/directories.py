"""Data sets from folders: one folder per class, with pictures or texts in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore.autograd.config import standardize_data_format
from kcore.saving.names import nearest
from kcore.utils.batches import Batches, labels_as
from kcore.utils.images import img_to_array, load_img, pillow, smart_resize

_PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
_INTERPOLATION = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")


def image_dataset_from_directory(
    directory: str | os.PathLike,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: int | tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    verbose: bool = True,
) -> Any:
    """Batches of pictures from a folder with one subfolder per class. Pictures are read when their batch is asked for.

    Args:
        directory: the folder; `directory/CLASS/.../NAME.png`.
        labels: `"inferred"` from the subfolders, None for no labels, or a list of integers, one per picture in
            alphabetical order of the paths.
        label_mode: `"int"` (N,) int32; `"binary"` (N, 1) and `"categorical"` (N, classes) float32; None for no labels.
        class_names: the subfolders to use, in the order of their labels; default: all, alphabetically.
        color_mode: `"rgb"`, `"rgba"` or `"grayscale"`.
        batch_size: pictures per batch, or None for single ones.
        image_size: (height, width) to resize to.
        shuffle: shuffle the pictures, differently in every epoch.
        seed: seed of the shuffle.
        validation_split: fraction, taken from the end, that belongs to the subset "validation".
        subset: `"training"`, `"validation"`, or `"both"` for a pair of data sets.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
        follow_links: enter linked folders.
        crop_to_aspect_ratio: cut the middle to the wanted proportions before resizing.
        pad_to_aspect_ratio: add black borders to the wanted proportions before resizing.
        data_format: `"channels_last"`, `"channels_first"`, or None for the default one.
        verbose: say how many files were found.

    Returns:
        `Batches` of float32 pictures (N, height, width, channels) with values 0 ... 255, or of `(pictures, labels)`;
        its attributes `class_names` and `file_paths` say what they are.

    Raises:
        FileNotFoundError: no such folder. ImportError: pillow is missing.
        ValueError: no pictures, or arguments that contradict each other.
    """
    what = "image_dataset_from_directory"
    pillow(what)
    if color_mode not in _CHANNELS:
        raise ValueError(
            f"[{what}] expected color_mode of {sorted(_CHANNELS)}, received {color_mode!r}"
            f"{nearest(color_mode, _CHANNELS)}"
        )
    if interpolation not in _INTERPOLATION:
        raise ValueError(
            f"[{what}] expected interpolation of {sorted(_INTERPOLATION)}, received {interpolation!r}"
            f"{nearest(interpolation, _INTERPOLATION)}"
        )
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(size) != 2:
        raise ValueError(f"[{what}] expected image_size (height, width), received {image_size!r}")
    layout = standardize_data_format(data_format)

    def read(path: str) -> np.ndarray:
        image = img_to_array(load_img(path, color_mode), "channels_last", "float32")
        if pad_to_aspect_ratio:
            image = _pad(image, size)
        if image.shape[:2] != size:
            keep = crop_to_aspect_ratio
            image = smart_resize(image, size, interpolation) if keep else _resize(image, size, interpolation)
        return image.transpose(2, 0, 1) if layout == "channels_first" else image

    return _dataset(
        what, directory, _PICTURES, read, labels, label_mode, class_names, batch_size, shuffle, seed,
        validation_split, subset, follow_links, verbose,
    )  # fmt: skip


def _resize(image: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    from kcore import ops

    return np.array(ops.image.resize(ops.convert_to_tensor(image), size, interpolation=interpolation))


def _pad(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture (height, width, channels) in the middle of the smallest black one with the proportions of `size`."""
    height, width = image.shape[:2]
    rows = max(height, width * size[0] // size[1]) - height
    columns = max(width, height * size[1] // size[0]) - width
    return np.pad(image, ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2), (0, 0)))


def text_dataset_from_directory(
    directory: str | os.PathLike,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Any:
    """Batches of texts from a folder with one subfolder of `.txt` files per class.

    The arguments are those of `image_dataset_from_directory`; `max_length` cuts texts off after so many bytes.
    Texts come as an array of `str` objects (N,).
    """

    def read(path: str) -> np.ndarray:
        with open(path, "rb") as file:
            text = np.empty((), object)
            text[()] = file.read(-1 if max_length is None else max_length).decode("utf-8", "replace")
            return text

    return _dataset(
        "text_dataset_from_directory", directory, (".txt",), read, labels, label_mode, class_names, batch_size, shuffle,
        seed, validation_split, subset, follow_links, verbose,
    )  # fmt: skip


def _dataset(
    what: str,
    directory: Any,
    endings: tuple[str, ...],
    read: Callable[[str], np.ndarray],
    labels: Any,
    label_mode: str | None,
    class_names: Sequence[str] | None,
    batch_size: int | None,
    shuffle: bool,
    seed: int | None,
    validation_split: float | None,
    subset: str | None,
    follow_links: bool,
    verbose: bool,
) -> Any:
    if label_mode not in ("int", "categorical", "binary", None):
        raise ValueError(
            f"[{what}] expected label_mode 'int', 'categorical', 'binary' or None, received {label_mode!r}"
        )
    _check_split(what, validation_split, subset, shuffle, seed)
    if label_mode is None:
        labels = None
    seed = int(np.random.randint(10**6)) if seed is None else seed
    paths, numbers, names = index_directory(what, directory, endings, labels, class_names, follow_links)
    if not paths:
        raise ValueError(f"[{what}] expected files ending in {endings} under {os.fspath(directory)}, received none")
    if label_mode == "binary" and numbers is not None and len(names) != 2:
        raise ValueError(f"[{what}] expected 2 classes for label_mode 'binary', received {names}")
    if verbose:
        print(f"Found {len(paths)} files" + (f" belonging to {len(names)} classes." if numbers is not None else "."))
    order = np.arange(len(paths))
    if shuffle:
        np.random.RandomState(seed).shuffle(order)  # the generator of Keras, so that splits agree with it

    def part(rows: np.ndarray, reshuffle: bool) -> Batches:
        if not len(rows):
            raise ValueError(f"[{what}] expected files for each part of the split, received {len(paths)} files in all")
        files = [paths[i] for i in rows]
        marks = None if numbers is None else labels_as(numbers[rows], label_mode or "int", len(names))

        def load(batch: np.ndarray) -> Any:
            items = np.stack([read(files[i]) for i in batch])
            return items if marks is None else (items, marks[batch])

        data = Batches(load, len(files), batch_size, reshuffle, seed)
        data.class_names, data.file_paths = (names if numbers is not None else None), files
        return data

    if subset is None:
        return part(order, shuffle)
    held_out = int(validation_split * len(paths))  # type: ignore[operator]
    training, validation = order[: len(order) - held_out], order[len(order) - held_out :]
    if subset == "both":
        return part(training, shuffle), part(validation, False)
    return part(training if subset == "training" else validation, shuffle)


def _check_split(what: str, split: float | None, subset: str | None, shuffle: bool, seed: int | None) -> None:
    if subset not in ("training", "validation", "both", None):
        raise ValueError(f"[{what}] expected subset 'training', 'validation', 'both' or None, received {subset!r}")
    if split and not 0 < split < 1:
        raise ValueError(f"[{what}] expected validation_split between 0 and 1, received {split}")
    if bool(split) != bool(subset):
        raise ValueError(f"[{what}] expected validation_split and subset together, received {split} and {subset!r}")
    if split and shuffle and seed is None:
        raise ValueError(f"[{what}] expected a seed with validation_split and shuffle, or both parts overlap")


def index_directory(
    what: str, directory: Any, endings: tuple[str, ...], labels: Any, class_names: Any, follow_links: bool
) -> tuple[list[str], np.ndarray | None, list[str]]:
    """(paths, labels, class names) of the files under a folder, in alphabetical order within each class."""
    directory = os.fspath(directory)
    if not os.path.isdir(directory):
        raise FileNotFoundError(f"[{what}] expected a folder, received {directory!r}")
    folders = [""]
    if isinstance(labels, str) and labels == "inferred":
        found = sorted(e.name for e in os.scandir(directory) if e.is_dir() and not e.name.startswith("."))
        if class_names is not None and not set(class_names) <= set(found):
            raise ValueError(
                f"[{what}] expected class_names among the subfolders {found}, received {list(class_names)}"
            )
        folders = list(class_names) if class_names is not None else found
    elif class_names is not None:
        raise ValueError(f"[{what}] expected class_names only with labels='inferred', received labels={labels!r}")
    elif isinstance(labels, str):
        raise ValueError(f"[{what}] expected labels 'inferred', None or a list of integers, received {labels!r}")
    paths: list[str] = []
    numbers: list[int] = []
    for number, folder in enumerate(folders):
        files = _files(os.path.join(directory, folder) if folder else directory, endings, follow_links)
        paths += files
        numbers += [number] * len(files)
    if labels is None:
        return paths, None, []
    if isinstance(labels, str):
        return paths, np.array(numbers, "int32"), folders
    if len(labels) != len(paths):
        raise ValueError(f"[{what}] expected one label for each of {len(paths)} files, received {len(labels)}")
    return paths, np.asarray(labels, "int32"), [str(label) for label in sorted(set(labels))]


def _files(folder: str, endings: tuple[str, ...], follow_links: bool) -> list[str]:
    walk = sorted(os.walk(folder, followlinks=follow_links))
    return [
        os.path.join(root, name) for root, _, names in walk for name in sorted(names) if name.lower().endswith(endings)
    ]
