"""The installed C++ package: an application built against it, and what its object files export."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kcore.__main__ import cmake_dir

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
