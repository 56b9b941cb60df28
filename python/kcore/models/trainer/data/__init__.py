"""Data for training: receives arrays, generators and data sets as users have them, hands batches to the loops.

`make_data` picks the reader; `Steps` walks a reader epoch by epoch. Must not import the trainer.
"""

from kcore.models.trainer.data.arrays import ArrayData, train_validation_split
from kcore.models.trainer.data.batch import (
    class_weights_to_sample_weights,
    pack_x_y_sample_weight,
    unpack_x_y_sample_weight,
)
from kcore.models.trainer.data.py_dataset import PyDataset
from kcore.models.trainer.data.readers import make_data
from kcore.models.trainer.data.steps import Steps

__all__ = [
    "ArrayData",
    "PyDataset",
    "Steps",
    "class_weights_to_sample_weights",
    "make_data",
    "pack_x_y_sample_weight",
    "train_validation_split",
    "unpack_x_y_sample_weight",
]
