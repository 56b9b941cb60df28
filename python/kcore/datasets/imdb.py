"""IMDB: 50,000 film reviews as lists of word numbers, labelled negative (0) or positive (1)."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from kcore.datasets.archives import STORAGE, fetch, load_npz
from kcore.datasets.splits import Arrays, shuffled, within_vocabulary, words_as_numbers

_HASH = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
_INDEX_HASH = "bfafd718b763782e994055a2d397834f"


def load_data(
    path: str | os.PathLike = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Arrays, Arrays]:
    """`(x_train, y_train), (x_test, y_test)`: arrays of 25,000 lists of word numbers each, labels int64 (25000,).

    Words are numbered by how frequent they are, from 1; `index_from` moves the numbers up.

    Args:
        path: name in the cache, or the URL or local path of the archive.
        num_words: numbers from here on are replaced by `oov_char`.
        skip_top: numbers below are replaced by `oov_char`.
        maxlen: reviews of this length or longer are dropped.
        seed: seed of the shuffle.
        start_char: number put in front of each review, or None.
        oov_char: number for words left out, or None to drop them.
        index_from: what is added to each word's rank.

    Raises:
        ValueError: no review is shorter than `maxlen`.
        ConnectionError: the archive is not in the cache and cannot be downloaded.

    Source: A. Maas et al., "Learning word vectors for sentiment analysis", ACL 2011,
    https://ai.stanford.edu/~amaas/data/sentiment/
    """
    file = fetch(path, f"{STORAGE}imdb.npz", _HASH)
    x_train, y_train, x_test, y_test = load_npz(file, "x_train", "y_train", "x_test", "y_test")
    rng = np.random.RandomState(seed)  # one generator for both parts, as in Keras: their orders agree
    train, y_train = words_as_numbers(*shuffled(x_train, y_train, rng), maxlen, start_char, index_from)
    test, y_test = words_as_numbers(*shuffled(x_test, y_test, rng), maxlen, start_char, index_from)
    words = within_vocabulary(train + test, num_words, skip_top, oov_char)
    return (words[: len(train)], y_train), (words[len(train) :], y_test)


def get_word_index(path: str | os.PathLike = "imdb_word_index.json") -> dict[str, Any]:
    """Dictionary from word to its rank (add `index_from` of `load_data` to get the numbers there)."""
    with open(fetch(path, f"{STORAGE}imdb_word_index.json", _INDEX_HASH), encoding="utf-8") as file:
        return json.load(file)
