"""Reads data set archives: finds the file, and takes arrays out of npz and pickle files without unpickling objects."""

from __future__ import annotations

import os
import pickle
import zipfile
from typing import Any

import numpy as np

from kcore.utils.files import get_file

STORAGE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_DTYPES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "O8"}


def fetch(path: str | os.PathLike, origin: str, file_hash: str | None, **options: Any) -> str:
    """The local file for `path`: a URL, a path with a folder (`./mnist.npz`), or a name in the cache of `origin`."""
    path = os.fspath(path)
    if "://" in path:
        return get_file(origin=path, **options)
    if not os.path.dirname(path):
        return get_file(path, origin=origin, file_hash=file_hash, **options)
    local = os.path.expanduser(path)
    if not os.path.isfile(local):
        raise FileNotFoundError(
            f"[load_data] expected a file name in the cache, a URL or a local file, received {path!r}"
        )
    return local


def load_npz(path: str, *keys: str) -> list[np.ndarray]:
    """Arrays out of an npz file. Arrays of lists (which npz stores as pickles) are rebuilt from plain data only.

    Raises:
        ValueError: not an npz file, damaged, without these arrays, or holding anything but numbers and lists.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            missing = [key for key in keys if f"{key}.npy" not in archive.namelist()]
            if missing:
                raise ValueError(f"[load_data] expected arrays {keys} in {path}, received {archive.namelist()}")
            arrays = []
            for key in keys:
                with archive.open(f"{key}.npy") as member:
                    arrays.append(_read_npy(member, f"{key} in {path}"))
            return arrays
    except (zipfile.BadZipFile, EOFError, OSError) as e:
        raise ValueError(
            f"[load_data] expected a whole npz file at {path}, received one that cannot be read ({e})"
        ) from e


def _read_npy(member: Any, what: str) -> np.ndarray:
    version = np.lib.format.read_magic(member)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(member)
    if dtype.hasobject:
        value = load_plain(member, what)
        if not isinstance(value, np.ndarray) or value.shape != shape:
            raise ValueError(
                f"[load_data] expected an array of shape {shape} for {what}, received {type(value).__name__}"
            )
        return value
    data = member.read()
    count = int(np.prod(shape, dtype="int64"))
    if len(data) != count * dtype.itemsize:
        raise ValueError(f"[load_data] expected {count * dtype.itemsize} bytes for {what}, received {len(data)}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C").copy()


class _Dtype:
    """Stands for numpy.dtype in a pickle; accepts the names of plain number types and of object."""

    def __init__(self, name: Any, *_: Any):
        name = name.decode("ascii") if isinstance(name, bytes) else name
        if name not in _DTYPES:
            raise pickle.UnpicklingError(f"dtype {name!r} is not a number")
        self.name, self.order = name, "="

    def __setstate__(self, state: Any) -> None:
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        self.order = order if order in ("<", ">") else "="

    def numpy(self) -> np.dtype:
        return np.dtype(self.order + self.name)


class _Array:
    """Stands for numpy.ndarray in a pickle: collects shape, dtype and data, to be checked before an array is made."""

    array: np.ndarray | None = None

    def __init__(self, *_: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype) or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise pickle.UnpicklingError("an array without shape or dtype")
        count = int(np.prod(shape, dtype="int64"))
        if dtype.name == "O8":
            if not isinstance(data, list) or len(data) != count:
                raise pickle.UnpicklingError("an array whose data does not fit its shape")
            flat = np.empty(count, object)
            flat[:] = [_finished(item) for item in data] if count else []
        else:
            if isinstance(data, str):  # Python 2 wrote bytes as text
                data = data.encode("latin1")
            if not isinstance(data, bytes) or len(data) != count * dtype.numpy().itemsize:
                raise pickle.UnpicklingError("an array whose data does not fit its shape")
            flat = np.frombuffer(data, dtype.numpy()).copy()
        self.array = flat.reshape(shape, order="F" if fortran else "C")


def _encode(text: str, encoding: str) -> bytes:
    """Stands for codecs.encode, by which Python 3 writes bytes in old protocols."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding {encoding!r}")
    return text.encode("latin1")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


# The only names a data set may contain, and what they mean here. No function of NumPy or Python is ever called.
_STAND_INS = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("_codecs", "encode"): _encode,
}


class _PlainReader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the name {module}.{name}") from None


def load_plain(file: Any, what: str) -> Any:
    """Numbers, strings, lists, dicts and arrays out of a pickle; anything else in it is refused before it can act.

    Raises:
        ValueError: the file is damaged, or holds something else.
    """
    try:
        return _finished(_PlainReader(file, encoding="bytes").load())
    except Exception as e:
        raise ValueError(f"[load_data] expected plain arrays and lists for {what}, received {e}") from e


def _finished(value: Any) -> Any:
    """The value with arrays in place of their stand-ins."""
    if isinstance(value, _Array):
        return value.array
    if isinstance(value, dict):
        return {_text(key): _finished(item) for key, item in value.items()}
    return value


def _text(key: Any) -> Any:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else key
