"""CompileLoss: the losses given to compile as one loss of all outputs."""

from __future__ import annotations

from typing import Any

from kcore import losses, metrics, ops, tree
from kcore.autograd import Tensor
from kcore.losses.loss import LossFunctionWrapper
from kcore.models.trainer.outputs import Outputs


def _is_loss(value: Any) -> bool:
    return (
        value is None
        or isinstance(value, str)
        or callable(value)
        or (isinstance(value, dict) and "class_name" in value)
    )


def _is_weight(value: Any) -> bool:
    return value is None or not tree.is_nested(value)


class CompileLoss:
    """Sums the weighted losses of the outputs; with several losses, tracks each without its weight.

    Args:
        loss: a loss (name, `Loss` or function) for all outputs, or a list or dict of them.
        loss_weights: floats, a list or a dict like the losses.
        output_names: names of the outputs of a Functional model.

    Attributes:
        metrics: a Mean per loss, if there are several: "<output>_loss", or by the loss where outputs have no names.
    """

    def __init__(self, loss: Any, loss_weights: Any = None, output_names: list[str] | None = None):
        for leaf in tree.flatten(loss) if not _is_loss(loss) else [loss]:
            if isinstance(leaf, str):
                losses.get(leaf)  # an unknown name raises here, not in the middle of training
        for weight in tree.flatten(loss_weights):
            if weight is not None and not isinstance(weight, (int, float)):
                raise TypeError(f"[compile] expected loss_weights to be numbers, received {weight!r}")
        self._loss = loss
        self._weights = loss_weights
        self._output_names = output_names
        self._outputs: Outputs | None = None
        self._parts: list[tuple[int, Any, float | None, Any]] = []
        self.metrics: list = []

    @property
    def built(self) -> bool:
        """Whether the losses were matched with outputs."""
        return self._outputs is not None

    @property
    def variables(self) -> list:
        """Of the trackers."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def build(self, y_pred: Any) -> None:
        """Matches losses and weights with the outputs."""
        outputs = Outputs(y_pred, self._output_names)
        if _is_loss(self._loss):
            found = [self._loss] * outputs.count
        else:
            partial = isinstance(y_pred, dict)
            found = outputs.spread("loss", self._loss, _is_loss, partial)
        weights: list = [None] * outputs.count
        if self._weights is not None:
            single = isinstance(self._weights, (int, float))
            weights = (
                [self._weights] * outputs.count
                if single
                else outputs.spread("loss_weights", self._weights, _is_weight, True)
            )
        used = [i for i, loss in enumerate(found) if loss is not None]
        for i in used:
            tracker = None
            if len(used) > 1:
                name = outputs.names[i]
                tracker = metrics.Mean(name=f"{name if name is not None else _name_of(found[i])}_loss")
                self.metrics.append(tracker)
            self._parts.append((i, _as_loss(found[i]), weights[i], tracker))
        self._outputs = outputs

    def losses(self) -> list[tuple[int, Any]]:
        """Pairs of output number and loss, once built."""
        return [(i, loss) for i, loss, _, _ in self._parts]

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor | None:
        """The loss of a batch; None where no output has one."""
        if self._outputs is None:
            self.build(y_pred)
        outputs, parts = self._outputs, self._parts
        if not parts:
            return None
        if y_true is None:
            raise ValueError(
                f"[loss] expected targets y for the loss {self._loss!r}, received None: pass y, or batches (x, y)"
            )
        predictions = tree.flatten(y_pred)
        if outputs.count == 1:
            targets = [y_true] if not tree.is_nested(y_true) else outputs.flatten_data("y", y_true)
            weights = (
                [sample_weight]
                if not tree.is_nested(sample_weight)
                else outputs.flatten_data("sample_weight", sample_weight)
            )
        else:
            targets = outputs.flatten_data("y", y_true, partial=True)
            weights = self._sample_weights(sample_weight)
        total = None
        batch = int(predictions[0].shape[0]) if predictions[0].shape else 1
        for i, loss, weight, tracker in parts:
            if targets[i] is None:
                raise ValueError(f"[loss] expected targets for output {outputs.names[i] or i}, received None")
            value = loss(targets[i], predictions[i], weights[i])
            if value.shape != ():
                value = ops.mean(value)
            if tracker is not None:
                tracker.update_state(value, sample_weight=batch)
            if weight is not None:
                value = value * float(weight)
            total = value if total is None else total + value
        return total

    def _sample_weights(self, sample_weight: Any) -> list:
        if not tree.is_nested(sample_weight):
            return [sample_weight] * self._outputs.count
        flat = tree.flatten(sample_weight)
        if len(flat) == 1 and not isinstance(sample_weight, dict):
            return flat * self._outputs.count
        return self._outputs.flatten_data("sample_weight", sample_weight, partial=True)


def _name_of(loss: Any) -> str:
    return (
        loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", type(loss).__name__)
    )


def _as_loss(loss: Any) -> losses.Loss:
    loss = losses.get(loss)
    if isinstance(loss, losses.Loss):
        return loss
    return LossFunctionWrapper(loss, name=getattr(loss, "__name__", type(loss).__name__))
