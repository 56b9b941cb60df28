"""The names of `keras.preprocessing`: pictures, sequences and data sets from folders, as found in `kcore.utils`."""

from kcore.preprocessing import image, sequence
from kcore.utils.batches import timeseries_dataset_from_array
from kcore.utils.directories import image_dataset_from_directory, text_dataset_from_directory

__all__ = [
    "image",
    "image_dataset_from_directory",
    "sequence",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]
