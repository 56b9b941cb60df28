"""Trainer: fit, evaluate and predict, and the step of each that a model may override."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kcore import tree
from kcore._core import log
from kcore.autograd import GradientTape, Tensor, Variable
from kcore.autograd.recorder import RecordingError
from kcore.callbacks import CallbackList, History
from kcore.models.trainer.compile_metrics import CompileMetrics
from kcore.models.trainer.compiling import Compiling, sparse_losses
from kcore.models.trainer.data import (
    ArrayData,
    Steps,
    class_weights_to_sample_weights,
    make_data,
    pack_x_y_sample_weight,
    train_validation_split,
    unpack_x_y_sample_weight,
)
from kcore.models.trainer.data.arrays import can_read
from kcore.models.trainer.data.batch import to_tensors


class Trainer(Compiling):
    """The part of a model that trains it."""

    # ---- steps; a subclass may override them

    def train_step(self, data: Any) -> dict[str, Any]:
        """Trains on a batch (x, y, sample_weight); gives the metrics so far. An override gives what it wants logged."""
        return self._train_on(data) or self.get_metrics_result()

    def test_step(self, data: Any) -> dict[str, Any]:
        """Evaluates a batch (x, y, sample_weight); gives the metrics so far."""
        return self._test_on(data) or self.get_metrics_result()

    def predict_step(self, data: Any) -> Any:
        """The outputs of a batch."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self._forward(x, training=False)

    def _train_on(self, data: Any) -> dict | None:
        """A step without reading the metrics; gives the logs where `compute_metrics` is overridden."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        optimizer = self.optimizer
        with GradientTape() as tape:
            y_pred = self._forward(x, training=True)
            loss = self._compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = loss if optimizer is None else optimizer.scale_loss(loss)
        self._track_loss(loss, x)
        variables = self._trained_variables()
        if variables and optimizer is not None:
            gradients = tape.gradient(scaled, variables)
            if any(gradient is not None for gradient in gradients) or self._has_loss():
                optimizer.apply(gradients, variables)
        return self._collect_metrics(x, y, y_pred, sample_weight)

    def _test_on(self, data: Any) -> dict | None:
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self._forward(x, training=False)
        self._track_loss(self._compute_loss(x, y, y_pred, sample_weight, training=False), x)
        return self._collect_metrics(x, y, y_pred, sample_weight)

    def _forward(self, x: Any, training: bool) -> Any:
        return self(x, training=training) if self._call_signature().accepts("training") else self(x)

    def _has_loss(self) -> bool:
        return self._compiled.compile_loss is not None or type(self).compute_loss is not Compiling.compute_loss

    def _track_loss(self, loss: Any, x: Any) -> None:
        leaf = next((leaf for leaf in tree.flatten(x) if leaf is not None), None)
        samples = int(leaf.shape[0]) if leaf is not None and leaf.shape else 1
        self._compiled.loss_tracker.update_state(loss, sample_weight=samples)

    def _collect_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> dict | None:
        if type(self).compute_metrics is Compiling.compute_metrics:
            self._update_metrics(y, y_pred, sample_weight)  # the results are read when somebody wants to see them
            return None
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def _trained_variables(self) -> list[Variable]:
        """The trainable variables, looked up once per `fit`."""
        variables = self._step_variables
        if not variables:
            variables = self.trainable_variables
            object.__setattr__(self, "_step_variables", variables)
        return variables

    # ---- what the loops call for each batch

    def make_train_function(self, force: bool = False) -> Callable:
        """The function that `fit` calls with each batch; gives the logs, or a function that reads them."""
        del force
        object.__setattr__(self, "_step_variables", None)
        optimizer = self.optimizer
        may_build = type(self).train_step is Trainer.train_step and self.built
        if may_build and optimizer is not None and not optimizer.built and self.trainable_variables:
            optimizer.build(self.trainable_variables)  # or the first step would make variables
        return self._step("train", self.train_step, type(self).train_step is Trainer.train_step, self._train_on)

    def make_test_function(self, force: bool = False) -> Callable:
        """The function that `evaluate` calls with each batch."""
        del force
        return self._step("test", self.test_step, type(self).test_step is Trainer.test_step, self._test_on)

    def make_predict_function(self, force: bool = False) -> Callable:
        """The function that `predict` calls with each batch."""
        del force
        return self._recording(
            "predict",
            self.predict_step,
            lambda data: self.predict_step(pack_x_y_sample_weight(*data)),
            type(self).predict_step is Trainer.predict_step,
        )

    def _step(self, name: str, step: Callable, is_default: bool, quiet_step: Callable) -> Callable:
        if not is_default or "train_step" in self.__dict__ or "test_step" in self.__dict__:
            # A step of the user's unpacks `x, y = data` where there are no weights.
            return self._recording(name, step, lambda data: _check_logs(step(pack_x_y_sample_weight(*data))))
        quiet = self._recording(name, quiet_step, quiet_step, True)
        read = self._metrics_reader()

        def run(data: Any) -> Callable:
            return quiet(data) or read

        return run

    def _metrics_reader(self) -> Callable[[], dict[str, Any]]:
        """`get_metrics_result`, recorded if all metrics are our own: those of others may count in Python."""
        if self.run_eagerly or self.jit_compile is False:
            return self.get_metrics_result
        method = type(self).get_metrics_result
        if method is not Compiling.get_metrics_result or "get_metrics_result" in self.__dict__:
            return self.get_metrics_result
        recorded = self._recorded.of(f"metrics of {self.name}", method, lambda *_: self.get_metrics_result())

        def read() -> dict[str, Any]:
            metrics = self.metrics
            for metric in metrics:
                if isinstance(metric, CompileMetrics):
                    metrics = metrics + metric.metrics
            if recorded.off or not all(type(metric).__module__.startswith("kcore.") for metric in metrics):
                return self.get_metrics_result()
            try:
                return recorded(*metrics)
            except RecordingError:
                recorded.off = True
                return self.get_metrics_result()

        return read

    def _recording(self, name: str, method: Callable, step: Callable, is_default: bool = False) -> Callable:
        """`step` as it is called: recorded, and the same for all loops until the model is compiled anew.

        method: what the step is made of; another one (it can be replaced on the instance) gives another recording.
        is_default: whether it is none of the user's, which may do more than compute.
        """
        if self.run_eagerly or self.jit_compile is False:
            return step
        method = getattr(method, "__func__", method)
        ahead = self._is_built_throughout if is_default else None
        recorded = self._recorded.of(f"{name} of {self.name}", method, step, ahead)

        def run(data: Any) -> Any:
            try:
                return recorded(data)
            except RecordingError as error:
                if self._jit_required:
                    raise
                log("program", f"{self.name}: steps of {name} run op by op: {error}")
                recorded.off = True
                return recorded(data)

        return run

    def _is_built_throughout(self) -> bool:
        return all(layer.built for layer in self._flatten_layers())

    # ---- loops

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> History:
        """Trains the model.

        Args:
            x: inputs: an array or tensor (samples, ...), a list or dict of them, or what gives batches (x, y) or
                (x, y, sample_weight): a generator, a `PyDataset`, a data set of `utils`, a torch DataLoader.
            y: targets, nested as the outputs; None where x gives them.
            batch_size: samples per update of the weights, 32 by default.
            epochs: number of the last epoch, counted from 1.
            verbose: 0 silent, 1 progress bar, 2 a line per epoch, "auto" is 1.
            callbacks: `Callback` objects.
            validation_split: share of the samples, from the end, that is not trained on but evaluated after each epoch.
            validation_data: (x, y), (x, y, sample_weight) or a data set, evaluated after each epoch.
            shuffle: draw a new order of the samples for every epoch; "batch" keeps the batches.
            class_weight: factor of the loss for each class number.
            sample_weight: factor of the loss for each sample, (samples,) or (samples, steps).
            initial_epoch: number of the first epoch.
            steps_per_epoch, validation_steps: batches of an epoch; None reads the data to its end.
            validation_batch_size: samples per batch of validation, by default batch_size.
            validation_freq: evaluate after every so many epochs, or a list of the epochs (counted from 1).

        Returns:
            The `History`.

        Raises:
            ValueError: the model is not compiled, or the data does not fit together.

        Interrupted (Ctrl-C), the model keeps the weights of the last step and can be used, saved and trained on.
        """
        self._assert_compiled("fit")
        for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
            if not isinstance(value, (int, np.integer)) or value < 0:
                raise ValueError(f"[fit] expected {name} to be an integer >= 0, received {value!r}")
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = train_validation_split(
                "fit", x, y, sample_weight, validation_split
            )
        data = make_data("fit", x, y, sample_weight, batch_size, shuffle, class_weight)
        self._check_targets("fit", data)
        steps = Steps(data, steps_per_epoch, self.steps_per_execution)
        validation = None
        if validation_data is not None:
            validation = self._validation(validation_data, validation_batch_size or batch_size, validation_steps)
        callbacks = self._callback_list(callbacks, True, verbose, epochs, steps.num_batches)
        if self.built and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)
        object.__setattr__(self, "stop_training", False)
        object.__setattr__(self, "_initial_epoch", None)
        object.__setattr__(self, "_initial_batch", 0)
        train = self.make_train_function()
        logs: dict[str, Any] = {}
        callbacks.on_train_begin()
        for epoch in range(self._initial_epoch or initial_epoch, epochs):
            self.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            logs = self._run_epoch(steps, train, callbacks.on_train_batch_begin, callbacks.on_train_batch_end)
            if validation is not None and _is_due(epoch, validation_freq):
                results = self._evaluate(validation, callbacks)
                logs.update({f"val_{name}": value for name, value in results.items()})
            callbacks.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        if hasattr(self.optimizer, "finalize_variable_values") and epochs > 0 and self.built:
            self.optimizer.finalize_variable_values(self.trainable_weights)
        callbacks.on_train_end(logs)
        return self.history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The loss and the metrics on data; arguments as for `fit`.

        Returns:
            A float if there is a loss only, else a list of floats, the loss first; with `return_dict` a dict by name.
        """
        self._assert_compiled("evaluate")
        if kwargs:
            raise ValueError(f"[evaluate] expected no further arguments, received {sorted(kwargs)}")
        data = make_data("evaluate", x, y, sample_weight, batch_size)
        self._check_targets("evaluate", data)
        batches = Steps(data, steps, self.steps_per_execution)
        callbacks = self._callback_list(callbacks, False, verbose, 1, batches.num_batches)
        logs = self._evaluate(batches, callbacks)
        return logs if return_dict else self._in_order(logs)

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = "auto", steps: int | None = None,
                callbacks: Any = None) -> Any:  # fmt: skip
        """The outputs for data, as NumPy arrays nested like the model's outputs; arguments as for `fit`."""
        batches = Steps(make_data("predict", x, None, None, batch_size), steps, self.steps_per_execution)
        callbacks = self._callback_list(callbacks, False, verbose, 1, batches.num_batches)
        predict = self.make_predict_function()
        object.__setattr__(self, "stop_predicting", False)
        structure, collected = None, []
        callbacks.on_predict_begin()
        for first, last, group in batches:
            callbacks.on_predict_batch_begin(first)
            for data in group:
                outputs = predict(data)
                structure = outputs
                collected.append([np.asarray(leaf) for leaf in tree.flatten(outputs)])
            callbacks.on_predict_batch_end(last, {"outputs": outputs})
            if self.stop_predicting:
                break
        callbacks.on_predict_end()
        if not collected:
            raise ValueError("[predict] expected at least one batch, received none")
        joined = [np.concatenate(parts) if parts[0].ndim else np.stack(parts) for parts in zip(*collected, strict=True)]
        return tree.pack_sequence_as(structure, joined)

    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: dict | None = None,
                       return_dict: bool = False) -> Any:  # fmt: skip
        """Trains on one batch; gives its metrics, as `evaluate` does."""
        self._assert_compiled("train_on_batch")
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError("[train_on_batch] expected either class_weight or sample_weight, received both")
            sample_weight = class_weights_to_sample_weights(y, class_weight)
        data = self._one_batch("train_on_batch", x, y, sample_weight)
        self.reset_metrics()
        logs = _floats(_call(self.make_train_function()(data)))
        return logs if return_dict else self._in_order(logs)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Evaluates one batch; gives its metrics, as `evaluate` does."""
        self._assert_compiled("test_on_batch")
        self.reset_metrics()
        logs = _floats(_call(self.make_test_function()(self._one_batch("test_on_batch", x, y, sample_weight))))
        return logs if return_dict else self._in_order(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as NumPy arrays."""
        outputs = self.make_predict_function()(self._one_batch("predict_on_batch", x, None, None))
        return tree.map_structure(lambda leaf: leaf.numpy() if isinstance(leaf, Tensor) else np.asarray(leaf), outputs)

    # ---- parts of the loops

    def _run_epoch(self, steps: Steps, train: Callable, begin: Callable, end: Callable) -> dict[str, Any]:
        """Trains for one epoch; gives its logs."""
        logs: Any = {}
        skipped, self_skip = 0, self._initial_batch
        for first, last, group in steps:
            if skipped < self_skip:  # batches that an interrupted run did before its backup
                skipped += len(group)
                continue
            begin(first)
            for data in group:
                logs = train(data)
            end(last, _Reader(logs))
            if self.stop_training:
                break
        object.__setattr__(self, "_initial_batch", 0)
        return _floats(_call(logs))

    def _evaluate(self, batches: Steps, callbacks: CallbackList) -> dict[str, Any]:
        test = self.make_test_function()
        object.__setattr__(self, "stop_evaluating", False)
        logs: Any = {}
        callbacks.on_test_begin()
        self.reset_metrics()
        for first, last, group in batches:
            callbacks.on_test_batch_begin(first)
            for data in group:
                logs = test(data)
            callbacks.on_test_batch_end(last, _Reader(logs))
            if self.stop_evaluating:
                break
        logs = _floats(_call(logs))
        callbacks.on_test_end(logs)
        return logs

    def _validation(self, data: Any, batch_size: int | None, steps: int | None) -> Steps:
        x, y, sample_weight = data, None, None
        if isinstance(data, (tuple, list)):
            x, y, sample_weight = unpack_x_y_sample_weight(data)
        reader = make_data("validation_data", x, y, sample_weight, batch_size)
        self._check_targets("validation_data", reader)
        return Steps(reader, steps, self.steps_per_execution)

    def _callback_list(
        self, callbacks: Any, add_history: bool, verbose: Any, epochs: int, steps: int | None
    ) -> CallbackList:
        if isinstance(callbacks, CallbackList):
            return callbacks
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(f'[fit] expected verbose to be 0, 1, 2 or "auto", received {verbose!r}')
        return CallbackList(callbacks, add_history=add_history, add_progbar=verbose != 0, model=self, verbose=verbose,
                            epochs=epochs, steps=steps)  # fmt: skip

    def _one_batch(self, what: str, x: Any, y: Any, sample_weight: Any) -> tuple:
        for name, data in (("x", x), ("y", y), ("sample_weight", sample_weight)):
            if data is not None and not can_read(data) and not isinstance(data, (list, tuple, int, float)):
                raise ValueError(
                    f"[{what}] expected {name} to be an array or a nest of arrays, received {type(data).__name__}"
                )
        return tuple(None if part is None else to_tensors(_as_arrays(part)) for part in (x, y, sample_weight))

    def _assert_compiled(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(f"[{method}] expected a compiled model; call `compile(optimizer, loss)` first")

    def _check_targets(self, what: str, data: Any) -> None:
        """Class numbers must be whole numbers; a cast would make a class of NaN."""
        if not isinstance(data, ArrayData) or data.targets is None:
            return
        targets = tree.flatten(data.targets)
        for i in sparse_losses(self._compiled):
            y = targets[min(i, len(targets) - 1)]
            if isinstance(y, np.ndarray) and y.dtype.kind == "f" and not np.all(np.isfinite(y)):
                raise ValueError(
                    f"[{what}] expected class numbers as targets y for sparse_categorical_crossentropy, received NaN or "
                    f"infinity at sample {int(np.argwhere(~np.isfinite(y))[0][0])}"
                )

    def _in_order(self, logs: dict[str, Any]) -> Any:
        """The values of the logs: those that `metrics` name, in their order, then the others by their names."""
        names: list[str] = []
        for metric in self.metrics:
            names += [part.name for part in metric.metrics] if isinstance(metric, CompileMetrics) else [metric.name]
        values = [logs[name] for name in names if name in logs] + [
            logs[name] for name in sorted(logs) if name not in names
        ]
        return values[0] if len(values) == 1 else values


class _Reader:
    """The logs of a batch as a function that reads them once."""

    def __init__(self, logs: Any):
        self._logs = logs
        self._read: dict | None = None

    def __call__(self) -> dict[str, Any]:
        if self._read is None:
            self._read = _floats(_call(self._logs))
        return self._read


def _call(logs: Any) -> Any:
    return logs() if callable(logs) else logs


def _check_logs(logs: Any) -> dict[str, Any]:
    """What an overridden step gave."""
    if logs is None:
        return {}
    if not isinstance(logs, dict):
        raise ValueError(f"[train_step] expected a dict of logs to be returned, received {type(logs).__name__}")
    flat: dict[str, Any] = {}
    for name, value in logs.items():  # the result of compile_metrics is a dict of its own
        flat.update(value if isinstance(value, dict) else {name: value})
    return flat


def _floats(logs: dict[str, Any]) -> dict[str, Any]:
    """Logs in the order of their names, with floats for scalars and arrays for tensors."""
    return {name: _float(logs[name]) for name in sorted(logs)}


def _float(value: Any) -> Any:
    if isinstance(value, (Tensor, Variable)):
        value = value.item() if isinstance(value, Tensor) and value.size == 1 else value.numpy()
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def _as_arrays(data: Any) -> Any:
    """Lists of numbers as arrays; lists of arrays stay lists of inputs."""
    if isinstance(data, (list, tuple)) and not any(hasattr(leaf, "shape") for leaf in tree.flatten(data)):
        return np.asarray(data)
    if isinstance(data, (int, float)):
        return np.asarray(data)
    return data


def _is_due(epoch: int, frequency: Any) -> bool:
    if isinstance(frequency, int):
        return (epoch + 1) % frequency == 0
    if isinstance(frequency, (list, tuple, set)):
        return epoch + 1 in frequency
    raise ValueError(f"[fit] expected validation_freq to be an integer or a list of epochs, received {frequency!r}")
