"""`python -m kcore --cmake-dir` prints where find_package(kcore) looks; `python -m kcore` describes the installation."""

from __future__ import annotations

import argparse
from pathlib import Path


def cmake_dir() -> Path:
    """The folder of kcoreConfig.cmake, for `cmake -Dkcore_DIR=...`."""
    return Path(__file__).parent / "native" / "lib" / "cmake" / "kcore"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m kcore", description=__doc__)
    parser.add_argument("--cmake-dir", action="store_true", help="print the folder of the CMake package")
    if parser.parse_args().cmake_dir:
        print(cmake_dir())
        return
    from kcore import __version__, _core

    print(
        f"kcore {__version__}: kernels for {_core.isa()} (machine has {_core.detected_isa()}), {_core.num_threads()} threads"
    )


if __name__ == "__main__":
    main()
