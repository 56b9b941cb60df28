"""Image functions against Keras on JAX: sizes, filters, fill modes, layouts, integer images."""

from __future__ import annotations

import os

import numpy as np
import pytest

from kcore import ops

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")
# Keras reads its own variables in a way that NumPy warns of.
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore:__array__ implementation")]

rng = np.random.default_rng(0)
X = rng.normal(size=(2, 7, 9, 3)).astype("float32")
BYTES = rng.integers(0, 256, (2, 7, 9, 3)).astype("uint8")
# Weighted sums of at most 144 pixels of size one.
TOLERANCE = dict(rtol=1e-4, atol=2e-5)


def check(name, *args, atol=None, **options):
    want = np.asarray(getattr(keras.ops.image, name)(*args, **options))
    got = np.asarray(getattr(ops.image, name)(*args, **options))
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    tolerance = TOLERANCE if atol is None else {"atol": atol, "rtol": 0}
    np.testing.assert_allclose(got.astype("float64"), want.astype("float64"), **tolerance)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"])
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [(14, 18), (3, 4), (10, 5)])
def test_resize(interpolation, antialias, size):
    check("resize", X, size, interpolation=interpolation, antialias=antialias)


@pytest.mark.parametrize("size", [(6, 6), (3, 12), (12, 3)])
@pytest.mark.parametrize("how", ["crop_to_aspect_ratio", "pad_to_aspect_ratio"])
def test_resize_aspect(size, how):
    check("resize", X, size, **{how: True}, fill_value=2.0)
    check("resize", X[0], size, **{how: True})


def test_resize_layouts_and_integers():
    first = np.transpose(X, (0, 3, 1, 2))
    check("resize", first, (5, 6), data_format="channels_first")
    for interpolation in ("nearest", "bilinear", "bicubic"):
        # A value near a half may round the other way.
        check("resize", BYTES, (5, 12), interpolation=interpolation, atol=1)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("fill_mode", ["constant", "nearest", "reflect", "mirror", "wrap"])
def test_affine_transform(interpolation, fill_mode):
    # Quarters, so that no rounding of a coordinate chooses another pixel.
    t = np.array([[0.75, 0.25, -1.5, -0.25, 1.25, 2.25, 0, 0], [1.5, 0, -2.75, 0.5, -0.5, 24.25, 0, 0]], "float32")
    options = {"interpolation": interpolation, "fill_mode": fill_mode}
    check("affine_transform", X, t, fill_value=1.5, **options)
    if fill_mode == "constant":
        check("affine_transform", X[0], t[0], **options)
        check("affine_transform", np.transpose(X, (0, 3, 1, 2)), t, data_format="channels_first", **options)


def test_margins():
    check("pad_images", X, 1, 2, 3, 4)
    check("pad_images", X, top_padding=1, left_padding=0, target_height=9, target_width=9)
    check("pad_images", X[0], bottom_padding=1, right_padding=2, target_height=9, target_width=12)
    check("crop_images", X, 1, 2, 3, 4)
    check("crop_images", X, top_cropping=1, left_cropping=0, target_height=3, target_width=9)
    check("crop_images", X[0], bottom_cropping=1, right_cropping=2, target_height=2, target_width=1)


def test_rgb_to_grayscale():
    check("rgb_to_grayscale", X)
    check("rgb_to_grayscale", BYTES, atol=1)
    check("rgb_to_grayscale", np.transpose(X, (0, 3, 1, 2)), data_format="channels_first")


@pytest.mark.parametrize(
    "options",
    [
        {"size": 3},
        {"size": (2, 3), "strides": 2},
        {"size": 3, "strides": (2, 1), "padding": "same"},
        {"size": 2, "strides": 1, "dilation_rate": 2},
        {"size": 3, "strides": 1, "dilation_rate": 2, "padding": "same"},
        {"size": (4, 2), "padding": "same"},
    ],
)
def test_extract_patches(options):
    check("extract_patches", X, **options)
    check("extract_patches", X[0], **options)


def test_hsv():
    x = rng.random((2, 5, 6, 3)).astype("float32")
    x[0, 0, :3] = [[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.2]]
    check("rgb_to_hsv", x)
    check("hsv_to_rgb", x)
    np.testing.assert_allclose(np.asarray(ops.image.hsv_to_rgb(ops.image.rgb_to_hsv(x))), x, atol=1e-6)
