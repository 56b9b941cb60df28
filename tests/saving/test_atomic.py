"""Writes that are killed, fail, or would overwrite: what was there before stays."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

import kcore
from kcore import layers

from .models import make_model, trained

CRASH = """
    import os, signal, sys
    import numpy as np
    import kcore
    from kcore.saving import atomic, legacy_h5, store
    path, point = sys.argv[1:]
    model = kcore.Sequential([kcore.Input((6,)), kcore.layers.Dense(40), kcore.layers.Dense(3)])
    for variable in model.weights:
        variable.assign(np.full(variable.shape, 2.0))
    def die(*args):
        os.kill(os.getpid(), signal.SIGKILL)
    if point == "middle":
        calls, real = [], store.to_numpy
        for module in (store, legacy_h5):
            module.to_numpy = lambda v: die() if len(calls) == 2 else calls.append(0) or real(v)
    elif point == "sync":
        atomic.sync = die
    elif point == "rename":
        os.replace = die
    model.save_weights(path) if path.endswith(".weights.h5") else model.save(path)
    sys.exit("the save went through")
"""


@pytest.mark.parametrize("point", ["middle", "sync", "rename"])
@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5"])
def test_a_killed_save_leaves_the_old_file(tmp_path, name, point):
    model = kcore.Sequential([kcore.Input((6,)), layers.Dense(40), layers.Dense(3)])
    path = str(tmp_path / name)
    save = model.save_weights if name.endswith(".weights.h5") else model.save
    save(path)
    before = (tmp_path / name).read_bytes()
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(CRASH), path, point], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (tmp_path / name).read_bytes() == before
    save(path)  # and a later save is not in the way of what the dead process left


def test_a_failing_save_leaves_the_old_file(tmp_path, monkeypatch):
    model = trained()
    model.save(tmp_path / "m.keras")
    before = (tmp_path / "m.keras").read_bytes()
    monkeypatch.setattr(layers.Dense, "save_own_variables", lambda self, store: 1 / 0)
    for save, name in ((model.save, "m.keras"), (model.save_weights, "m.weights.h5")):
        with pytest.raises(ZeroDivisionError):
            save(tmp_path / name)
    assert (tmp_path / "m.keras").read_bytes() == before
    assert os.listdir(tmp_path) == ["m.keras"]


def test_saving_keeps_permissions_and_links(tmp_path):
    model = make_model()
    model.save(tmp_path / "real.keras")
    os.chmod(tmp_path / "real.keras", 0o640)
    (tmp_path / "link.keras").symlink_to("real.keras")
    model.save(tmp_path / "link.keras")
    assert (tmp_path / "link.keras").is_symlink()
    assert os.stat(tmp_path / "real.keras").st_mode & 0o777 == 0o640


def test_overwrite_asks(tmp_path, monkeypatch, capsys):
    model, other = make_model(), make_model()
    for name, save in (("m.keras", "save"), ("m.h5", "save"), ("m.weights.h5", "save_weights")):
        path = tmp_path / name
        getattr(model, save)(path, overwrite=False)  # nothing there: no question
        before = path.read_bytes()
        answers = iter(["what", "n"])
        monkeypatch.setattr("builtins.input", lambda prompt, answers=answers: next(answers))
        getattr(other, save)(path, overwrite=False)
        assert path.read_bytes() == before
        monkeypatch.setattr("builtins.input", lambda prompt: " Y ")
        getattr(other, save)(path, overwrite=False)
        assert path.read_bytes() != before
        assert "overwrite=True" in capsys.readouterr().out
