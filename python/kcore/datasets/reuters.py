"""Reuters: 11,228 newswires as lists of word numbers, in 46 topics."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from kcore.datasets.archives import STORAGE, fetch, load_npz
from kcore.datasets.splits import Arrays, shuffled, within_vocabulary, words_as_numbers

_HASH = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
_INDEX_HASH = "4d44cc38712099c9e383dc6e5f11a921"
_TOPICS = (
    "cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship cotton carcass "
    "crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin strategic-metal livestock retail ipi "
    "iron-steel rubber heat jobs lei bop zinc orange pet-chem dlr gas silver wpi hog lead"
)


def load_data(
    path: str | os.PathLike = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Arrays, Arrays]:
    """`(x_train, y_train), (x_test, y_test)`: arrays of lists of word numbers, labels int64 0 ... 45.

    `test_split` is the fraction of newswires in the test part; the other arguments are those of `imdb.load_data`.

    Source: the Reuters-21578 collection, https://martin-thoma.com/nlp-reuters/
    """
    if not 0 <= test_split < 1:
        raise ValueError(f"[load_data] expected test_split in [0, 1), received {test_split!r}")
    x, y = load_npz(fetch(path, f"{STORAGE}reuters.npz", _HASH), "x", "y")
    lists, y = words_as_numbers(*shuffled(x, y, np.random.RandomState(seed)), maxlen, start_char, index_from)
    words = within_vocabulary(lists, num_words, skip_top, oov_char)
    cut = int(len(words) * (1 - test_split))
    return (words[:cut], y[:cut]), (words[cut:], y[cut:])


def get_word_index(path: str | os.PathLike = "reuters_word_index.json") -> dict[str, Any]:
    """Dictionary from word to its rank (add `index_from` of `load_data` to get the numbers there)."""
    with open(fetch(path, f"{STORAGE}reuters_word_index.json", _INDEX_HASH), encoding="utf-8") as file:
        return json.load(file)


def get_label_names() -> tuple[str, ...]:
    """The 46 topics, in the order of their labels.

    >>> get_label_names()[3]
    'earn'
    """
    return tuple(_TOPICS.split())
