"""kcore in one process with PyTorch, NumPy and scikit-learn, which bring thread pools of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

OTHERS = ("torch", "sklearn")

CODE = """
import hashlib, os, sys, threading
import numpy as np

for name in sys.argv[1].split(","):
    __import__({"sklearn": "sklearn.ensemble"}.get(name, name))
import kcore
from kcore import layers, ops

RNG = np.random.default_rng(0)
A, X, Y = RNG.normal(size=(400, 400)), RNG.normal(size=(64, 16, 16, 8)).astype("float32"), RNG.integers(0, 4, 64)


def digest(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def use_kcore():
    kcore.utils.set_random_seed(0)
    model = kcore.Sequential([
        kcore.Input((16, 16, 8)), layers.Conv2D(32, 3, activation="relu"), layers.BatchNormalization(),
        layers.GlobalAveragePooling2D(), layers.Dense(64, activation="relu"), layers.Dense(4, activation="softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, Y, epochs=2, batch_size=32, verbose=0)
    return digest(*model.get_weights(), model.predict(X, verbose=0))


def use_numpy():
    return digest(np.round(A @ A, 6), np.round(np.linalg.svd(A[:60])[1], 6))


def use_torch():
    import torch
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(8, 32, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(6272, 4))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    x, y = torch.from_numpy(X).permute(0, 3, 1, 2), torch.from_numpy(Y)
    for _ in range(3):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    return digest(np.round(loss.detach().numpy(), 3))


def use_sklearn():
    from sklearn.ensemble import HistGradientBoostingClassifier
    flat = X.reshape(64, -1)[:, :50]
    return digest(HistGradientBoostingClassifier(max_iter=10, random_state=0).fit(flat, Y).predict(flat))


uses = [use_kcore, use_numpy] + [globals()["use_" + n] for n in ("torch", "sklearn") if n in sys.modules]
alone = [use() for use in uses]
for _ in range(3):  # one after the other, while the threads of the others still spin
    assert [use() for use in uses] == alone
results = [None] * len(uses)
def run(i):
    results[i] = [uses[i]() for _ in range(2)]
threads = [threading.Thread(target=run, args=(i,)) for i in range(len(uses))]  # and all at once
for t in threads: t.start()
for t in threads: t.join()
assert results == [[one] * 2 for one in alone], results
child = os.fork()  # a child still has a kcore that works, whatever the others do about forks
if child == 0:
    os._exit(0 if use_kcore() == alone[0] else 1)
assert os.waitpid(child, 0)[1] == 0
print(alone[0])
"""


def run(order: str) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", CODE, order],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "3"},
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def orders() -> list[str]:
    """Imports of kcore before, after and between the others that are installed."""
    found = [name for name in OTHERS if importlib.util.find_spec(name)]
    groups = [[name] for name in found] + ([found] if len(found) > 1 else [])
    return [",".join([*g[:i], "kcore", *g[i:]]) for g in groups for i in range(len(g) + 1)]


@pytest.fixture(scope="module")
def alone() -> str:
    return run("kcore")


@pytest.mark.parametrize("order", orders())
def test_beside_others(order, alone):
    assert run(order) == alone
