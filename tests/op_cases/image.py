"""Resampling of images against plain loops over pixels in float64."""

import numpy as np

from .case import Case, normal

SAMPLES = "a weighted sum of a few pixels whose coordinates are rounded"


def resolve(i, n, mode):
    """The pixel that stands for index i: from the endless pattern of the mode, written out; None for the fill value."""
    if 0 <= i < n:
        return i
    pattern = {"wrap": range(n), "reflect": [*range(n), *range(n)[::-1]], "mirror": [*range(n), *range(n)[-2:0:-1]]}
    if mode in pattern:
        return pattern[mode][i % len(pattern[mode])]
    return {"nearest": min(max(i, 0), n - 1), "constant": None}[mode]


def samples(transform, height, width, interpolation, fill_mode):
    """(row, column, pixel or None, weight) of each contribution to the output."""
    a0, a1, a2, b0, b1, b2, c0, c1 = transform
    for row in range(height):
        for column in range(width):
            k = c0 * column + c1 * row + 1
            x, y = (a0 * column + a1 * row + a2) / k, (b0 * column + b1 * row + b2) / k
            if interpolation == "nearest":
                corners = [(*(np.copysign(np.floor(abs(v) + 0.5), v) for v in (y, x)), 1.0)]  # halves away from zero
            else:
                fy, fx = y - np.floor(y), x - np.floor(x)
                corners = [
                    (np.floor(y) + dy, np.floor(x) + dx, (fy if dy else 1 - fy) * (fx if dx else 1 - fx))
                    for dy in (0, 1)
                    for dx in (0, 1)
                ]
            for r, c, weight in corners:
                pixel = resolve(int(r), height, fill_mode), resolve(int(c), width, fill_mode)
                yield row, column, None if None in pixel else pixel, weight


def affine_transform(images, transforms, interpolation="bilinear", fill_mode="constant", fill_value=0.0):
    y = np.zeros_like(images)
    for n, transform in enumerate(transforms):
        for row, column, pixel, weight in samples(transform, *images.shape[1:3], interpolation, fill_mode):
            y[n, row, column] += weight * (fill_value if pixel is None else images[(n, *pixel)])
    return y


def affine_transform_grad(dy, transforms, interpolation="bilinear", fill_mode="constant"):
    dx = np.zeros_like(dy)
    for n, transform in enumerate(transforms):
        for row, column, pixel, weight in samples(transform, *dy.shape[1:3], interpolation, fill_mode):
            if pixel is not None:
                dx[(n, *pixel)] += weight * dy[n, row, column]
    return dx


def kernel(x, interpolation):
    x = abs(x)
    if interpolation == "bilinear":
        return max(0.0, 1 - x)
    if interpolation == "bicubic":
        if x < 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0
    radius = int(interpolation[-1])
    return np.sinc(x) * np.sinc(x / radius) if x < radius else 0.0


def resize_matrix(size_in, size_out, interpolation, antialias):
    """The linear map of an axis, (size_out, size_in)."""
    m = np.zeros((size_out, size_in))
    scale = size_in / size_out
    for j in range(size_out):
        if interpolation == "nearest":
            m[j, int(np.floor((j + 0.5) * scale))] = 1
            continue
        stretch = max(1.0, scale) if antialias else 1.0
        for i in range(size_in):
            m[j, i] = kernel((i - ((j + 0.5) * scale - 0.5)) / stretch, interpolation)
        m[j] /= m[j].sum()
    return m


def resize(images, height, width, interpolation="bilinear", antialias=False):
    rows = resize_matrix(images.shape[1], height, interpolation, antialias)
    columns = resize_matrix(images.shape[2], width, interpolation, antialias)
    return np.einsum("ih,jw,nhwc->nijc", rows, columns, images)


