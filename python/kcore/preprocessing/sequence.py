"""The names of `keras.preprocessing.sequence`."""

from kcore.utils.numerical import pad_sequences

__all__ = ["pad_sequences"]
