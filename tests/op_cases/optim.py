"""Optimizer updates against the formulas of the papers as Keras applies them, in float64."""

import numpy as np

from .case import Case, normal, positive

# 1 - beta^step is taken in the weight's precision, as in Keras: at step 30, 1 - 0.999^30 = 0.03 is off by 16 units.
CORRECTION = "1 - beta^step loses digits in the weight's precision"


def empty(x, new):
    return np.zeros(0) if x is None else new


def sgd(w, g, m, lr, momentum=0.0, nesterov=False):
    if m is None:
        return w - lr * g, np.zeros(0)
    m = momentum * m - lr * g
    return (w + momentum * m - lr * g if nesterov else w + m), m


def rmsprop(w, g, v, average, m, lr, rho=0.9, momentum=0.0, epsilon=1e-7):
    v = rho * v + (1 - rho) * g**2
    mean = None if average is None else rho * average + (1 - rho) * g
    step = lr * g / np.sqrt(v - (0 if mean is None else mean**2) + epsilon)
    step = step if m is None else momentum * m + step
    return w - step, v, empty(average, mean), empty(m, step)


def adagrad(w, g, a, lr, epsilon=1e-7):
    return w - lr * g / np.sqrt(a + g**2 + epsilon), a + g**2


def adadelta(w, g, a, d, lr, rho=0.95, epsilon=1e-7):
    a = rho * a + (1 - rho) * g**2
    delta = -np.sqrt(d + epsilon) / np.sqrt(a + epsilon) * g
    return w + lr * delta, a, rho * d + (1 - rho) * delta**2


def adam(w, g, m, v, v_hat, lr, step, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
    largest = v if v_hat is None else np.maximum(v, v_hat)
    alpha = lr * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    return w - alpha * m / (np.sqrt(largest) + epsilon), m, v, empty(v_hat, largest)


def adamax(w, g, m, u, lr, step, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, u = beta_1 * m + (1 - beta_1) * g, np.maximum(beta_2 * u, np.abs(g))
    return w - lr / (1 - beta_1**step) * m / (u + epsilon), m, u


def nadam(w, g, m, v, lr, step, u_product, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    u, u_next = (beta_1 * (1 - 0.5 * 0.96**t) for t in (step, step + 1))
    m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
    m_hat = u_next * m / (1 - u_product * u_next) + (1 - u) * g / (1 - u_product)
    return w - lr * m_hat / (np.sqrt(v / (1 - beta_2**step)) + epsilon), m, v


def lion(w, g, m, lr, beta_1=0.9, beta_2=0.99):
    return w - lr * np.sign(beta_1 * m + (1 - beta_1) * g), beta_2 * m + (1 - beta_2) * g


def ftrl(w, g, a, z, lr, learning_rate_power=-0.5, l1=0.0, l2=0.0, l2_shrinkage=0.0, beta=0.0):
    new = a + g**2
    sigma = (new**-learning_rate_power - a**-learning_rate_power) / lr
    z = z + g + 2 * l2_shrinkage * w - sigma * w
    quadratic = new**-learning_rate_power / lr + 2 * (l2 + beta / (2 * lr))
    return (np.clip(z, -l1, l1) - z) / quadratic, new, z


W, G = normal(7, 9), normal(7, 9, key="g")
A, B, C = positive(7, 9), positive(7, 9, key=1), positive(7, 9, key=2) * 3
RATE, STEP = np.asarray(0.05), np.asarray(30, "int32")


def case(op, inputs, oracle, attrs=None, **options):
    return Case(op, inputs, oracle, attrs or {}, grad=False, **{"ulps": 8, **options})


CASES = [
    case("sgd", [W, G, None, RATE], sgd),
    case("sgd", [W, G, A, RATE], sgd, {"momentum": 0.9}, name="momentum"),
    case("sgd", [W, G, A, RATE], sgd, {"momentum": 0.9, "nesterov": True}, name="nesterov"),
    case("rmsprop", [W, G, A, None, None, RATE], rmsprop),
    case(
        "rmsprop", [W, G, 9 * A, B, C, RATE], rmsprop, {"rho": 0.8, "momentum": 0.5, "epsilon": 1e-3}, name="centered"
    ),
    case("rmsprop", [W, G, A, None, C, RATE], rmsprop, {"momentum": 0.5}, name="momentum"),
    case("adagrad", [W, G, A, RATE], adagrad, {"epsilon": 1e-3}),
    case("adadelta", [W, G, A, B, RATE], adadelta, {"rho": 0.8, "epsilon": 1e-3}),
    case("adam", [W, G, A, B, None, RATE, STEP], adam, ulps=32, why=CORRECTION),
    case("adam", [W, G, A, B, C, RATE, STEP], adam, {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}, name="amsgrad"),
    case("adamax", [W, G, A, B, RATE, STEP], adamax, {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}),
    case("nadam", [W, G, A, B, RATE, STEP, np.asarray(0.3)], nadam, ulps=32, why=CORRECTION),
    case("lion", [W, G, normal(7, 9, key=3), RATE], lion, {"beta_1": 0.8, "beta_2": 0.9}),
    case("ftrl", [W, G, A, normal(7, 9, key=3), RATE], ftrl, ulps=32, why="differences of powers, divided by the rate"),
    case(
        "ftrl",
        [W, G, A, 9 * normal(7, 9, key=3), RATE],
        ftrl,
        {"learning_rate_power": -0.7, "l1": 0.5, "l2": 0.1, "l2_shrinkage": 0.2, "beta": 0.3},
        ulps=32,
        why="differences of powers, divided by the rate",
        name="regularized",
    ),
]
