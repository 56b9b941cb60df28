"""kcore in a process: environment settings, threads, forks, signals, what importing brings in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from kcore import _core, ops
from kcore.autograd import GradientTape
from kcore.autograd.apply import tapes


def python(code: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **env}, timeout=60
    )


@pytest.mark.parametrize("isa", ["scalar", "avx2", "avx512", "avx512_bf16", "amx"])
def test_isa_is_capped_by_the_environment(isa):
    supported = _core.supported_isas()
    expected = isa if isa in supported else supported[-1]
    vector = expected if expected in ("scalar", "avx2") else "avx512"  # what families without matrix products have
    code = "import kcore; kcore.ops.exp([1.0, 2.0]); print(kcore._core.isa())"
    result = python(code, KCORE_ISA=isa, KCORE_LOG="dispatch")
    assert result.stdout.strip() == expected
    assert f"kcore dispatch: elementwise: {vector}" in result.stderr
    assert vector == "avx512" or ", not avx512 (" in result.stderr


def test_selected_product_kernels_are_logged():
    code = "import kcore; kcore.ops.matmul(kcore.ops.ones((64, 64)), kcore.ops.ones((64, 64)))"
    result = python(code, KCORE_ISA="avx2", KCORE_LOG="dispatch")
    assert "gemm 64x64x64: " in result.stderr
    assert "; not avx512_fma (needs a better ISA)" in result.stderr


def test_unknown_isa_is_an_error():
    result = python("import kcore; kcore.ops.exp(1.0)", KCORE_ISA="mmx")
    assert result.returncode == 1 and "expected one of scalar, avx2, avx512" in result.stderr


def test_importing_brings_no_other_framework_and_no_plotting():
    result = python("import sys, kcore; print(*sys.modules)")
    loaded = set(result.stdout.split())
    assert not loaded & {"torch", "jax", "tensorflow", "keras", "matplotlib", "pandas", "PIL", "sklearn"}


def test_threads_follow_the_environment():
    assert python("from kcore import _core; print(_core.num_threads())", OMP_NUM_THREADS="3").stdout.strip() == "3"


def test_a_forked_child_computes():
    x = np.random.default_rng(0).normal(size=(300, 300))
    want = ops.matmul(x, x).numpy()  # the pool of threads exists now
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        same = np.array_equal(ops.matmul(x, x).numpy(), want)
        os.write(writer, b"same" if same else b"different")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 20) == b"same"


# What the scripts below do in a child: train a small model with every kind of layer, and predict.
MODEL = """
import hashlib, os, signal, sys, threading, time
import numpy as np
import kcore
from kcore import layers, ops

X = np.random.default_rng(0).normal(size=(64, 20, 20, 3)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 4, 64)

def train(seed=0):
    kcore.utils.set_random_seed(seed)
    model = kcore.Sequential([
        kcore.Input((20, 20, 3)), layers.Conv2D(32, 3, activation="relu"), layers.BatchNormalization(),
        layers.MaxPooling2D(), layers.Dropout(0.2), layers.Reshape((9, 288)), layers.LSTM(32),
        layers.Dense(4, activation="softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, LABELS, epochs=2, batch_size=32, verbose=0)
    values = [*model.get_weights(), model.predict(X, verbose=0)]
    assert all(np.isfinite(v).all() for v in values)
    return hashlib.sha256(b"".join(v.tobytes() for v in values)).hexdigest()

def wait(child, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (done := os.waitpid(child, os.WNOHANG))[0]:
            return done[1]
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    sys.exit("the child hangs")
"""


def script(tmp_path, code: str, *args: str, **env: str) -> str:
    path = tmp_path / "script.py"
    path.write_text(MODEL + code)
    result = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(path), *args],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_forked_child_trains(tmp_path):
    code = """
want = train()  # the pool of threads exists now
child = os.fork()
if child == 0:
    os._exit(0 if train() == want else 1)
assert wait(child) == 0
assert train() == want  # and the parent goes on
"""
    script(tmp_path, code, OMP_NUM_THREADS="3")


def test_a_child_forked_in_the_midst_of_ops_computes(tmp_path):
    code = """
x = np.random.default_rng(0).normal(size=(200, 200)).astype("float32")
def compute():
    return ops.softmax(ops.matmul(x, ops.add(x, 1.0))).numpy()
want, stop = compute(), False
def work():
    while not stop:
        assert np.array_equal(compute(), want)
threads = [threading.Thread(target=work) for _ in range(4)]
for t in threads: t.start()
for _ in range(100):
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(compute(), want) else 1)
    assert wait(child) == 0
stop = True
for t in threads: t.join()
"""
    script(tmp_path, code, OMP_NUM_THREADS="2")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_train(tmp_path, method):
    code = """
import multiprocessing
if __name__ == "__main__":
    want = [train(seed) for seed in (0, 1)]
    assert want[0] != want[1]
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        assert pool.map_async(train, [0, 1]).get(100) == want
"""
    script(tmp_path, code, method)


def test_interrupted_ops_leave_nothing_behind(interruptible):
    before, caught = np.ones((256, 256), "float32"), 0
    x = ops.convert_to_tensor(before)
    want = ops.matmul(x, x).numpy()
    for delay in (0.01, 0.02, 0.03):
        timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
        try:
            timer.start()
            while True:
                with GradientTape() as tape:
                    tape.watch(x)
                    y = ops.matmul(x, x)
                tape.gradient(y, x)
        except KeyboardInterrupt:
            caught += 1
        timer.join()
    assert caught == 3
    assert tapes.stack == []
    np.testing.assert_array_equal(ops.matmul(x, x).numpy(), want)


def test_impossible_sizes_are_memory_errors():
    with pytest.raises(ValueError, match="fewer than"):
        ops.zeros((2**60,))
    row = ops.zeros((2**20,))
    with pytest.raises(MemoryError, match="not enough memory"):
        ops.outer(row, row)  # four terabytes, which the system would grant and never have
    assert ops.zeros((2,)).tolist() == [0, 0]


def test_freed_buffers_are_reused_and_given_back():
    _core.release_cached_memory()
    x = ops.zeros((1000, 1000))
    used = _core.memory_stats()["in_use"]
    del x
    assert _core.memory_stats()["in_use"] < used
    assert _core.memory_stats()["cached"] >= 4_000_000
    _core.release_cached_memory()
    assert _core.memory_stats()["cached"] == 0
