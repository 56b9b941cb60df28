"""The examples in docstrings run and show what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import kcore

MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(kcore.__path__, "kcore.")
    if info.name.rsplit(".", 1)[-1] not in ("_core", "__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # examples may write files
    module = importlib.import_module(name)
    given = {**vars(module), "kcore": kcore, "keras": kcore, "np": np, "ops": kcore.ops, "layers": kcore.layers}
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(module, extraglobs=given, optionflags=options)
    assert result.failed == 0
