"""The house: who may include or import whom."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CSRC = ["api", "base", "kernels", "ops", "program", "python"]  # each includes only itself and what comes before
PYTHON = [
    ("_core",),
    ("tree", "naming"),
    ("autograd",),
    ("dtype_policies",),
    ("graph",),
    ("saving", "lookup"),  # how objects become configs; the files of whole models reach upward only when called
    ("ops", "random"),
    ("activations", "initializers", "regularizers", "constraints"),
    ("losses", "metrics"),
    ("layers",),
    ("optimizers",),
    ("callbacks",),
    ("models",),
]


@pytest.mark.parametrize("path", sorted((ROOT / "csrc").rglob("*.[ch]*")), ids=lambda p: str(p.relative_to(ROOT)))
def test_includes_point_down(path):
    level = CSRC.index(path.relative_to(ROOT / "csrc").parts[0])
    for include in re.findall(r'#include "([^"]+)"', path.read_text()):
        target = "api" if include.startswith("kcore/") else include.split("/")[0]
        assert target in CSRC, f"{include} is not under csrc/"
        assert CSRC.index(target) <= level, f"{path.name} includes {include}, which is above it"
    if path.relative_to(ROOT / "csrc").parts[0] == "api":
        assert not re.search(r"#include <(?!c?std|[a-z_]+>)", path.read_text()), "only the standard library leaks out"


def test_openmp_is_behind_one_door():
    users = [p.name for p in (ROOT / "csrc").rglob("*.[ch]*") if "omp.h" in p.read_text()]
    assert users == ["parallel.cc"]


def _level(module: str) -> int | None:
    parts = module.split(".")
    for i, names in enumerate(PYTHON):
        if len(parts) > 1 and parts[1] in names:
            return i
    return None


@pytest.mark.parametrize(
    "path", sorted((ROOT / "python" / "kcore").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT / "python"))
)
def test_imports_point_down(path):
    module = ".".join(path.relative_to(ROOT / "python").with_suffix("").parts)
    own = _level(module)
    if own is None:
        return
    for node in ast.parse(path.read_text()).body:  # imports inside functions are late on purpose
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("kcore"):
            names = [f"{node.module}.{a.name}" for a in node.names] if node.module == "kcore" else [node.module]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.startswith("kcore")]
        else:
            continue
        for name in names:
            level = _level(name)
            assert level is None or level <= own, f"{module} imports {name}, which is above it"


def test_package_never_imports_its_opponents():
    for path in (ROOT / "python").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in names:
                assert name.split(".")[0] not in ("keras", "jax", "torch", "tensorflow"), f"{path}: import {name}"
