"""Small array helpers for labels and features: one-hot labels, normalized rows, padded sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """One-hot rows from integer class labels.

    Args:
        x: integers in 0 ... num_classes - 1, of any shape; a last axis of size 1 is dropped.
        num_classes: number of classes; the largest label + 1 by default.

    Returns:
        float64 array of shape `x.shape + (num_classes,)`.

    Raises:
        ValueError: a label that is no integer or outside the classes.

    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    given = np.asarray(x)
    if given.size and not np.all(np.equal(np.mod(given, 1), 0)):
        raise ValueError(
            f"[to_categorical] expected integer labels, received {given.dtype} values such as {given.flat[0]}"
        )
    labels = given.astype("int64")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if not num_classes:
        num_classes = int(labels.max(initial=-1)) + 1
    if labels.size and (labels.min() < 0 or labels.max() >= num_classes):
        raise ValueError(
            f"[to_categorical] expected labels in 0 ... {num_classes - 1}, received {labels.min()} ... {labels.max()}"
        )
    return np.eye(num_classes)[labels]


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray:
    """Divides by the norm of order `order` along an axis; zero vectors stay zero.

    >>> normalize([[3.0, 4.0]])
    array([[0.6, 0.8]])
    """
    x = np.asarray(x)
    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    norm[norm == 0] = 1
    return x / np.expand_dims(norm, axis)


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Brings sequences to one length by padding and truncating.

    Args:
        sequences: list of N sequences; each has its own length, and items of one common shape.
        maxlen: the length; that of the longest sequence by default.
        dtype: dtype of the result; `object` for strings.
        padding: `"pre"` or `"post"`: where `value` is added.
        truncating: `"pre"` or `"post"`: where items are cut off.
        value: what is added.

    Returns:
        Array (N, maxlen, ...).

    Raises:
        ValueError: not sequences, or items of different shapes.

    >>> pad_sequences([[1], [2, 3]])
    array([[0, 1],
           [2, 3]], dtype=int32)
    """
    for name, where in (("padding", padding), ("truncating", truncating)):
        if where not in ("pre", "post"):
            raise ValueError(f"[pad_sequences] expected {name} 'pre' or 'post', received {where!r}")
    try:
        lengths = [len(s) for s in sequences]
    except TypeError as e:
        raise ValueError(
            f"[pad_sequences] expected a list of sequences, received {type(sequences).__name__}: {e}"
        ) from e
    if maxlen is None:
        maxlen = max(lengths, default=0)
    item_shape = next((np.asarray(s).shape[1:] for s in sequences if len(s)), ())
    is_text = np.issubdtype(dtype, np.str_)
    if isinstance(value, str) and not np.issubdtype(dtype, np.object_) and not is_text:
        raise ValueError(f"[pad_sequences] expected dtype object for the text value {value!r}, received {dtype!r}")
    result = np.full((len(lengths), maxlen, *item_shape), value, dtype=dtype)
    for row, sequence in enumerate(sequences):
        if not len(sequence) or not maxlen:
            continue
        kept = np.asarray(sequence[-maxlen:] if truncating == "pre" else sequence[:maxlen], dtype=dtype)
        if kept.shape[1:] != item_shape:
            raise ValueError(
                f"[pad_sequences] expected items of shape {item_shape}, received {kept.shape[1:]} in sequence {row}"
            )
        if padding == "post":
            result[row, : len(kept)] = kept
        else:
            result[row, -len(kept) :] = kept
    return result
