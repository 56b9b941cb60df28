"""CompileMetrics: the metrics given to compile as one metric of all outputs."""

from __future__ import annotations

from typing import Any

from kcore import metrics as metrics_module
from kcore import tree
from kcore.metrics import Metric
from kcore.models.trainer.outputs import Outputs


def _is_metric(value: Any) -> bool:
    return (
        value is None
        or isinstance(value, (str, Metric))
        or callable(value)
        or (isinstance(value, dict) and "class_name" in value)
    )


def _is_group(value: Any) -> bool:
    """One metric, or a list of metrics: what one output may have."""
    return _is_metric(value) or (isinstance(value, (list, tuple)) and all(map(_is_metric, value)))


class CompileMetrics(Metric):
    """Updates each metric with its output; its result is a dict of theirs.

    Args:
        metrics: a list of metrics for one output; for several a list or dict of a metric or a list of metrics each.
        weighted_metrics: the same; these see the sample weights.
        output_names: names of the outputs of a Functional model.
    """

    def __init__(
        self, metrics: Any, weighted_metrics: Any, name: str = "compile_metrics", output_names: list[str] | None = None
    ):
        super().__init__(name=name)
        for given in (metrics, weighted_metrics):
            for leaf in _leaves(given):
                if isinstance(leaf, str) and leaf.lower() not in ("accuracy", "acc"):
                    metrics_module.get(leaf)  # an unknown name raises here, not in the middle of training
                elif not _is_metric(leaf):
                    raise ValueError(
                        f"[compile] expected metrics to be names, Metric objects or functions, received {leaf!r}"
                    )
        self._given = (metrics, weighted_metrics)
        self._output_names = output_names
        self._outputs: Outputs | None = None
        self._parts: list[tuple[int, str, Metric, bool]] = []

    @property
    def built(self) -> bool:
        """Whether the metrics were matched with outputs."""
        return self._outputs is not None

    @property
    def metrics(self) -> list[Metric]:
        """The metrics, once they are known."""
        return [metric for _, _, metric, _ in self._parts]

    @property
    def variables(self) -> list:
        return [variable for metric in self.metrics for variable in metric.variables]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Matches the metrics with the outputs, and "accuracy" with their shapes."""
        outputs = Outputs(y_pred, self._output_names)
        targets = _targets(outputs, y_true)
        predictions = tree.flatten(y_pred)
        parts: list[tuple[int, str, Metric, bool]] = []
        taken: set[str] = set()
        for given, weighted in zip(self._given, (False, True), strict=True):
            if given is None:
                continue
            for i, group in enumerate(_groups(outputs, given, "weighted_metrics" if weighted else "metrics")):
                for identifier in _members(group):
                    metric = _resolve(identifier, targets[i], predictions[i])
                    prefix = "" if outputs.count == 1 or outputs.names[i] is None else f"{outputs.names[i]}_"
                    name = prefix + metric.name
                    if name in taken and weighted:
                        name = f"{prefix}weighted_{metric.name}"
                    base, number = name, 1
                    while name in taken:
                        name, number = f"{base}_{number}", number + 1
                    taken.add(name)
                    parts.append((i, name, metric, weighted))
        self._parts = parts
        self._outputs = outputs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Updates all metrics with a batch."""
        if self._outputs is None:
            self.build(y_true, y_pred)
        if y_true is None:
            raise ValueError("[metrics] expected targets y, received None: pass y, or batches (x, y)")
        outputs = self._outputs
        targets = _targets(outputs, y_true)
        predictions = tree.flatten(y_pred)
        weights = self._weights(sample_weight)
        for i, _, metric, weighted in self._parts:
            if targets[i] is None:
                continue
            if weighted:
                metric.update_state(targets[i], predictions[i], sample_weight=weights[i])
            else:
                metric.update_state(targets[i], predictions[i])

    def _weights(self, sample_weight: Any) -> list:
        if not tree.is_nested(sample_weight):
            return [sample_weight] * self._outputs.count
        flat = tree.flatten(sample_weight)
        if len(flat) == 1:
            return flat * self._outputs.count
        return self._outputs.flatten_data("sample_weight", sample_weight, partial=True)

    def result(self) -> dict[str, Any]:
        """The results by name; a metric with several results gives several names."""
        results: dict[str, Any] = {}
        for _, name, metric, _ in self._parts:
            value = metric.result()
            results.update(value if isinstance(value, dict) else {name: value})
        return results

    def reset_state(self) -> None:
        """Resets all metrics."""
        for metric in self.metrics:
            metric.reset_state()

    def get_config(self) -> dict:
        """Not available: `Model.get_compile_config` holds the metrics."""
        raise NotImplementedError("[compile_metrics] expected Model.get_compile_config() to be asked")


def _groups(outputs: Outputs, given: Any, what: str) -> list:
    if isinstance(given, dict) and "class_name" not in given:
        return outputs.spread(what, given, _is_group, partial=True)
    if outputs.count == 1:
        return [given]
    if _is_metric(given) or len(given) != outputs.count:
        raise ValueError(
            f"[{what}] expected a list of {outputs.count} metrics (or lists of metrics), or a dict, for the outputs "
            f"{outputs._label()}, received {given!r}"
        )
    return list(given)


def _members(group: Any) -> list:
    if _is_metric(group):
        return [] if group is None else [group]
    return [metric for child in group for metric in _members(child)]


def _leaves(given: Any) -> list:
    if _is_metric(given) or not tree.is_nested(given):
        return [given]
    return [leaf for child in (given.values() if isinstance(given, dict) else given) for leaf in _leaves(child)]


def _targets(outputs: Outputs, y_true: Any) -> list:
    if not tree.is_nested(y_true):
        return [y_true] * outputs.count if outputs.count == 1 or y_true is None else outputs.flatten_data("y", y_true)
    return outputs.flatten_data("y", y_true, partial=True)


def _resolve(identifier: Any, y_true: Any, y_pred: Any) -> Metric:
    """The metric for a name, a config, a function or itself. A metric given by name carries that name."""
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        metric: Any = _accuracy(y_true, y_pred)
    else:
        metric = metrics_module.get(identifier)
    name = identifier if isinstance(identifier, str) else None
    if not isinstance(metric, Metric):
        name = name or getattr(metric, "name", None) or getattr(metric, "__name__", type(metric).__name__).strip("<>")
        metric = metrics_module.MeanMetricWrapper(metric, name=name)
    elif name is not None:
        metric.name = name
    return metric


def _accuracy(y_true: Any, y_pred: Any) -> Metric:
    """The accuracy that fits: binary for one column, sparse for class numbers, else categorical."""
    if y_pred.shape[-1] == 1:
        return metrics_module.BinaryAccuracy()
    if len(y_true.shape) < len(y_pred.shape) or y_true.shape[-1] == 1:
        return metrics_module.SparseCategoricalAccuracy()
    return metrics_module.CategoricalAccuracy()
