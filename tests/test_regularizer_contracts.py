"""What regularizers and constraints refuse, and user-written ones. Values are compared in tests/parity."""

import numpy as np
import pytest

import kcore
from kcore import constraints, regularizers


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: regularizers.L1(-1), "l1"),
        (lambda: regularizers.L2(float("nan")), "l2"),
        (lambda: regularizers.L1L2(l2=float("inf")), "l2"),
        (lambda: regularizers.L1("much"), "l1"),
        (lambda: regularizers.OrthogonalRegularizer(mode="diagonals"), "mode"),
        (lambda: regularizers.OrthogonalRegularizer()(np.ones((2, 2, 2), "float32")), "matrix"),
        (lambda: regularizers.get("l3"), "did you mean"),
        (lambda: constraints.get("maxnorm"), 'did you mean "max_norm"'),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_none_and_callables_are_themselves():
    assert regularizers.get(None) is None and constraints.get(None) is None
    assert constraints.get(kcore.ops.relu) is kcore.ops.relu


def test_user_written():
    class Sum(regularizers.Regularizer):
        def __call__(self, x):
            return kcore.ops.sum(x)

        def get_config(self):
            return {}

    with kcore.saving.custom_object_scope({"Sum": Sum}):
        assert isinstance(regularizers.deserialize(regularizers.serialize(Sum())), Sum)
    with pytest.raises(NotImplementedError, match="__call__"):
        constraints.Constraint()(np.ones(2))