def resize_grad(dy, height, width, interpolation="bilinear", antialias=False):
    rows = resize_matrix(height, dy.shape[1], interpolation, antialias)
    columns = resize_matrix(width, dy.shape[2], interpolation, antialias)
    return np.einsum("ih,jw,nijc->nhwc", rows, columns, dy)


X = normal(2, 5, 6, 3)
# Powers of two and quarters: coordinates are exact in float32, so that no pixel is chosen otherwise.
TRANSFORMS = np.array([[0.75, 0.25, -1.5, -0.25, 1.25, 2.25, 0, 0], [1.5, 0, -2.75, 0.5, -0.5, 4.25, 0, 0]])
PROJECTIVE = np.array([[1, 0.25, 0.125, 0, 1, 0.5, 0.03125, 0], [1, 0, 0, 0, 1, 0, 0, 0.0625]])


def affine(name, **attrs):
    # Its other float input, the transforms, has no gradient: see the gradient op's rows and test_image.py.
    return Case(
        "affine_transform", [X, TRANSFORMS], affine_transform, attrs, ulps=16, why=SAMPLES, grad=False, name=name
    )


def resizes(op, oracle, height, width, **attrs):
    attrs = {"height": height, "width": width, **attrs}
    name = "-".join(str(v) for v in attrs.values())
    return Case(op, [X], oracle, attrs, ulps=16, why=SAMPLES, name=name)


CASES = [
    affine("constant", fill_value=1.5),
    *(affine(mode, fill_mode=mode) for mode in ("nearest", "reflect", "mirror", "wrap")),
    *(affine(f"{mode}-nearest", interpolation="nearest", fill_mode=mode) for mode in ("constant", "reflect", "wrap")),
    Case(
        "affine_transform",
        [X, PROJECTIVE],
        affine_transform,
        {"fill_mode": "nearest"},
        ulps=256,
        grad=False,
        why="a division moves coordinates by a rounding, and pixels differ by several units",
        name="projective",
    ),
    *(
        Case(
            "affine_transform_grad",
            [X, TRANSFORMS],
            affine_transform_grad,
            {"fill_mode": mode},
            ulps=16,
            why=SAMPLES,
            grad=False,
            name=mode,
        )
        for mode in ("constant", "reflect", "wrap")
    ),
    *(
        resizes("resize", resize, 7, 9, interpolation=i)
        for i in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
    ),
    *(resizes("resize", resize, 2, 4, interpolation=i, antialias=True) for i in ("bilinear", "bicubic", "lanczos3")),
    resizes("resize", resize, 10, 12, interpolation="nearest"),
    resizes("resize", resize, 2, 4, interpolation="bilinear"),
    # Single channels, and channels that fill vectors in part, once, and more than once.
    *(
        Case(
            op, [normal(2, 4, 5, channels)], oracle, {"height": 6, "width": 7}, ulps=16, why=SAMPLES, name=f"{channels}"
        )
        for op, oracle in (("resize", resize), ("resize_grad", resize_grad))
        for channels in (1, 2, 5, 9, 13, 33, 80)
    ),
    # Rows of more elements than are combined at a time.
    *(
        Case(op, [normal(1, 2, 60, 80)], oracle, {"height": 3, "width": 61}, ulps=16, why=SAMPLES, name="blocks")
        for op, oracle in (("resize", resize), ("resize_grad", resize_grad))
    ),
    # Rows of more outputs than are placed at a time.
    *(
        Case(
            op,
            [normal(1, 3, 70, channels), TRANSFORMS[:1]],
            oracle,
            {"fill_mode": "mirror"},
            ulps=16,
            why=SAMPLES,
            grad=False,
            name=f"{channels}",
        )
        for op, oracle in (("affine_transform", affine_transform), ("affine_transform_grad", affine_transform_grad))
        for channels in (1, 4, 21)
    ),
    resizes("resize_grad", resize_grad, 3, 4, interpolation="nearest"),
    resizes("resize_grad", resize_grad, 9, 4, interpolation="bilinear", antialias=True),
]
