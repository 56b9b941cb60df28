"""Damaged, foreign and hostile files, and wrong arguments: a clear error, and nothing has changed."""

import contextlib
import os

import h5py
import numpy as np
import pytest

import kcore
from kcore import layers, saving

from .models import PATHS, X, assert_same, make_model, trained, values


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5"])
def test_truncated_and_foreign_files(tmp_path, name):
    model = trained()
    weights_only = name.endswith(".weights.h5")
    (model.save_weights if weights_only else model.save)(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    target = trained()
    before = values(target)
    damaged = [whole[:n] for n in (0, 10, len(whole) // 3, len(whole) // 2, len(whole) - 30)]
    for content in [*damaged, b"not a model" * 50]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"\[load_"):
            target.load_weights(tmp_path / name)
        if not weights_only:
            with pytest.raises(ValueError, match=r"\[load_model\]"):
                kcore.models.load_model(tmp_path / name)
    assert_same(values(target), before)


def test_flipped_bytes_never_crash(tmp_path):
    model = make_model()
    for name in ("m.keras", "m.h5", "m.weights.h5"):
        (model.save_weights if "weights" in name else model.save)(tmp_path / name)
        whole = bytearray((tmp_path / name).read_bytes())
        noise = np.random.default_rng(1)
        for _ in range(12):
            content = bytearray(whole)
            for position in noise.integers(0, len(content), 20):
                content[position] ^= 0xFF
            (tmp_path / name).write_bytes(content)
            with contextlib.suppress(ValueError):
                model.load_weights(tmp_path / name)


@pytest.mark.parametrize("name", PATHS)
def test_lambda_is_refused_in_every_format(tmp_path, name):
    model = make_model(layer=layers.Lambda(lambda x: x * 3, name="triple"))
    model.save(tmp_path / name)
    with pytest.raises(ValueError, match="safe_mode=False"):
        kcore.models.load_model(tmp_path / name)
    back = kcore.models.load_model(tmp_path / name, safe_mode=False)
    assert_same([back.predict(X, verbose=0)], [model.predict(X, verbose=0)])
    with pytest.raises(ValueError, match="safe_mode=False"):
        kcore.models.model_from_json(model.to_json())


def test_links_out_of_a_file_are_refused(tmp_path):
    model = make_model()
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["0"] = np.zeros((6, 4), "float32")
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/0")
    with pytest.raises(ValueError, match="link to another file"):
        model.load_weights(tmp_path / "m.weights.h5")


def test_sizes_are_checked_before_memory_is_taken(tmp_path):
    model = make_model()
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset("0", (1 << 40,), "float32", chunks=(1 << 20,))
    with pytest.raises(ValueError, match="bytes of data"):
        model.load_weights(tmp_path / "m.weights.h5")


def test_arguments(tmp_path):
    model = make_model()
    calls = [
        (ValueError, "ending in .keras", lambda: model.save(tmp_path / "m.pb")),
        (ValueError, "unknown arguments", lambda: saving.save_model(model, tmp_path / "m.keras", colour=1)),
        (ValueError, "ending in .weights.h5", lambda: model.save_weights(tmp_path / "m.h5")),
        (ValueError, "unknown arguments", lambda: saving.save_weights(model, tmp_path / "m.weights.h5", a=1)),
        (ValueError, "File not found", lambda: kcore.models.load_model(tmp_path / "absent.keras")),
        (ValueError, "File not found", lambda: kcore.models.load_model(tmp_path / "absent.h5")),
        (FileNotFoundError, "absent", lambda: model.load_weights(tmp_path / "absent.weights.h5")),
        (ValueError, "ending in", lambda: model.load_weights(tmp_path / "absent.txt")),
        (ValueError, "config.json", lambda: kcore.models.load_model(tmp_path)),
    ]
    for error, pattern, call in calls:
        with pytest.raises(error, match=pattern):
            call()
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(ValueError, match="ending in"):
        kcore.models.load_model(tmp_path / "x.txt")
    model.save_weights(tmp_path / "m.weights.h5")
    os.rename(tmp_path / "m.weights.h5", tmp_path / "m.h5")
    for call in (kcore.models.load_model, model.load_weights):
        with pytest.raises(ValueError, match=r"expected a legacy .h5 file"):
            call(tmp_path / "m.h5")
