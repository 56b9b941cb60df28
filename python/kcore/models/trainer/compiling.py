"""Compiling: what `compile` sets on a model, and the loss and metrics of a batch that follow from it."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

from kcore import losses, metrics, ops, optimizers, tree
from kcore.autograd import Tensor, Variable, convert_to_tensor
from kcore.models.trainer.compile_loss import CompileLoss
from kcore.models.trainer.compile_metrics import CompileMetrics
from kcore.models.trainer.recordings import Recordings
from kcore.saving import deserialize_keras_object, serialize_keras_object


class Compiled:
    """What a model was compiled with. A plain object, so that the model does not take its metrics for layers' state."""

    def __init__(
        self, optimizer: Any, loss: Any, loss_weights: Any, metric_list: Any, weighted: Any, names: list[str] | None
    ):
        self.optimizer = optimizer
        self.loss = loss
        self.compile_loss = CompileLoss(loss, loss_weights, names) if loss is not None else None
        has_metrics = metric_list is not None or weighted is not None
        self.compile_metrics = CompileMetrics(metric_list, weighted, output_names=names) if has_metrics else None
        self.loss_tracker = metrics.Mean(name="loss")


class Compiling:
    """The part of Trainer that does not loop."""

    def __init__(self) -> None:
        set_attribute = object.__setattr__  # none of these is to be tracked by the model
        set_attribute(self, "_compiled", None)
        set_attribute(self, "_compile_config", None)
        set_attribute(self, "compiled", False)
        set_attribute(self, "run_eagerly", False)
        set_attribute(self, "jit_compile", None)
        set_attribute(self, "steps_per_execution", 1)
        set_attribute(self, "stop_training", False)
        set_attribute(self, "history", None)
        set_attribute(self, "_step_variables", None)
        set_attribute(self, "_recorded", Recordings())
        set_attribute(self, "_jit_required", False)

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Sets what to train with.

        Args:
            optimizer: an optimizer or its name.
            loss: a loss (name, `Loss`, or function of (y_true, y_pred)); for several outputs also a list or dict of them.
            loss_weights: factors of the losses of several outputs, a list or dict.
            metrics: list of metrics (names, `Metric`s, functions); for several outputs a list or dict of such lists.
            weighted_metrics: the same, weighted by the sample weights.
            run_eagerly: run every step op by op, so that Python in it runs every time and can look at values.
            jit_compile: record the steps and run them without Python: True, False, or "auto", which does so unless
                run_eagerly is set or a step looks at values.
            steps_per_execution: batches between two calls of the callbacks.
            auto_scale_loss: accepted; mixed precision does not scale the loss here.

        >>> import kcore
        >>> model = kcore.Sequential([kcore.Input((2,)), kcore.layers.Dense(1)])
        >>> model.compile(optimizer="adam", loss="mse", metrics=["mae"])
        """
        if not isinstance(steps_per_execution, int) or steps_per_execution < 1:
            raise ValueError(
                f"[compile] expected steps_per_execution to be a positive integer, received {steps_per_execution!r}"
            )
        if jit_compile not in ("auto", True, False, None):
            raise ValueError(f'[compile] expected jit_compile to be True, False or "auto", received {jit_compile!r}')
        optimizer = optimizers.get(optimizer)
        for name, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if given is not None and not isinstance(given, (list, tuple, dict)):
                raise ValueError(f"[compile] expected {name} to be a list, tuple or dict, received {given!r}")
        names = getattr(self, "output_names", None)
        compiled = Compiled(optimizer, loss, loss_weights, metrics, weighted_metrics, names)
        set_attribute = object.__setattr__
        set_attribute(self, "_compiled", compiled)
        set_attribute(self, "run_eagerly", run_eagerly)
        set_attribute(self, "steps_per_execution", steps_per_execution)
        set_attribute(self, "_jit_required", jit_compile is True)
        set_attribute(self, "jit_compile", not run_eagerly if jit_compile == "auto" else bool(jit_compile))
        set_attribute(self, "stop_training", False)
        set_attribute(self, "compiled", True)
        set_attribute(self, "_step_variables", None)
        set_attribute(self, "_recorded", Recordings(f"{self.name} was compiled"))
        set_attribute(self, "_compile_config", {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": self.jit_compile,
        })  # fmt: skip

    # ---- what it was compiled with

    @property
    def optimizer(self) -> Any:
        """The optimizer, None before `compile`."""
        return self._compiled.optimizer if self._compiled is not None else None

    @optimizer.setter
    def optimizer(self, optimizer: Any) -> None:
        if self._compiled is None:
            object.__setattr__(self, "_compiled", Compiled(None, None, None, None, None, None))
        self._compiled.optimizer = optimizers.get(optimizer)
        object.__setattr__(self, "_recorded", Recordings(f"optimizer of {self.name} was set"))
        if self._compile_config is not None:
            self._compile_config["optimizer"] = self._compiled.optimizer

    @property
    def loss(self) -> Any:
        """The loss as `compile` got it."""
        return self._compiled.loss if self._compiled is not None else None

    @loss.setter
    def loss(self, loss: Any) -> None:
        raise AttributeError(
            "[loss] `loss` is what `compile` got: compile the model again, or use another attribute name"
        )

    @property
    def metrics(self) -> list:
        """The tracker of the loss, the compiled metrics, the trackers of the outputs' losses, then the layers' metrics."""
        found: list = []
        compiled = self._compiled
        if self.compiled and compiled is not None:
            found.append(compiled.loss_tracker)
            if compiled.compile_metrics is not None:
                found.append(compiled.compile_metrics)
            if compiled.compile_loss is not None:
                found.extend(compiled.compile_loss.metrics)
        found.extend(self._metrics)
        for layer in self._flatten_layers(include_self=False, recursive=False):
            if not isinstance(layer, Compiling):  # a model inside this one has metrics of its own training
                found.extend(metric for metric in layer.metrics if not any(metric is other for other in found))
        return found

    @property
    def metrics_names(self) -> list[str]:
        """The names of `metrics`."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Sets the state of all metrics to zero."""
        for metric in self.metrics:
            metric.reset_state()

    # ---- the loss and metrics of a batch; a subclass may override them

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
                     training: bool = True) -> Tensor | None:  # fmt: skip
        """The loss of a batch, a scalar: the compiled losses plus those of `add_loss` and of regularizers.

        x, y, y_pred, sample_weight: data, targets, outputs and weights of the batch, nested as the model's.
        """
        del x, training
        total = None
        compiled = self._compiled
        if compiled is not None and compiled.compile_loss is not None:
            total = compiled.compile_loss(y, y_pred, sample_weight)
        for extra in self.losses:
            extra = ops.cast(ops.sum(extra), "float32" if total is None else total.dtype)
            total = extra if total is None else total + extra
        return convert_to_tensor(0.0) if total is None else total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Updates the compiled metrics with a batch; gives the results of all metrics by name."""
        del x
        self._update_metrics(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """The results of all metrics by name."""
        results: dict[str, Any] = {}
        for metric in self.metrics:
            value = metric.result()
            results.update(value if isinstance(value, dict) else {metric.name: value})
        return results

    def _update_metrics(self, y: Any, y_pred: Any, sample_weight: Any) -> None:
        compiled = self._compiled
        if compiled is not None and compiled.compile_metrics is not None:
            compiled.compile_metrics.update_state(y, y_pred, sample_weight)

    def _compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        """Calls `compute_loss`; older overrides do not take `training`."""
        arguments = {"x": x, "y": y, "y_pred": y_pred, "sample_weight": sample_weight}
        method = type(self).compute_loss
        if method is Compiling.compute_loss or "training" in inspect.signature(method).parameters:
            arguments["training"] = training
        return self.compute_loss(**arguments)

    # ---- saving

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile` as plain data, None if the model is not compiled."""
        if not self.compiled or self._compile_config is None:
            return None
        return {name: _serialize(value) for name, value in self._compile_config.items()}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles with what `get_compile_config` gave, and makes the optimizer's slots."""
        overridden = type(self).compile is not Compiling.compile
        if overridden and type(self).get_compile_config is Compiling.get_compile_config:
            warnings.warn(
                f"[{type(self).__name__}] `compile()` is overridden, but `compile_from_config()` is not: the model "
                "is loaded "
                "without being compiled",
                stacklevel=2,
            )
            return
        config = deserialize_keras_object(config)
        if config.get("jit_compile"):
            config["jit_compile"] = "auto"  # files say True where nobody asked for it: it is what "auto" came to
        self.compile(**config)
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)


def _serialize(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_serialize(item) for item in value]
    if isinstance(value, dict):
        return {key: _serialize(item) for key, item in value.items()}
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, Variable):
        return value.numpy().tolist()
    return serialize_keras_object(value)


def sparse_losses(compiled: Compiled | None) -> list[int]:
    """Numbers of the outputs whose targets are class numbers."""
    if compiled is None or compiled.compile_loss is None:
        return []
    given = compiled.loss
    leaves = [given] if not isinstance(given, (list, tuple, dict)) else tree.flatten(given)
    return [i for i, loss in enumerate(leaves) if _is_sparse(loss)]


def _is_sparse(loss: Any) -> bool:
    if isinstance(loss, str):
        return loss.lower().replace("_", "") == "sparsecategoricalcrossentropy"
    return isinstance(loss, losses.SparseCategoricalCrossentropy) or loss is losses.sparse_categorical_crossentropy
