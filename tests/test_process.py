"""kcore in a process: environment settings, threads, forks, signals, what importing brings in."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from kcore import _core, ops


def python(code: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **env}, timeout=60
    )


@pytest.mark.parametrize("isa", ["scalar", "avx2", "avx512"])
def test_isa_is_capped_by_the_environment(isa):
    order = ["scalar", "avx2", "avx512"]
    expected = order[min(order.index(isa), order.index(_core.detected_isa()))]
    code = "import kcore; kcore.ops.exp([1.0, 2.0]); print(kcore._core.isa())"
    result = python(code, KCORE_ISA=isa, KCORE_LOG="dispatch")
    assert result.stdout.strip() == expected
    assert f"kcore dispatch: elementwise: {expected}" in result.stderr
    assert expected == "avx512" or ", not avx512 (" in result.stderr


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


def test_python_threads_do_not_disturb_each_other():
    inputs = [np.random.default_rng(i).normal(size=(120, 130)) for i in range(4)]
    want = [ops.tanh(ops.matmul(x, x.T)).numpy() for x in inputs]
    wrong = []

    def work(i):
        for _ in range(20):
            if not np.array_equal(ops.tanh(ops.matmul(inputs[i], inputs[i].T)).numpy(), want[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


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
