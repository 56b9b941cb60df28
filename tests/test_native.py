"""The installed C++ package: an application built against it, and what its object files export."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import kcore
from kcore import layers
from kcore.__main__ import cmake_dir
from test_export import MODELS, convnet, data_for

SOURCE = Path(__file__).parent / "native_app"

pytestmark = pytest.mark.skipif(not cmake_dir().exists(), reason="a development build has no installed C++ package")


@pytest.fixture(scope="module")
def applications(tmp_path_factory):
    """The folder with the applications, built."""
    folder = tmp_path_factory.mktemp("native_app")
    cmake = shutil.which("cmake")
    assert cmake, "cmake is in the [test] extra"
    configure = [cmake, "-S", SOURCE, "-B", folder, f"-Dkcore_DIR={cmake_dir()}", "-DCMAKE_BUILD_TYPE=Release"]
    subprocess.run(configure, check=True, capture_output=True)
    subprocess.run([cmake, "--build", folder], check=True, capture_output=True)
    return folder


def test_ops_in_an_application(applications):
    result = subprocess.run([applications / "native_app"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert "conv" in result.stdout and "[matmul] expected" in result.stdout


def _kinds():
    def stateful():
        x = layers.Input((4, 2), batch_size=3)
        return kcore.Model(x, layers.LSTM(5, stateful=True, return_sequences=True)(x))

    def convolutions():
        x = layers.Input((16, 16, 8))
        y = layers.Conv2DTranspose(8, 3, strides=2, padding="same")(layers.Conv2D(12, 3, strides=2)(x))
        y = layers.Conv2D(8, 3, groups=4, dilation_rate=2)(layers.UpSampling2D()(layers.SeparableConv2D(8, 3)(y)))
        return kcore.Model(x, layers.AveragePooling2D(2)(y))

    def half():
        kcore.mixed_precision.set_global_policy("mixed_bfloat16")
        try:
            return kcore.Model(x := layers.Input((6, 5)), layers.Dense(3)(layers.LSTM(4)(x)))
        finally:
            kcore.mixed_precision.set_global_policy("float32")

    def slices_of_the_batch():
        x = layers.Input((24, 24, 8), batch_size=16)
        y = layers.Conv2D(16, 3, activation="relu")(layers.Conv2D(16, 3, activation="relu")(x))
        return kcore.Model(x, layers.Dense(4)(layers.GlobalAveragePooling2D()(y)))

    return [*MODELS, stateful, convolutions, half, slices_of_the_batch]


@pytest.mark.parametrize("make", _kinds(), ids=lambda f: f.__name__)
def test_a_program_runs_without_allocations_and_locks(make, applications, tmp_path):
    make().export(tmp_path / "m.kcore")
    result = subprocess.run([applications / "run_program", tmp_path / "m.kcore"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 threads: 0 allocations, 0 locks" in result.stdout


def test_a_training_step_runs_without_allocations_and_locks(applications, tmp_path):
    model = convnet()
    model.compile("adam", "mse")
    x = data_for(model, 4)
    kcore.export.training_program(model, tmp_path / "m.kcore", x, model.predict_on_batch(x) + 1)
    result = subprocess.run([applications / "run_program", tmp_path / "m.kcore"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_application_gets_an_error_for_a_damaged_program(applications, tmp_path):
    (tmp_path / "m.kcore").write_bytes(b"not a program")
    result = subprocess.run([applications / "run_program", tmp_path / "m.kcore"], capture_output=True, text=True)
    assert (result.returncode, result.stdout[:6]) == (2, "[load]")


def test_isa_files_export_only_their_own_namespace():
    """Else the linker could keep an AVX-512 copy of a shared inline function for machines without AVX-512."""
    library = cmake_dir().parents[1] / "libkcore.a"
    listing = subprocess.run(["nm", "-C", "--defined-only", "--extern-only", library], capture_output=True, text=True)
    found = set()
    for member in listing.stdout.split("\n\n"):
        symbols = [line.split(maxsplit=2)[2] for line in member.splitlines() if len(line.split(maxsplit=2)) == 3]
        isas = {
            m[1]
            for s in symbols
            if (m := re.match(r"kcore::kernels::(scalar|avx512_bf16|avx512|avx2|amx)::\w+_table", s))
        }
        for isa in isas:
            found.add(isa)
            strangers = [s for s in symbols if f"kcore::kernels::{isa}::" not in s]
            assert not strangers, f"compiled for {isa} and visible to everybody: {strangers}"
    assert "scalar" in found
