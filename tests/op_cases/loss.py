"""Cross-entropies against their formulas in float64."""

import numpy as np

from .case import Case, integers, normal, rng
from .softmax import log_softmax, softmax

_log = "a logarithm of 3 ULP, after a softmax or a division"
EPSILON = {"epsilon": 1e-7}


def one_hot(labels, x):
    return np.eye(x.shape[-1])[labels.astype(int)]


def softmax_cross_entropy(x, target):
    return -(target * log_softmax(x)).sum(-1)


def softmax_cross_entropy_grad(dy, x, target):
    return dy[..., None] * (softmax(x) * target.sum(-1, keepdims=True) - target)


def cross_entropy(p, target, epsilon):
    q = np.clip(p / p.sum(-1, keepdims=True), epsilon, 1 - epsilon)
    return -(target * np.log(q)).sum(-1)


def cross_entropy_grad(dy, p, target, epsilon):
    total = p.sum(-1, keepdims=True)
    q = p / total
    slope = np.where((q >= epsilon) & (q <= 1 - epsilon), -target / np.where(q > 0, q, 1), 0.0)
    return dy[..., None] * (slope - (slope * q).sum(-1, keepdims=True)) / total


def sigmoid_cross_entropy(x, target):
    return np.logaddexp(0, x) - x * target


def sigmoid_cross_entropy_grad(dy, x, target):
    return dy * (1 / (1 + np.exp(-x)) - target)


def binary_cross_entropy(p, target, epsilon):
    q = np.clip(p, epsilon, 1 - epsilon)
    return -(target * np.log(q) + (1 - target) * np.log(1 - q))


def binary_cross_entropy_grad(dy, p, target, epsilon):
    inside = (p >= epsilon) & (p <= 1 - epsilon)
    q = np.where(inside, p, 0.5)
    return np.where(inside, dy * ((1 - target) / (1 - q) - target / q), 0.0)


def sparse(function, labels_at):
    """The oracle of integer labels: that of their one-hot vectors."""

    def oracle(*inputs, **attrs):
        inputs = list(inputs)
        inputs[labels_at] = one_hot(inputs[labels_at], inputs[labels_at - 1])
        return function(*inputs, **attrs)

    return oracle


def probabilities(*shape):
    return rng("probabilities", shape).uniform(0.3, 0.8, size=shape)


CASES = []
for shape in ((6, 5), (2, 3, 4), (3, 150), (7,), (5, 1), (70, 24), (130, 10)):
    x, p, dy = normal(*shape) * 3, probabilities(*shape), normal(*shape[:-1], key="dy")
    t = softmax(normal(*shape, key="target"))
    labels = integers(0, shape[-1], *shape[:-1])
    CASES += [
        Case("softmax_cross_entropy", [x, t], softmax_cross_entropy, ulps=8, why=_log),
        Case("softmax_cross_entropy_grad", [dy, x, t], softmax_cross_entropy_grad, ulps=8, why=_log),
        Case("sparse_softmax_cross_entropy", [x, labels], sparse(softmax_cross_entropy, 1), ulps=8, why=_log),
        Case(
            "sparse_softmax_cross_entropy_grad",
            [dy, x, labels],
            sparse(softmax_cross_entropy_grad, 2),
            ulps=8,
            why=_log,
        ),
    ]
    if shape[-1] == 1:
        continue  # a single probability is always 1, where clipping has a kink
    CASES += [
        Case("cross_entropy", [p, t], cross_entropy, attrs=EPSILON, ulps=8, why=_log),
        Case("cross_entropy_grad", [dy, p, t], cross_entropy_grad, attrs=EPSILON, ulps=8, why=_log),
        Case("sparse_cross_entropy", [p, labels], sparse(cross_entropy, 1), attrs=EPSILON, ulps=8, why=_log),
        Case(
            "sparse_cross_entropy_grad", [dy, p, labels], sparse(cross_entropy_grad, 2), attrs=EPSILON, ulps=8, why=_log
        ),
    ]
for shape in ((9,), (3, 70)):
    x, p, t, dy = normal(*shape) * 4, probabilities(*shape), rng("t", shape).random(shape), normal(*shape, key="dy")
    CASES += [
        Case("sigmoid_cross_entropy", [x, t], sigmoid_cross_entropy, ulps=8, why=_log),
        Case("sigmoid_cross_entropy_grad", [dy, x, t], sigmoid_cross_entropy_grad, ulps=8, why=_log),
        Case("binary_cross_entropy", [p, t], binary_cross_entropy, attrs=EPSILON, ulps=8, why=_log),
        Case("binary_cross_entropy_grad", [dy, p, t], binary_cross_entropy_grad, attrs=EPSILON, ulps=8, why=_log),
    ]

# Probabilities of exactly 0 and 1 are clipped; logits far out do not overflow; labels of other dtypes.
CORNERS, ONE_HOT = np.array([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0]]), np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
FAR = np.array([[1e4, 0.0, -1e4], [-200.0, 0.0, 200.0]])
UPSTREAM, FLOATS, BYTES = np.array([1.0, -2.0]), np.array([0.0, 2.0]), np.array([2, 1], "uint8")
_clipped = {"attrs": EPSILON, "grad": False, "name": "clipped"}
_far = {"grad": False, "name": "far"}
CASES += [
    Case("cross_entropy", [CORNERS, ONE_HOT], cross_entropy, **_clipped),
    Case("cross_entropy_grad", [UPSTREAM, CORNERS, ONE_HOT], cross_entropy_grad, **_clipped),
    Case("sparse_cross_entropy", [CORNERS, np.array([0, 2])], sparse(cross_entropy, 1), **_clipped),
    Case("sparse_cross_entropy_grad", [UPSTREAM, CORNERS, np.array([0, 1])], sparse(cross_entropy_grad, 2), **_clipped),
    Case("binary_cross_entropy", [CORNERS, ONE_HOT], binary_cross_entropy, ulps=2e6, why="1 - 1e-7 rounds", **_clipped),
    Case("binary_cross_entropy_grad", [CORNERS + 1, CORNERS, ONE_HOT], binary_cross_entropy_grad, **_clipped),
    Case("softmax_cross_entropy", [FAR, ONE_HOT], softmax_cross_entropy, **_far),
    Case("sparse_softmax_cross_entropy", [FAR, FLOATS], sparse(softmax_cross_entropy, 1), **_far),
    Case("sparse_softmax_cross_entropy", [FAR, BYTES], sparse(softmax_cross_entropy, 1), grad=False, name="uint8"),
    Case("sigmoid_cross_entropy", [FAR, CORNERS], sigmoid_cross_entropy, **_far),
]
MANY = normal(700, 20)
CASES.append(
    Case("softmax_cross_entropy", [MANY, softmax(MANY * 2)], softmax_cross_entropy, ulps=8, grad=False, name="blocks")
)
