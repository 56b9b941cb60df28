"""A process that runs the workloads with one library: python bench/workloads/worker.py WHO, told what to do by train.py.

Each library has a process of its own, so that no pool of threads that waits for work takes time from another's. Requests
come as lines of JSON on the standard input, answers go to what was the standard output.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from workloads import LEARNING_RATE, QUICK, WORKLOADS, Workload, build, compile_model, flowers, iris

THREADS = len(os.sched_getaffinity(0))


class KerasAPI:
    """kcore, or Keras on the backend that the environment names."""

    def __init__(self, package: str):
        if os.environ.get("KERAS_BACKEND") == "tensorflow":
            import tensorflow

            tensorflow.config.threading.set_intra_op_parallelism_threads(THREADS)
        self.keras = __import__(package)

    def build(self, name: str, work: Workload, weights: dict[str, np.ndarray] | None) -> None:
        """A compiled model with these weights; without, with such as come."""
        self.keras.utils.set_random_seed(0)
        self.model = build(name, work, self.keras)
        if weights is not None:
            self.model.set_weights(list(weights.values()))
        compile_model(self.model, self.keras)

    def weights(self) -> dict[str, np.ndarray]:
        """By path, in Keras's order."""
        return {v.path: v.numpy() for v in self.model.weights}

    def train(self, x: np.ndarray, y: np.ndarray) -> float:
        """A step; the loss."""
        return float(self.model.train_on_batch(x, y))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The outputs of a batch."""
        return np.asarray(self.model.predict_on_batch(x))

    def fit(self) -> dict[str, Callable[[], object]]:
        """What is timed of a small model: `fit` of 20 epochs with validation, `predict` of one row."""
        model, (x, y) = iris(self.keras), flowers()
        data = {"batch_size": 32, "epochs": 20, "validation_data": (x[120:], y[120:]), "verbose": 0}
        return {
            "fit": lambda: model.fit(x[:120], y[:120], **data),
            "predict(x[:1])": lambda: model.predict(x[:1], verbose=0),
        }


class PyTorch:
    """PyTorch, op by op or through torch.compile."""

    def __init__(self, compiled: bool):
        import torch

        torch.set_num_threads(THREADS)
        self.torch, self.compiled = torch, compiled

    def build(self, name: str, work: Workload, weights: dict[str, np.ndarray] | None) -> None:
        """A model and its optimizer."""
        from workloads.torch_models import MODELS

        torch = self.torch
        self.model = MODELS[name](work)
        if weights is not None:
            self.model.load(weights)
        self.net = torch.compile(self.model) if self.compiled else self.model
        self.optimizer = torch.optim.Adam(
            [p for p in self.model.parameters() if p.requires_grad], LEARNING_RATE, eps=1e-7
        )

    def _tensor(self, x: np.ndarray) -> Any:
        return self.torch.from_numpy(x)

    def data(self, x: np.ndarray) -> np.ndarray:
        """Images in PyTorch's order of axes."""
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x

    def train(self, x: np.ndarray, y: np.ndarray) -> float:
        """A step; the loss."""
        self.model.train()
        logits = self.net(self._tensor(x))
        loss = self.torch.nn.functional.cross_entropy(logits.flatten(0, -2), self._tensor(y).long().flatten())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The outputs of a batch."""
        self.model.eval()
        with self.torch.inference_mode():
            return self.net(self._tensor(x)).numpy()


OPPONENTS: dict[str, Callable[[], Any]] = {
    "kcore": lambda: KerasAPI("kcore"),
    "PyTorch": lambda: PyTorch(compiled=False),
    "torch.compile": lambda: PyTorch(compiled=True),
    "Keras/JAX": lambda: KerasAPI("keras"),
    "Keras/TF": lambda: KerasAPI("keras"),
}


class Worker:
    """Answers requests: each is a method and its arguments."""

    def __init__(self, who: str):
        self.peer = OPPONENTS[who]()
        self.calls: dict[str, Callable[[], object]] = {}

    def build(self, name: str, quick: bool, dropout: bool, weights: str | None, save: str | None) -> None:
        """Makes the model and its batch. weights: file to load them from; save: file to write them to."""
        import dataclasses

        work = (QUICK if quick else WORKLOADS)[name]
        if not dropout:
            work = dataclasses.replace(work, dropout=0.0)
        self.peer.build(name, work, dict(np.load(weights)) if weights else None)
        if save:
            np.savez(save, **self.peer.weights())
        x, y = work.data()
        x = self.peer.data(x) if hasattr(self.peer, "data") else x
        self.calls = {
            "train": lambda: self.peer.train(x, y),
            "infer": lambda: self.peer.predict(x),
            "one": lambda: self.peer.predict(x[:1]),
        }

    def losses(self, steps: int) -> list[float]:
        """Of so many steps on the same batch."""
        return [self.calls["train"]() for _ in range(steps)]

    def outputs(self, path: str) -> None:
        """Writes the outputs of the batch to a file."""
        np.save(path, self.calls["infer"]())

    def fit(self) -> float:
        """Makes the model for `fit`; seconds of its first call."""
        self.calls = self.peer.fit()
        start = time.perf_counter()
        self.calls["fit"]()
        return time.perf_counter() - start

    def replay(self) -> float:
        """Makes two calls, of a recorded function and of a NumPy ufunc; gives how many ops the first one runs."""
        from kcore import _core, ops
        from kcore.autograd.recorder import Recorded

        _core.set_num_threads(1)

        def chain(x: Any) -> Any:
            for _ in range(500):
                x = ops.roll(x, 1, 0)
            return x

        recorded, x, a = Recorded(chain), ops.zeros((1,)), np.zeros(1, "float32")
        recorded(x)
        self.calls = {"replay": lambda: recorded(x), "ufunc": lambda: np.negative(a, a)}
        return len(recorded.programs[0])

    def crowd(self) -> int:
        """Makes two calls, of as many predictions by one Python thread and by eight together; gives how many these are."""
        x, _ = WORKLOADS["mlp"].data()
        model = build("mlp", WORKLOADS["mlp"], self.peer.keras)
        batch = x[:32]

        def predict(count: int) -> None:
            for _ in range(count):
                model.predict_on_batch(batch)

        def together() -> None:
            threads = [threading.Thread(target=predict, args=(40,)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        self.calls = {"alone": lambda: predict(320), "together": together}
        return 320

    def time(self, what: str, seconds: float) -> list[float]:
        """Seconds of calls for so long, after one that warms the caches which others have used meanwhile."""
        call, samples = self.calls[what], []
        call()
        end = time.perf_counter() + seconds
        while not samples or time.perf_counter() < end:
            start = time.perf_counter()
            call()
            samples.append(time.perf_counter() - start)
        return samples


def first_step(who: str, quick: bool) -> dict[str, float]:
    """From the import of a library to the end of resnet50's first training step; peak memory after two more."""
    start = time.perf_counter()
    peer = OPPONENTS[who]()
    work = (QUICK if quick else WORKLOADS)["resnet50"]
    peer.build("resnet50", work, None)
    x, y = work.data()
    x = peer.data(x) if hasattr(peer, "data") else x
    peer.train(x, y)
    seconds = time.perf_counter() - start
    for _ in range(2):
        peer.train(x, y)
    return {"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def main() -> None:
    who, *rest = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer

    def answer(result: Any) -> None:
        answers.write(json.dumps(result) + "\n")

    if rest:
        answer(first_step(who, rest == ["quick"]))
        return
    worker = Worker(who)
    answer({"result": None})
    for line in sys.stdin:
        request = json.loads(line)
        method = request.pop("do")
        try:
            answer({"result": getattr(worker, method)(**request)})
        except Exception as error:
            text = str(error).strip() or repr(error)
            answer({"error": f"{type(error).__name__}: {text.splitlines()[0][:200]}"})


if __name__ == "__main__":
    main()
