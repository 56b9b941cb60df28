"""Weights of a model that is not quite the one they are loaded into."""

import numpy as np
import pytest

import kcore
from kcore import layers

from .models import assert_same, make_model, values


def test_other_models_are_refused_and_leave_the_target(tmp_path):
    smaller = kcore.Sequential([kcore.Input((6,)), layers.Dense(4)])
    wider = make_model(units=5)
    for name in ("m.weights.h5", "m.keras", "m.h5"):
        for other, pattern in ((smaller, "layers|could not be loaded"), (wider, "expected shape|could not be loaded")):
            (other.save_weights if "weights" in name else other.save)(tmp_path / name)
            target = make_model()
            before = values(target)
            with pytest.raises(ValueError, match=pattern):
                target.load_weights(tmp_path / name)
            assert_same(values(target), before)


def test_skip_mismatch(tmp_path):
    wider = make_model(units=5)
    for name in ("m.weights.h5", "m.h5"):
        (wider.save_weights if "weights" in name else wider.save)(tmp_path / name)
        target = make_model()
        before = values(target)
        with pytest.warns(UserWarning, match="expected shape|could not be loaded"):
            target.load_weights(tmp_path / name, skip_mismatch=True)
        after = values(target)
        np.testing.assert_array_equal(after[-1], wider.get_layer("out").bias.numpy())
        np.testing.assert_array_equal(after[0], before[0])


def test_more_layers_in_the_file_than_in_the_model_warn(tmp_path):
    make_model().save_weights(tmp_path / "m.weights.h5")
    smaller = kcore.Sequential([kcore.Input((6,)), layers.Dense(4)])
    with pytest.warns(UserWarning, match=r"no object.*layers/"):
        smaller.load_weights(tmp_path / "m.weights.h5")


def test_by_name(tmp_path):
    model = make_model()
    model.save(tmp_path / "m.h5")
    inputs = kcore.Input((6,))
    other = kcore.Model(inputs, layers.Dense(2, name="new")(layers.Dense(4, name="hidden")(inputs)))
    new = other.get_layer("new").kernel.numpy()
    other.load_weights(tmp_path / "m.h5", by_name=True)
    assert_same(other.get_layer("hidden").get_weights(), model.get_layer("hidden").get_weights())
    np.testing.assert_array_equal(other.get_layer("new").kernel.numpy(), new)
    with pytest.raises(ValueError, match="by_name"):
        other.load_weights(tmp_path / "m.keras", by_name=True)


def test_objects_to_skip(tmp_path):
    model, other = make_model(), make_model()
    model.save_weights(tmp_path / "m.weights.h5")
    before = other.get_layer("out").kernel.numpy()
    with pytest.warns(UserWarning, match="no object"):
        other.load_weights(tmp_path / "m.weights.h5", objects_to_skip=[other.get_layer("out")])
    np.testing.assert_array_equal(other.get_layer("out").kernel.numpy(), before)
    assert_same(other.get_layer("hidden").get_weights(), model.get_layer("hidden").get_weights())
