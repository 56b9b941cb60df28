"""Intersection over union of true and predicted segments, from a confusion matrix of labels."""

from __future__ import annotations

from kcore import ops
from kcore.autograd import Tensor, convert_to_tensor
from kcore.autograd.config import epsilon, floatx
from kcore.autograd.dtype import is_floating
from kcore.metrics.metric import Metric


class IoU(Metric):
    """Mean over some classes of |A B| / |A or B|, A the samples of a class, B those predicted to be.

    Args:
        num_classes: number of classes.
        target_class_ids: the classes to average over.
        ignore_class: samples with this label do not count.
        sparse_y_true, sparse_y_pred: whether labels (predictions) are indices; else the largest along `axis` is meant.
        axis: the axis of the classes.
        dtype: dtype of the counts, by default int32.

    >>> float(IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1]))
    0.3333333432674408
    """

    _direction = "up"

    def __init__(
        self,
        num_classes,
        target_class_ids,
        name=None,
        dtype=None,
        ignore_class=None,
        sparse_y_true=True,
        sparse_y_pred=True,
        axis=-1,
    ):
        super().__init__(name=name, dtype=dtype or "int32")
        if not isinstance(num_classes, int) or num_classes < 1:
            raise ValueError(f"[{self.name}] expected num_classes >= 1, received {num_classes!r}")
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        for target in self.target_class_ids:
            if not 0 <= target < num_classes:
                raise ValueError(f"[{self.name}] expected target_class_ids in [0, {num_classes}), received {target}")
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.total_confusion_matrix = self.add_variable(
            (num_classes, num_classes), "zeros", name="total_confusion_matrix"
        )

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        y_true, y_pred = convert_to_tensor(y_true), convert_to_tensor(y_pred)
        if not self.sparse_y_true:
            y_true = ops.argmax(y_true, axis=self.axis)
        if not self.sparse_y_pred:
            y_pred = ops.argmax(y_pred, axis=self.axis)
        y_true, y_pred = (ops.reshape(ops.cast(y, "int32"), (-1,)) for y in (y_true, y_pred))
        if y_true.shape != y_pred.shape:
            raise ValueError(
                f"[{self.name}] expected as many labels as predictions, received {y_true.size} and {y_pred.size}"
            )
        weights = self._weights(sample_weight, y_true)
        classes = ops.arange(self.num_classes, dtype="int32")
        # one-hot, (n, classes); a label outside the classes is in none of them
        true_class, predicted_class = (
            ops.cast(ops.equal(ops.expand_dims(y, 1), classes), floatx()) for y in (y_true, y_pred)
        )
        matrix = ops.matmul(ops.transpose(true_class * ops.expand_dims(weights, 1)), predicted_class)
        self.total_confusion_matrix.assign_add(matrix)

    def _weights(self, sample_weight, y_true: Tensor) -> Tensor:
        if sample_weight is None:
            weights = ops.ones(y_true.shape)
        else:
            weights = convert_to_tensor(sample_weight)
            if not is_floating(self.dtype):
                weights = ops.cast(weights, self.dtype)  # integer counts take whole weights
            weights = ops.reshape(ops.cast(weights, floatx()), (-1,))
            weights = ops.broadcast_to(weights, y_true.shape)
        if self.ignore_class is None:
            return weights
        return weights * ops.cast(ops.not_equal(y_true, int(self.ignore_class)), weights.dtype)

    def result(self) -> Tensor:
        matrix = ops.cast(self.total_confusion_matrix, floatx())
        common = ops.diagonal(matrix)
        union = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - common
        targets = convert_to_tensor(self.target_class_ids, dtype="int32")
        common, union = ops.take(common, targets, axis=0), ops.take(union, targets, axis=0)
        present = ops.sum(ops.cast(ops.not_equal(union, 0.0), union.dtype))
        return ops.divide_no_nan(ops.sum(common / (union + epsilon())), present)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }


class BinaryIoU(IoU):
    """IoU of two classes told apart by a threshold on y_pred.

    Args:
        target_class_ids: (0, 1) for both classes, (0,) or (1,) for one.
        threshold: y_pred from here on is class 1.
    """

    def __init__(self, target_class_ids=(0, 1), threshold=0.5, name=None, dtype=None):
        super().__init__(num_classes=2, target_class_ids=target_class_ids, name=name, dtype=dtype)
        self.threshold = threshold

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        y_pred = ops.cast(ops.greater_equal(convert_to_tensor(y_pred), self.threshold), "int32")
        super().update_state(y_true, y_pred, sample_weight)

    def get_config(self) -> dict:
        return {
            "target_class_ids": self.target_class_ids,
            "threshold": self.threshold,
            "name": self.name,
            "dtype": self.dtype,
        }


class MeanIoU(IoU):
    """IoU averaged over all classes that occur.

    >>> round(float(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    def __init__(
        self,
        num_classes,
        name=None,
        dtype=None,
        ignore_class=None,
        sparse_y_true=True,
        sparse_y_pred=True,
        axis=-1,
    ):
        super().__init__(
            num_classes=num_classes,
            target_class_ids=range(num_classes),
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=sparse_y_true,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict:
        config = super().get_config()
        del config["target_class_ids"]
        return config


class OneHotIoU(IoU):
    """IoU of one-hot labels and scores of classes."""

    def __init__(
        self,
        num_classes,
        target_class_ids,
        name=None,
        dtype=None,
        ignore_class=None,
        sparse_y_pred=False,
        axis=-1,
    ):
        super().__init__(
            num_classes=num_classes,
            target_class_ids=target_class_ids,
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict:
        config = super().get_config()
        del config["sparse_y_true"]
        return config


class OneHotMeanIoU(MeanIoU):
    """IoU of one-hot labels and scores of classes, averaged over all classes that occur."""

    def __init__(self, num_classes, name=None, dtype=None, ignore_class=None, sparse_y_pred=False, axis=-1):
        super().__init__(
            num_classes=num_classes,
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )

    def get_config(self) -> dict:
        config = super().get_config()
        del config["sparse_y_true"]
        return config
