"""Shuffles a data set and cuts it into a training and a test part, in the same order as Keras."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from kcore.datasets.archives import fetch, load_npz

Arrays = tuple[np.ndarray, np.ndarray]


def shuffled(x: np.ndarray, y: np.ndarray, rng: np.random.RandomState) -> Arrays:
    """Both arrays in one order, drawn from NumPy's legacy generator."""
    order = np.arange(len(x))
    rng.shuffle(order)
    return x[order], y[order]


def load_regression(
    path: str | os.PathLike, origin: str, file_hash: str, test_split: float, seed: int, limit: int | None = None
) -> tuple[Arrays, Arrays]:
    """An npz of `x` and `y`, shuffled and split."""
    if not 0 <= test_split < 1:
        raise ValueError(f"[load_data] expected test_split in [0, 1), received {test_split!r}")
    x, y = load_npz(fetch(path, origin, file_hash), "x", "y")
    x, y = shuffled(x[:limit], y[:limit], np.random.RandomState(seed))
    cut = int(len(x) * (1 - test_split))
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


def words_as_numbers(
    sequences: Any,
    labels: np.ndarray,
    maxlen: int | None,
    start_char: int | None,
    index_from: int,
) -> tuple[list[list[int]], np.ndarray]:
    """Sequences of word ranks, marked at the start and moved up by `index_from`, without those of `maxlen` or more."""
    head = [] if start_char is None else [start_char]
    # Without a start mark index_from may be None or 0: ranks then stay as they are.
    moved = [head + [word + (index_from or 0) for word in sequence] for sequence in sequences]
    if not maxlen:
        return moved, labels
    kept = [i for i, sequence in enumerate(moved) if len(sequence) < maxlen]
    if not kept:
        raise ValueError(f"[load_data] expected sequences shorter than maxlen, received {maxlen}: none is; increase it")
    return [moved[i] for i in kept], labels[kept]


def within_vocabulary(
    sequences: list[list[int]], num_words: int | None, skip_top: int, oov_char: int | None
) -> np.ndarray:
    """Object array of lists; words outside `skip_top ... num_words - 1` become `oov_char`, or vanish if it is None."""
    num_words = num_words or max(max(sequence, default=0) for sequence in sequences)
    if oov_char is None:
        lists = [[w for w in s if skip_top <= w < num_words] for s in sequences]
    else:
        lists = [[w if skip_top <= w < num_words else oov_char for w in s] for s in sequences]
    result = np.empty(len(lists), object)
    result[:] = lists
    return result
