"""Tensors as NumPy users expect them: conversion, operators, indexing, sharing, printing."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import kcore
from kcore import _core, ops
from kcore.autograd import Tensor, convert_to_tensor


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, "int32"),
        (2**40, "int64"),
        (1.5, "float32"),
        (True, "bool"),
        ([1, 2], "int32"),
        ([1.0, 2], "float32"),
        ([2**40], "int64"),
        ([[True]], "bool"),
        (np.float64(2), "float64"),
        (np.zeros(2), "float64"),
        (np.zeros(2, "int8"), "int32"),
        (np.zeros(2, "uint16"), "int32"),
        (np.zeros(2, "float16"), "float32"),
        (np.zeros(2, ">f4"), "float32"),
        ([], "float32"),
    ],
)
def test_conversion(value, dtype):
    tensor = convert_to_tensor(value)
    assert tensor.dtype == dtype
    np.testing.assert_array_equal(np.asarray(tensor), np.asarray(value))


def test_conversion_refuses():
    with pytest.raises(TypeError, match=r"\[convert_to_tensor\] expected .* received 'a'"):
        convert_to_tensor("a")
    with pytest.raises(ValueError, match="equal lengths"):
        convert_to_tensor([[1], [1, 2]])
    with pytest.raises(ValueError, match="does not fit into uint8"):
        convert_to_tensor(300, dtype="uint8")
    with pytest.raises(ValueError, match="expected one of bool"):
        convert_to_tensor(1, dtype="complex64")
    with pytest.raises(TypeError, match="expected"):
        convert_to_tensor(np.array(["a"]))
    with pytest.raises(ValueError, match="at most 8 dimensions"):
        convert_to_tensor(np.zeros((1,) * 9))


def test_strided_numpy_arrays_are_copied_right():
    x = np.arange(24.0).reshape(4, 6)
    for view in (x.T, x[::-1, ::2], x[1:2, :0]):
        np.testing.assert_array_equal(np.asarray(convert_to_tensor(view)), view)


def test_values_do_not_change_with_the_source():
    source = np.ones(3, "float32")
    tensor = convert_to_tensor(source)
    source[0] = 9
    out = tensor.numpy()
    out[1] = 9
    assert tensor.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(tensor)[0] = 9


def test_view_outlives_its_tensor():
    view = np.asarray(convert_to_tensor(np.arange(5.0)))
    for _ in range(10):
        convert_to_tensor(np.zeros(5))  # would take the buffer, were it free
    assert view.tolist() == [0, 1, 2, 3, 4]


def test_dlpack_shares_memory():
    x = convert_to_tensor(np.arange(6.0, dtype="float32").reshape(2, 3))
    there = np.from_dlpack(x)
    assert there.ctypes.data == np.asarray(x).ctypes.data
    del x
    assert there.tolist() == [[0, 1, 2], [3, 4, 5]]

    class Foreign:  # an object that offers nothing but DLPack
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **kwargs):
            return self.array.__dlpack__()

    source = np.arange(6, dtype="int64").reshape(2, 3)
    assert np.asarray(convert_to_tensor(Foreign(source))).ctypes.data == source.ctypes.data
    np.testing.assert_array_equal(np.asarray(convert_to_tensor(Foreign(source.T))), source.T)  # strided: copied
    capsule = source.__dlpack__()
    _core.from_dlpack(capsule)
    with pytest.raises(ValueError, match="dltensor"):
        _core.from_dlpack(capsule)  # taken already


def test_operators():
    x = np.array([[1.0, -2.0], [3.0, 4.0]], "float32")
    t = convert_to_tensor(x)
    for f in (
        lambda a: a + 1,
        lambda a: 1 - a,
        lambda a: a * a,
        lambda a: 2 / a,
        lambda a: a // 2,
        lambda a: a % 3,
        lambda a: a**2,
        lambda a: -a,
        lambda a: abs(a),
        lambda a: a @ a,
        lambda a: a > 1,
        lambda a: (a <= 3) & (a != 1),
        lambda a: ~(a == 1),
        lambda a: a.T,
        lambda a: a.reshape(4),
        lambda a: a.astype("int32"),
        lambda a: np.float32(2) * a,
        lambda a: np.ones((2, 2), "float32") + a,
    ):
        got = f(t)
        assert isinstance(got, Tensor)
        np.testing.assert_allclose(np.asarray(got), f(x), rtol=1e-6)
    assert (t == None) is False  # noqa: E711  as NumPy users write it
    with pytest.raises(TypeError):
        t + None


def test_numbers_give_way():
    half = convert_to_tensor([1, 2], dtype="uint8")
    assert (half + 1).dtype == "uint8"
    assert (half * 0.5).dtype == "float32"
    assert (convert_to_tensor([1.0]) * np.float64(2)).dtype == "float32"
    assert (convert_to_tensor([1.0]) + convert_to_tensor(np.zeros(1))).dtype == "float64"
    assert (convert_to_tensor([1]) / 2).dtype == "float32"


KEYS = [
    np.s_[0],
    np.s_[-1, 2],
    np.s_[1:],
    np.s_[::-1, 1:3],
    np.s_[..., 0],
    np.s_[:, None, 1],
    np.s_[2:0:-1, ..., ::2],
    np.s_[5:2],
    np.s_[[0, 2]],
    np.s_[:, [1, 0, 1]],
    np.s_[[0, 1], [2, 3]],
    np.s_[np.array([[0, 1], [2, 0]])],
    np.s_[:, np.array([True, False, True, True])],
    np.s_[[0, -1], :, 1],
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing(key):
    x = np.arange(60.0).reshape(3, 4, 5)
    np.testing.assert_array_equal(np.asarray(convert_to_tensor(x)[key]), x[key])


@pytest.mark.parametrize("key", [3, (0, 9), (0, 0, 0, 0), [7], "a", 1.5, (..., ...)], ids=str)
def test_indexing_refuses(key):
    with pytest.raises((IndexError, ValueError)):
        convert_to_tensor(np.zeros((3, 4)))[key]


def test_variables_in_ops():
    v = kcore.Variable([1.0, 2.0], name="v")
    before = v.value
    v.assign_add([1.0, 1.0])
    assert before.tolist() == [1, 2] and v.value.tolist() == [2, 3]
    assert (v * 2).tolist() == [4, 6] and v[0].item() == 2
    with pytest.raises(ValueError, match=r"v: expected a value of shape \(2,\), received \(3,\)"):
        v.assign([1.0, 2.0, 3.0])
    assert v.value.tolist() == [2, 3]


def test_printing_and_copies():
    t = convert_to_tensor([1.0, 2.0])
    assert "shape=(2,)" in repr(t) and "1., 2." in repr(t)
    assert f"{convert_to_tensor(1.5):.2f}" == "1.50"
    assert pickle.loads(pickle.dumps(t)).tolist() == [1, 2]
    assert copy.deepcopy(t) is t
    v = kcore.Variable([1.0])
    w = copy.deepcopy(v)
    w.assign([5.0])
    assert v.value.tolist() == [1.0]


def test_python_protocols():
    t = convert_to_tensor([[1.0, 2.0], [3.0, 4.0]])
    assert len(t) == 2 and [row.tolist() for row in t] == [[1, 2], [3, 4]]
    assert float(t[0, 0]) == 1 and int(t[1, 1]) == 4 and bool(t[0, 0])
    assert list(range(3))[convert_to_tensor(1)] == 1
    with pytest.raises(ValueError, match="one element"):
        bool(t)
    with pytest.raises(TypeError, match="no length"):
        len(convert_to_tensor(1.0))


def test_symbolic_tensors_have_no_values():
    s = Tensor(_core.symbolic((2, 3), "float32"))
    assert (s + 1).shape == (2, 3) and ops.sum(s, axis=0).shape == (3,)
    for read in (lambda: s.numpy(), lambda: np.asarray(s), lambda: float(s[0, 0]), lambda: bool(s[0, 0] > 0)):
        with pytest.raises(ValueError, match="symbolic"):
            read()


def test_messages_about_symbolic_shapes_say_none():
    x = kcore.Input((28, 3))
    with pytest.raises(
        ValueError, match=r"\[matmul\] expected b with 3 rows, received shape \(4, 5\); a is \(None, 28, 3\)"
    ):
        ops.matmul(x, ops.ones((4, 5)))
