"""Times training and inference of whole models: kcore beside PyTorch and Keras, whichever are installed.

    python bench/train.py                           everything: half an hour, most of it in the compilers of others
    python bench/train.py mlp minigpt --peer PyTorch
    python bench/train.py fit startup               `fit` of a small model; memory and time of resnet50's first step
    python bench/train.py --quick                   the same code on tiny models, in a minute
    python bench/train.py --json today.json         for publish.py and --load

Opponents begin with equal weights, their losses are compared after 20 steps on the same batch (with dropout off), and
their outputs before them. Then each is timed in turn, again and again, in a process of its own that sleeps while others
run, on the same CPUs with as many threads. Train is one optimizer step (Adam, cross-entropy) from NumPy arrays to the loss
as a float, infer the outputs of that batch as a NumPy array, one those of a single sample. The ratio is that of the
fastest other to kcore: 2 means that kcore takes half the time.
Needs kcore; PyTorch, Keras with JAX or TensorFlow as opponents.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from timing import Times, difference
from train_report import caption, markdown_training, print_table
from workloads import QUICK, WORKLOADS

ROOT = Path(__file__).resolve().parent.parent
WORKER = ROOT / "bench" / "workloads" / "worker.py"
# Where kcore was built in place; else it is installed.
SOURCE = [str(ROOT / "python")] if any((ROOT / "python" / "kcore").glob("_core*.so")) else []


# What each opponent needs, and what is set in its environment.
PEERS = {
    "PyTorch": (("torch",), {}),
    "torch.compile": (("torch",), {}),
    "Keras/JAX": (("keras", "jax"), {"KERAS_BACKEND": "jax"}),
    "Keras/TF": (("keras", "tensorflow"), {"KERAS_BACKEND": "tensorflow"}),
}
OTHERS = ("fit", "replay", "threads", "startup")
STEPS = 20
# Outputs of a batch before training, relative to the largest.
TOLERANCE = 1e-3


class Failure(Exception):
    """A worker could not do what it was asked to."""


class Worker:
    """A process with one library (workloads/worker.py)."""

    def __init__(self, who: str, threads: int):
        self.who = who
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), who],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(who, threads),
        )
        self._answer()

    def __call__(self, do: str, **arguments: Any) -> Any:
        """The result of a method of the worker.

        Raises:
            Failure: it raised, or the process ended.
        """
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise Failure(f"the process ended with code {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(answer["error"])
        return answer["result"]

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def environment(who: str, threads: int) -> dict[str, str]:
    """Of a worker."""
    path = os.pathsep.join([*SOURCE, *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = PEERS[who][1] if who in PEERS else {}
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": path, **settings}


def installed(wanted: list[str]) -> list[str]:
    """The opponents that there are, of those wanted (none: all)."""
    found = [who for who, (needs, _) in PEERS.items() if all(map(importlib.util.find_spec, needs))]
    return [who for who in found if not wanted or who in wanted]


def measure(workers: dict[str, tuple[Worker, str]], seconds: float) -> dict[str, dict[str, Any]]:
    """Times of a call of each worker: they take turns, every other round in reverse order.

    workers: for each opponent, who runs it and the name of the call. seconds: for each, beyond the three rounds that even
    the slowest gets.
    """
    samples: dict[str, list[float]] = {who: [] for who in workers}
    order, rounds = list(workers.items()), 0
    while rounds < 3 or (rounds < 100 and min(sum(s) for s in samples.values()) < seconds):
        for who, (worker, what) in reversed(order) if rounds % 2 else order:
            samples[who] += worker("time", what=what, seconds=seconds / 10)
        rounds += 1
    return {
        who: dataclasses.asdict(Times(*statistics.quantiles(s, n=4, method="inclusive"), len(s)))
        for who, s in samples.items()
    }


class Bench:
    """One run: rows, and what could not be measured."""

    def __init__(self, args: argparse.Namespace, folder: Path):
        self.args, self.folder = args, folder
        self.processors = args.threads or len(os.sched_getaffinity(0))
        self.peers = [] if args.alone else installed(args.peer)
        self.rows: list[dict[str, Any]] = []
        self.failures: list[str] = []

    def start(self, name: str, peers: list[str]) -> dict[str, Worker]:
        """A worker for kcore and for each of these."""
        workers = {}
        for who in ("kcore", *peers):
            try:
                workers[who] = Worker(who, self.processors)
            except Failure as failure:
                self.failures.append(f"{name}, {who}: {failure}")
        return workers

    def add(self, name: str, title: str, times: dict[str, dict[str, Any]], unit: str = "ms", **more: Any) -> None:
        """A row of the table."""
        self.rows.append({"name": name, "title": title, "unit": unit, "times": times, **more})

    def workload(self, name: str) -> None:
        """Rows of one model: its train step, its predictions."""
        work = (QUICK if self.args.quick else WORKLOADS)[name]
        weights, outputs = self.folder / f"{name}.npz", {}
        workers = self.start(name, self.peers)
        losses: dict[str, list[float]] = {}
        try:
            for who in list(workers):
                worker = workers[who]
                build = {"name": name, "quick": self.args.quick, "weights": None if who == "kcore" else str(weights)}
                try:
                    worker("build", **build, dropout=False, save=str(weights) if who == "kcore" else None)
                    file = self.folder / "outputs.npy"
                    worker("outputs", path=str(file))
                    outputs[who] = np.load(file)
                    losses[who] = worker("losses", steps=self.args.steps)
                    self.check(who, work, outputs, losses)
                    if work.dropout:
                        worker("build", **{**build, "weights": str(weights)}, dropout=True, save=None)
                        worker("losses", steps=2)
                except Failure as failure:
                    self.failures.append(f"{name}, {who}: {failure}")
                    workers.pop(who).close()
            for what in ("train", "infer", "one"):
                times = measure({who: (worker, what) for who, worker in workers.items()}, self.args.seconds)
                ends = {who: all_of[-1] for who, all_of in losses.items()} if what == "train" else {}
                self.add(
                    f"{name} {what}", f"{work.title}, batch {1 if what == 'one' else work.batch}", times, losses=ends
                )
        finally:
            for worker in workers.values():
                worker.close()

    def check(self, who: str, work: Any, outputs: dict[str, Any], losses: dict[str, list[float]]) -> None:
        """Compares outputs and losses with kcore's.

        Raises:
            Failure: they differ.
        """
        error = difference([outputs[who]], [outputs["kcore"]])
        if error > TOLERANCE:
            raise Failure(f"outputs differ by {error:.2g}, allowed are {TOLERANCE:.2g}")
        first, last = ((losses[who][i], losses["kcore"][i]) for i in (0, -1))
        for (a, b), allowed, when in ((first, TOLERANCE, "first"), (last, work.tolerance, "last")):
            # Once a batch is known by heart, what is left of the loss is noise.
            if not math.isclose(a, b, rel_tol=allowed, abs_tol=allowed * losses["kcore"][0]):
                raise Failure(f"the {when} loss is {a:.4g}, and kcore's {b:.4g}")

    def fit(self) -> None:
        """Rows of `fit` and `predict` of a tiny model, which Keras has and PyTorch has not."""
        first: dict[str, list[float]] = {}
        workers = self.start("fit", [who for who in self.peers if who.startswith("Keras")])
        try:
            for round_ in range(1 if self.args.quick else 3):  # a first call needs a fresh process
                if round_:
                    for worker in workers.values():
                        worker.close()
                    workers = self.start("fit", [who for who in self.peers if who.startswith("Keras")])
                for who, worker in workers.items():
                    first.setdefault(who, []).append(worker("fit"))
            self.add("fit first", "4-16-3, 120 rows, 20 epochs with validation: first call", _all(first))
            for what, title in (("fit", "the same, again"), ("predict(x[:1])", "in a loop")):
                times = measure({who: (worker, what) for who, worker in workers.items()}, self.args.seconds)
                self.add("fit again" if what == "fit" else what, title, times)
        finally:
            for worker in workers.values():
                worker.close()

    def replay(self) -> None:
        """The row of the cost of an op of a recorded function, against a NumPy ufunc on one element; one thread."""
        worker = Worker("kcore", 1)
        try:
            count = worker("replay")
            times = measure({"kcore": (worker, "replay"), "NumPy ufunc": (worker, "ufunc")}, self.args.seconds)
        finally:
            worker.close()
        for key in ("first", "median", "third"):
            times["kcore"][key] /= count
        self.add("replay", f"an op of a recorded function of {count}, one thread", times, unit="us")

    def threads(self) -> None:
        """The row of predictions on one model by eight Python threads, against one."""
        worker = Worker("kcore", self.processors)
        try:
            count = worker("crowd")
            times = measure({"kcore": (worker, "together"), "one thread": (worker, "alone")}, self.args.seconds)
        finally:
            worker.close()
        for each in times.values():
            for key in ("first", "median", "third"):
                each[key] /= count
        self.add("threads", "mlp, batch 32: a prediction, of eight Python threads together", times)

    def startup(self) -> None:
        """Rows of the first training step of resnet50: seconds from the import on, and peak memory.

        Each is timed right after a process of its own kind: a virtual machine may have to ask its host for memory that
        none has used for a while, which takes as long as the step itself.
        """
        found: dict[str, dict[str, list[float]]] = {"seconds": {}, "peak": {}}
        tries = 1 if self.args.quick else 3
        for who in ("kcore", *(peer for peer in self.peers if peer != "torch.compile")):
            command = [sys.executable, str(WORKER), who, "quick" if self.args.quick else "full"]
            for attempt in range(1 + tries):
                result = subprocess.run(command, capture_output=True, text=True, env=environment(who, self.processors))
                if result.returncode:
                    self.failures.append(f"startup, {who}: {result.stderr.strip().splitlines()[-1:]}")
                    break
                for key, value in json.loads(result.stdout).items() if attempt else ():
                    found[key].setdefault(who, []).append(value)
        if "kcore" in found["peak"]:
            self.add("first step", "resnet50: from import to the end of a training step", _all(found["seconds"]), "s")
            self.add("peak memory", "resnet50: of a process that trains", _all(found["peak"]), "MB")

    def run(self) -> dict[str, Any]:
        """What the command line asks for."""
        from machine import describe

        names = self.args.names or [*WORKLOADS, *OTHERS]
        for name in names:
            start = time.perf_counter()
            getattr(self, name)() if name in OTHERS else self.workload(name)
            print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
        return {
            "machine": describe(self.processors, ("torch", "keras", "jax", "tensorflow", "numpy")),
            "seconds": self.args.seconds,
            "flops": None,
            "bandwidth": None,
            "rows": self.rows,
            "failures": self.failures,
        }


def _all(samples: dict[str, list[float]]) -> dict[str, dict[str, Any]]:
    """Times of a few measurements."""
    return {
        who: dataclasses.asdict(Times(min(values), statistics.median(values), max(values), len(values)))
        for who, values in samples.items()
    }


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"some of {', '.join([*WORKLOADS, *OTHERS])} (default: all)")
    parser.add_argument("--peer", action="append", default=[], choices=list(PEERS), help="only against this one")
    parser.add_argument("--alone", action="store_true", help="without opponents")
    parser.add_argument("--seconds", type=float, help="time for each side of each row (default 2; quick: 0.02)")
    parser.add_argument("--steps", type=int, help="after which losses are compared (default 20; quick: 3)")
    parser.add_argument("--threads", type=int, help="default: the CPUs that this process may use")
    parser.add_argument("--quick", action="store_true", help="tiny models, little time: whether it works at all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="save the run, for publish.py and --load")
    parser.add_argument("--load", type=Path, metavar="FILE", help="print a saved run instead of measuring")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    args = parser.parse_args(argv)
    if unknown := [name for name in args.names if name not in (*WORKLOADS, *OTHERS)]:
        parser.error(f"expected some of {', '.join([*WORKLOADS, *OTHERS])}, received {', '.join(unknown)}")
    args.seconds = args.seconds or (0.02 if args.quick else 2.0)
    args.steps = args.steps or (3 if args.quick else STEPS)
    return args


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    sys.path[:0] = SOURCE
    if args.load:
        run = json.loads(args.load.read_text())
    else:
        if args.threads:  # libraries that count CPUs start as many threads
            os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: args.threads]))
        with tempfile.TemporaryDirectory() as folder:
            run = Bench(args, Path(folder)).run()
    if args.json:
        args.json.write_text(json.dumps(run, indent=1))
    if args.markdown:
        print(caption(run), markdown_training(run), sep="\n\n")
    else:
        print_table(run)
    return 1 if any(", kcore:" in failure for failure in run["failures"]) else 0


if __name__ == "__main__":
    sys.exit(main())
