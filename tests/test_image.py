"""Images: gradients of resampling as adjoints, and what bad arguments get."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore.ops import image

X = np.random.default_rng(0).normal(size=(2, 5, 6, 3))
TRANSFORMS = np.array([[0.8, 0.3, -1.4, -0.2, 1.1, 0.7, 0.01, 0.02], [1.3, 0.1, 0.2, 0.4, -0.6, 4.1, 0, 0]])


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("fill_mode", ["constant", "nearest", "reflect", "mirror", "wrap"])
def test_affine_gradient_is_the_adjoint(interpolation, fill_mode):
    # The transform is linear in the images: <A x, w> = <x, A' w> for every x and w.
    x = kcore.ops.convert_to_tensor(X)
    w = np.random.default_rng(1).normal(size=X.shape)
    with kcore.GradientTape() as outer:
        outer.watch(x)
        with kcore.GradientTape() as tape:
            tape.watch(x)
            y = image.affine_transform(x, TRANSFORMS, interpolation=interpolation, fill_mode=fill_mode)
            total = kcore.ops.sum(y * w)
        dx = tape.gradient(total, x)
    np.testing.assert_allclose(float(total), (np.asarray(dx) * X).sum(), rtol=1e-12)
    assert outer.gradient(dx, x) is None  # linear: no second gradient


def test_second_gradient_through_the_adjoint():
    w = kcore.ops.convert_to_tensor(X)
    with kcore.GradientTape() as outer:
        outer.watch(w)
        x = kcore.ops.convert_to_tensor(np.zeros_like(X))
        with kcore.GradientTape() as tape:
            tape.watch(x)
            y = kcore.ops.sum(image.affine_transform(x, TRANSFORMS, fill_mode="wrap") * w)
        dx = tape.gradient(y, x)
        z = kcore.ops.sum(dx * X)
    # d <A' w, x> / d w = A x
    want = np.asarray(image.affine_transform(X, TRANSFORMS, fill_mode="wrap"))
    np.testing.assert_allclose(np.asarray(outer.gradient(z, w)), want, rtol=1e-12, atol=1e-12)


def test_a_pixel_far_away_or_nan_is_harmless():
    t = np.array([[np.nan, 0, 0, 0, 1, 0, 0, 0], [1e30, 0, 0, 0, -1e30, 0, 0, 0]])
    for mode in ("constant", "nearest", "reflect", "mirror", "wrap"):
        assert image.affine_transform(X, t, fill_mode=mode).shape == X.shape


def test_pixels_without_weight_do_not_show():
    x = np.zeros((1, 4, 4, 3), np.float32)
    x[0, 1, 1] = np.nan
    for interpolation in ("nearest", "bilinear", "bicubic"):
        y = np.asarray(image.resize(x, (4, 4), interpolation=interpolation))  # every output is one pixel
        assert np.isnan(y[0, 1, 1]).all() and np.isnan(y).sum() == 3, interpolation


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: image.resize(X[0, 0], (2, 2)),
            r"\[resize\] expected images of 3 or 4 dimensions, received shape \(6, 3\)",
        ),
        (lambda: image.resize(X, (2, 0)), r"\[resize\] expected a positive height and width"),
        (lambda: image.resize(X, 2), r"\[resize\] expected size \(height, width\), received 2"),
        (
            lambda: image.resize(X, (2, 2), interpolation="area"),
            r"\[resize\] expected interpolation nearest, .*\"area\"",
        ),
        (
            lambda: image.resize(X, (2, 2), crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
            r"\[resize\] expected at most one of",
        ),
        (
            lambda: image.affine_transform(X, TRANSFORMS[:1]),
            r"\[affine_transform\] expected transforms of shape \(2, 8\)",
        ),
        (lambda: image.affine_transform(X, TRANSFORMS, fill_mode="edge"), r"expected fill_mode constant, .*\"edge\""),
        (lambda: image.affine_transform(X, TRANSFORMS, "bicubic"), r"expected interpolation nearest or bilinear"),
        (lambda: image.pad_images(X, 1, 1), r"\[pad_images\] expected two of the margins and target_height"),
        (lambda: image.crop_images(X, 3, 0, 3, 0), r"\[crop_images\] expected margins that fit a height of 5"),
        (lambda: image.rgb_to_grayscale(X[..., :2]), r"\[rgb_to_grayscale\] expected 3 channels, received 2"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
