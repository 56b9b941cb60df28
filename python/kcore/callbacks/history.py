"""History: the losses and metrics of every epoch, what fit returns."""

from __future__ import annotations

from typing import Any

from kcore.callbacks.callback import Callback

# Names older versions of Keras gave to metrics: scripts that read them still find what they look for.
_OLDER = {"acc": "accuracy", "accuracy": "acc"}


class HistoryDict(dict):
    """A dict of lists that answers to "acc" for "accuracy" (and "val_acc" for "val_accuracy"), and the other way round."""

    def __missing__(self, key: str) -> list:
        other = self._other(key)
        if other is None:
            raise KeyError(key)
        return self[other]

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or self._other(key) is not None

    def get(self, key: str, default: Any = None) -> Any:
        """The list of that name, `default` if there is none."""
        try:
            return self[key]
        except KeyError:
            return default

    def _other(self, key: object) -> str | None:
        if not isinstance(key, str):
            return None
        prefix, name = ("val_", key[4:]) if key.startswith("val_") else ("", key)
        other = prefix + _OLDER[name] if name in _OLDER else None
        return other if other is not None and super().__contains__(other) else None


class History(Callback):
    """Records what each epoch ended with; every `fit` has one and returns it.

    Attributes:
        history: for each name ("loss", "accuracy", "val_loss", ...) the list of its values, one an epoch.
        epoch: the numbers of the epochs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: HistoryDict = HistoryDict()
        self.epoch: list[int] = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            dict.setdefault(self.history, name, []).append(value)
        self.model.history = self

    def plot(self, path: Any = None, names: Any = None) -> Any:
        """Draws a curve per metric, training and validation together. Needs matplotlib.

        Args:
            path: file to save the picture to; None leaves it to the caller to show.
            names: metrics to draw, by default all.

        Returns:
            The matplotlib figure.
        """
        from matplotlib.figure import Figure

        names = names or [name for name in self.history if not name.startswith("val_")]
        if not names:
            raise ValueError("[History.plot] expected at least one epoch of history, received none")
        figure = Figure(figsize=(5 * len(names), 4), layout="constrained")
        for i, name in enumerate(names):
            axes = figure.add_subplot(1, len(names), i + 1)
            epochs = [epoch + 1 for epoch in self.epoch]
            axes.plot(epochs, self.history[name], label="training")
            if f"val_{name}" in self.history:
                values = self.history[f"val_{name}"]
                every = len(epochs) // len(values)  # validation_freq leaves epochs out
                axes.plot(epochs[every - 1 :: every][: len(values)], values, label="validation")
            axes.set(xlabel="epoch", ylabel=name)
            axes.legend()
        if path is not None:
            figure.savefig(path)
        return figure
