"""What CIFAR-10 and CIFAR-100 share: the archive's batches of 32 x 32 colour pictures."""

from __future__ import annotations

import os

import numpy as np

from kcore.autograd.config import image_data_format
from kcore.datasets.archives import load_plain
from kcore.utils.files import get_file


def folder(path: str | os.PathLike | None, name: str, inner: str, origin: str, file_hash: str) -> str:
    """The folder with the batches: unpacked in the cache, or beside a local archive or inside a local folder `path`."""
    if path is None:
        unpacked = get_file(name, origin=origin, file_hash=file_hash, extract=True)
    elif os.path.isdir(os.path.expanduser(os.fspath(path))):
        unpacked = os.path.expanduser(os.fspath(path))
    else:
        unpacked = get_file(name, origin=os.fspath(path), extract=True, force_download=True)
    return os.path.join(unpacked, inner) if os.path.isdir(os.path.join(unpacked, inner)) else unpacked


def load_batch(path: str, label_key: str = "labels") -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (N, 32, 32, 3), in the default image layout, and labels uint8 (N, 1) of one batch file."""
    with open(path, "rb") as file:
        batch = load_plain(file, path)
    data = batch.get("data") if isinstance(batch, dict) else None
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != 3072 or label_key not in batch:
        raise ValueError(
            f"[load_data] expected a batch of pictures with '{label_key}' at {path}, received something else"
        )
    labels = np.asarray(batch[label_key], "uint8")
    if len(labels) != len(data):
        raise ValueError(f"[load_data] expected {len(data)} labels in {path}, received {len(labels)}")
    pictures = data.astype("uint8").reshape(len(data), 3, 32, 32)
    if image_data_format() == "channels_last":
        pictures = np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))
    return pictures, labels[:, None]
