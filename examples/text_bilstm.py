"""A bidirectional LSTM that reads characters: is a line of Python's standard library code or prose?

The data is the library itself: lines of its modules, and lines of its docstrings.
"""

import ast
import itertools

import numpy as np

import kcore as keras
from kcore import layers

LENGTH = 48  # characters of a line that are read
NAMES = """argparse ast collections configparser csv dataclasses datetime difflib doctest enum fractions functools
gettext heapq inspect ipaddress mailbox pathlib pickle random"""


def lines_of(module: str) -> tuple[list[str], list[str]]:
    """The code lines and the docstring lines of a module of the standard library."""
    with open(__import__(module).__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    prose, documented = [], (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and (text := ast.get_docstring(node)):
            prose += text.splitlines()
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree).splitlines(), prose


def dataset() -> tuple[np.ndarray, np.ndarray]:
    """Character codes (lines, LENGTH), 0 where a line is shorter; 1 for prose and 0 for code."""
    code, prose = (itertools.chain.from_iterable(lines) for lines in zip(*map(lines_of, NAMES.split())))
    texts = [[line.strip() for line in lines if len(line.strip()) >= 12] for lines in (code, prose)]
    count = min(map(len, texts), default=0)
    generator = np.random.default_rng(0)
    picked = [generator.permutation(np.array(lines, dtype=object))[: min(count, 2000)] for lines in texts]
    codes = [[min(ord(c), 127) for c in line] for lines in picked for line in lines]
    x = keras.utils.pad_sequences(codes, maxlen=LENGTH, padding="post", truncating="post")
    y = np.repeat([0, 1], [len(lines) for lines in picked]).astype("float32")
    order = generator.permutation(len(x))
    return x[order], y[order]


def main() -> None:
    keras.utils.set_random_seed(2)
    x, y = dataset()
    cut = len(x) * 4 // 5
    model = keras.Sequential(
        [
            layers.Embedding(128, 16, mask_zero=True),
            layers.Bidirectional(layers.LSTM(24)),
            layers.Dropout(0.2),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy", keras.metrics.AUC(name="auc")])
    model.fit(x[:cut], y[:cut], epochs=5, batch_size=64, validation_split=0.1, verbose=2)
    loss, accuracy, auc = model.evaluate(x[cut:], y[cut:], verbose=0)
    print(f"held out: loss {loss:.3f}, accuracy {accuracy:.1%}, area under the ROC curve {auc:.3f}")
    for line in ("for i in range(len(values)):", "Return the number of items in the queue."):
        codes = keras.utils.pad_sequences([[ord(c) for c in line]], maxlen=LENGTH, padding="post")
        print(f"{model.predict(codes, verbose=0)[0, 0]:.2f} prose: {line}")


if __name__ == "__main__":
    main()
