"""What a run was taken on: the machine, the versions, the settings."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import time
from pathlib import Path
from typing import Any

import kcore
from kcore import _core


def cpu() -> str:
    """The CPU's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def caches() -> dict[str, int]:
    """Kilobytes of the data caches, as the system tells them: {"L1": 32, ...}."""
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found[f"L{level}"] = int(size.rstrip("K"))
    return found


def seconds_of_others() -> float:
    """Seconds of CPU time that went to others so far, on the CPUs that this process may use; 0 where nobody tells."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return 0.0
    busy, mine = 0.0, {f"cpu{i}" for i in os.sched_getaffinity(0)}
    for line in lines:
        name, *ticks = line.split()
        if name in mine:
            user, nice, system, _idle, _waiting, irq, softirq, steal = map(int, ticks[:8])
            busy += user + nice + system + irq + softirq + steal
    return busy / os.sysconf("SC_CLK_TCK") - time.process_time()


def describe(threads: int, packages: tuple[str, ...]) -> dict[str, Any]:
    """Everything that a figure depends on and that can be told; `packages`: those whose versions matter."""
    flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].split("\n")[0].split()
    known = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    versions = {"kcore": kcore.__version__}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.datetime.now().isoformat(timespec="minutes"),
        "cpu": cpu(),
        "instructions": " ".join(flag for flag in known if flag in flags),
        "caches": caches(),
        "cpus": len(os.sched_getaffinity(0)),
        "threads": threads,
        "isa": _core.isa(),
        "python": platform.python_version(),
        "versions": versions,
        "settings": {
            k: v for k, v in os.environ.items() if k.startswith(("KCORE_", "ATEN_CPU", "ONEDNN_", "MKL_", "OMP_"))
        },
    }
