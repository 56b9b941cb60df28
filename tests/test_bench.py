"""The benchmark: its lines of shapes, that it leaves no op out, a tiny run without an opponent, two runs compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kcore import _core

BENCH = Path(__file__).parent.parent / "bench"
sys.path.insert(0, str(BENCH))

from calls import prepare, trace  # noqa: E402
from inputs import attributes, inputs_of  # noqa: E402
from machine import seconds_of_others  # noqa: E402
from publish import merge, publish  # noqa: E402
from rows import Row, parse, read  # noqa: E402
from train import Bench, Failure, arguments  # noqa: E402
from workloads import WORKLOADS  # noqa: E402

# Only gradients of gradients use these.
NOT_TIMED = {"max_pool_take"}


def test_a_line():
    rows = parse("conv[y,dkernel]  8x56x56x64 3x3x64x32  pads=1 strides=2,1  # a comment")
    assert [row.what for row in rows] == ["y", "dkernel"]
    assert rows[0].shapes == ((8, 56, 56, 64), (3, 3, 64, 32))
    assert rows[1].name == "conv dkernel 8x56x56x64 3x3x64x32 pads=1 strides=2,1"
    assert attributes(rows[0]) == {"groups": 1, "pads": [1, 1, 1, 1], "strides": [2, 1]}
    assert parse(rows[0].name) == [rows[0]]
    assert parse("   # nothing") == []


def test_optional_inputs():
    (row,) = parse("lstm 2x3x4 2x5 2x5 4x20 5x20 -")
    assert [x.name if x else None for x in inputs_of(row)][4:] == ["recurrent_kernel", None, None]
    (row,) = parse("adam 7 7 7 7 - scalar scalar")
    assert [None if x is None else (x.shape, x.dtype) for x in inputs_of(row)][4:] == [
        None,
        ((), "float32"),
        ((), "int32"),
    ]


def test_indices_stay_inside():
    (row,) = parse("take 5x3 400 axis=0")
    indices = inputs_of(row)[1].array(0)
    assert set(indices.tolist()) == set(range(5))


@pytest.mark.parametrize("line", ["conv[ 2x2", "relu 2xx3", "relu 2 axis=1 3", "relu two"])
def test_a_wrong_line(line):
    with pytest.raises(ValueError, match="expected"):
        parse(line)


def test_a_row_that_does_not_fit():
    with pytest.raises(ValueError, match="expected a shape or - for each of x, kernel"):
        prepare(Row("conv", "y", ((1, 4, 4, 3),)))
    with pytest.raises(ValueError, match="expected y, grads, both or one of dx"):
        prepare(Row("relu", "dy", ((4,),)))


def test_work():
    (forward,) = parse("conv 2x6x6x3 3x3x3x5")
    bytes_moved = 4 * (2 * 6 * 6 * 3 + 3 * 3 * 3 * 5 + 2 * 4 * 4 * 5)
    assert prepare(forward).work() == (2 * (2 * 4 * 4 * 5) * 27, bytes_moved)
    (gradient,) = parse("relu[dx] 100")
    assert prepare(gradient).work() == (0, 1200)
    (table,) = parse("take 1000x4 6 axis=0")
    assert prepare(table).work() == (0, 4 * 6 + 2 * 4 * 6 * 4)


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the system does not tell who uses its CPUs")
def test_others_on_the_cpus_are_noticed():
    others = seconds_of_others()
    spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        start = time.perf_counter()
        while time.perf_counter() - start < 1.0:
            pass  # the CPU time of this process is not that of others
        assert seconds_of_others() - others > 0.25
    finally:
        spinning.kill()
        spinning.wait()


def test_every_op_is_timed():
    timed = set()
    for row in read():
        with trace() as calls:
            prepare(row, symbolic=True).run()
        timed |= {op for op, *_ in calls}
    missing = set(_core.op_schemas()) - timed
    assert missing == NOT_TIMED, f"no line in bench/shapes: {sorted(missing - NOT_TIMED)}"


def test_a_run_and_its_comparison(tmp_path):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def bench(script, *args):
        command = [sys.executable, str(BENCH / script), *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=env, timeout=120).stdout

    line = "matmul[y,da] 8x9 9x10"
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    out = bench("ops.py", "--alone", "--seconds", 0, "--shape", line, "--threads", 1, "--json", first)
    assert "matmul da" in out and "GB/s" in out
    run = json.loads(first.read_text())
    assert [row["name"] for row in run["rows"]] == ["matmul 8x9 9x10", "matmul da 8x9 9x10"]
    assert run["machine"]["threads"] == 1 and not run["failures"]
    for row in run["rows"]:
        row["times"]["kcore"] = {"first": 0.9e-3, "median": 1e-3, "third": 1.1e-3, "rounds": 9}
    first.write_text(json.dumps(run))
    run["rows"][0]["times"]["kcore"] = {"first": 0.45e-3, "median": 0.5e-3, "third": 0.55e-3, "rounds": 9}
    run["rows"][1]["times"]["kcore"] = {"first": 1e-3, "median": 1.1e-3, "third": 1.2e-3, "rounds": 9}
    second.write_text(json.dumps(run))
    lines = bench("compare.py", first, second).splitlines()
    assert [("faster" in line, "slower" in line) for line in lines if "8x9" in line] == [(True, False), (False, False)]
    assert "| matmul |" in bench("ops.py", "--load", first, "--markdown", "all")
    page = "before\n<!-- bench: rows of mine -->\nold\n<!-- /bench -->\n<!-- bench: rows of yours -->\nkept\n<!-- /bench -->"
    new = publish(page, {"mine": run})
    assert new.startswith("before\n<!-- bench: rows of mine -->\n### matmul") and "kept" in new and "old" not in new
    assert publish(new, {"mine": run}) == new

    other = {**run, "rows": [{**run["rows"][1], "title": "relu", "name": "relu 5", "family": "elementwise"}]}
    anew = {**run, "rows": [{**run["rows"][0], "sizes": "anew"}]}
    both = merge([run, other, anew])
    assert [row["name"] for row in both["rows"]] == ["matmul 8x9 9x10", "matmul da 8x9 9x10", "relu 5"]
    assert both["rows"][0]["sizes"] == "anew" and merge([run]) == run
    assert "### matmul" in publish(page, {"mine": both}) and "### elementwise" in publish(page, {"mine": both})
    with pytest.raises(ValueError, match="expected runs of one machine"):
        merge([run, {**other, "machine": {**run["machine"], "threads": 2}}])


def test_bfloat16():
    y, grads = parse("layer_norm:bfloat16[y,grads] 2x8 8 8 epsilon=0.1")
    assert (y.name, y.dtype) == ("layer_norm:bfloat16 2x8 8 8 epsilon=0.1", "bfloat16") and parse(y.name) == [y]
    assert [x.dtype for x in inputs_of(y)] == ["bfloat16", "float32", "float32"]
    assert prepare(y).results()[0].dtype == "bfloat16" and prepare(y).outputs()[0].dtype == "float32"
    assert [x.dtype for x in prepare(grads).results()] == ["bfloat16", "float32", "float32"]
    assert prepare(grads, symbolic=True).results()[0].dtype == "bfloat16"
    with pytest.raises(ValueError, match="expected op"):
        parse("relu:float16 4")


def test_a_run_of_training(tmp_path):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def train(*args):
        command = [sys.executable, str(BENCH / "train.py"), *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=env, timeout=120).stdout

    saved = tmp_path / "run.json"
    out = train("--quick", "--alone", "--json", saved)
    run = json.loads(saved.read_text())
    assert not run["failures"] and "mlp train" in out
    names = [row["name"] for row in run["rows"]]
    for name in ("mlp", "convnet", "resnet20", "resnet50", "bilstm", "minigpt"):
        assert [n for n in names if n.startswith(f"{name} ")] == [f"{name} train", f"{name} infer", f"{name} one"]
    others = ["fit first", "fit again", "predict(x[:1])", "replay", "threads", "first step", "peak memory"]
    assert names[-len(others) :] == others
    assert all(0 < row["times"]["kcore"]["median"] < float("inf") for row in run["rows"])

    for row in run["rows"]:
        row["times"]["PyTorch"] = {**row["times"]["kcore"], "median": 2 * row["times"]["kcore"]["median"]}
        row["times"]["Keras/JAX"] = {**row["times"]["kcore"], "median": 3 * row["times"]["kcore"]["median"]}
    saved.write_text(json.dumps(run))
    table = train("--load", saved, "--markdown")
    assert "train 2.00 (lowest 2.00), infer 2.00 (lowest 2.00), one 2.00 (lowest 2.00)" in table
    page = publish("<!-- bench: training of mine -->\n<!-- /bench -->", {"mine": run})
    assert (
        "| what | of | unit | kcore | PyTorch | Keras/JAX | NumPy ufunc | one thread | ratio |" in page
        and "| mlp train |" in page
    )


def test_opponents_whose_results_differ_are_not_timed(tmp_path):
    bench = Bench(arguments(["--quick", "--alone"]), tmp_path)
    work, outputs = WORKLOADS["mlp"], {"kcore": np.ones((2, 3)), "other": np.ones((2, 3))}
    bench.check("other", work, outputs, {"kcore": [2.0, 1.0], "other": [2.0, 1.001]})
    with pytest.raises(Failure, match=r"the last loss is 1\.1, and kcore's 1"):
        bench.check("other", work, outputs, {"kcore": [2.0, 1.0], "other": [2.0, 1.1]})
    with pytest.raises(Failure, match="the first loss"):
        bench.check("other", work, outputs, {"kcore": [2.0, 1.0], "other": [2.1, 1.0]})
    outputs["other"][0, 0] = 1.1
    with pytest.raises(Failure, match=r"outputs differ by 0\.1"):
        bench.check("other", work, outputs, {"kcore": [2.0], "other": [2.0]})
