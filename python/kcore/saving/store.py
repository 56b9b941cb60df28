"""Weight stores: where `save_own_variables` puts arrays and `load_own_variables` finds them, in an HDF5 file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np


def to_numpy(value: Any) -> np.ndarray:
    """The array of a variable, tensor or array."""
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


class WriteStore:
    """One object's slot in a file being written: assigning `store["0"] = value` makes a dataset in `PATH/vars`.

    The group exists only once it holds something, or from the start if the object has a name to remember.
    """

    def __init__(self, file: h5py.File, path: str, name: str | None = None):
        self._file = file
        self._path = f"{path}/vars" if path else "vars"
        if name:
            self._group().attrs["name"] = name

    def _group(self) -> h5py.Group:
        return self._file.require_group(self._path)

    def __setitem__(self, key: str, value: Any) -> None:
        write_dataset(self._group(), key, to_numpy(value))

    def __getitem__(self, key: str) -> np.ndarray:
        return read_dataset(self._group(), key)

    def __contains__(self, key: str) -> bool:
        return self._path in self._file and key in self._file[self._path]

    def keys(self) -> list[str]:
        """Names of what has been stored so far."""
        return list(self._group()) if self._path in self._file else []

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())


class ReadStore:
    """One object's slot in a file being read; empty when the file has nothing at this path."""

    def __init__(self, file: h5py.File, path: str):
        self.path = f"{path}/vars" if path else "vars"
        with damage_as_error(f"weights at '{self.path}'"):
            group = file.get(self.path)
            if group is None and "_layer_checkpoint_dependencies" in file:
                # Keras 2.13 named the list of layers after its tracking attribute.
                old = path.replace("layers", "_layer_checkpoint_dependencies")
                group = file.get(f"{old}/vars")
        if group is not None and not isinstance(group, h5py.Group):
            raise ValueError(f"[load_weights] expected a group at '{self.path}', received a dataset")
        self._group: Any = group if group is not None else {}

    def __getitem__(self, key: str) -> np.ndarray:
        if key not in self._group:
            raise KeyError(f"[load_weights] expected '{key}' in '{self.path}', received {sorted(self._group)}")
        return read_dataset(self._group, key)

    def __contains__(self, key: str) -> bool:
        return key in self._group

    def keys(self) -> list[str]:
        """Names of the stored arrays."""
        return list(self._group)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._group)


def write_dataset(group: h5py.Group, key: str, value: np.ndarray) -> None:
    """An array as Keras writes it: HDF5 has no bfloat16, so that it is opaque, with an attribute that tells."""
    dataset = group.create_dataset(key, data=value)
    if value.dtype.name == "bfloat16":
        dataset.attrs["dtype"] = "bfloat16"


@contextlib.contextmanager
def damage_as_error(what: str) -> Iterator[None]:
    """Turns what h5py raises on missing and damaged parts of a file into a ValueError that says what was expected."""
    try:
        yield
    except (KeyError, OSError, RuntimeError, TypeError, UnicodeDecodeError) as e:
        raise ValueError(f"[load_weights] expected {what}, received a file that is damaged or lacks it ({e})") from e


def read_dataset(group: h5py.Group, key: str) -> np.ndarray:
    """An array out of an untrusted file: no links to other files, and no more data than the file really holds.

    Raises:
        ValueError: the entry is missing, damaged, a link out of the file, or declares far more than is stored.
    """
    where = f"'{group.name}/{key}'"
    with damage_as_error(f"an array at {where}"):
        if isinstance(group.get(key, getlink=True), h5py.ExternalLink):
            raise ValueError(f"[load_weights] expected an array at {where}, received a link to another file")
        values = _checked(group[key], where)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"[load_weights] expected numbers at {where}, received {values.dtype}")
    return values


def _checked(dataset: Any, where: str) -> np.ndarray:
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise ValueError(f"[load_weights] expected an array at {where}, received {dataset}")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"[load_weights] expected an array at {where}, received data kept in another file")
    # Deflate cannot shrink below about 1/1032: a dataset that says it is larger would be filled with nothing.
    if dataset.nbytes > 2**26 and dataset.nbytes > 1100 * max(dataset.id.get_storage_size(), 1):
        raise ValueError(
            f"[load_weights] expected at least {dataset.nbytes // 1100} bytes of data at {where} of shape "
            f"{dataset.shape}, received {dataset.id.get_storage_size()}"
        )
    if dataset.attrs.get("dtype") == "bfloat16":
        # bfloat16 is the upper half of a float32; h5py shows it as two opaque bytes.
        bits = np.frombuffer(np.ascontiguousarray(dataset[()]).tobytes(), np.uint16)
        return (bits.astype(np.uint32) << 16).view(np.float32).reshape(dataset.shape)
    return np.array(dataset)


def open_for_reading(path: Any, what: str = "load_weights") -> h5py.File:
    """Opens an HDF5 file, with an error that names the file and what it is instead.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not HDF5, or truncated.
    """
    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise FileNotFoundError(f"[{what}] expected an HDF5 file at {path}, received a path without a file") from None
    except OSError as e:
        raise ValueError(
            f"[{what}] expected a whole HDF5 file at {path}, received one that cannot be read ({e})"
        ) from e
