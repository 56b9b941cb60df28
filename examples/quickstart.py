"""Trains a classifier on iris and a small CNN on digits, saves them, and shows that they come back the same.

python examples/quickstart.py [folder for the results]
"""

import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import train_test_split

import kcore as keras
from kcore import layers


def iris_model() -> keras.Model:
    inputs = keras.Input((4,))
    x = layers.Normalization()(inputs)
    x = layers.Dense(16, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x), name="iris")


def digits_model() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Rescaling(1 / 16),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )


def train(model: keras.Model, x: np.ndarray, y: np.ndarray, epochs: int, folder: Path) -> list[str]:
    """Fits, evaluates on a held-out quarter, saves, reloads; returns a row of the table."""
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
    for layer in model.layers:
        if isinstance(layer, layers.Normalization):
            layer.adapt(x_train)
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.summary()
    start = time.perf_counter()
    history = model.fit(x_train, y_train, epochs=epochs, batch_size=32, validation_split=0.2, verbose=2)
    seconds = time.perf_counter() - start
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)

    history.plot(folder / f"{model.name}_curves.png")
    predictions = model.predict(x_test, verbose=0)
    same = []
    for name in (f"{model.name}.keras", f"{model.name}.h5"):
        model.save(folder / name)
        again = keras.models.load_model(folder / name).predict(x_test, verbose=0)
        same.append("same" if np.array_equal(again, predictions) else "DIFFERENT")
    return [model.name, str(len(x_train)), f"{seconds:.1f} s", f"{loss:.3f}", f"{accuracy:.1%}", *same]


def main() -> None:
    keras.utils.set_random_seed(0)
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "quickstart_results")
    folder.mkdir(parents=True, exist_ok=True)
    iris, digits = load_iris(), load_digits()
    table = Table(
        "model",
        "rows",
        "fit",
        "test loss",
        "test accuracy",
        "reloaded .keras",
        "reloaded .h5",
        title="kcore quickstart",
    )
    table.add_row(*train(iris_model(), iris.data.astype("float32"), iris.target, 60, folder))
    table.add_row(*train(digits_model(), digits.images[..., None].astype("float32"), digits.target, 15, folder))
    Console().print(table)
    print(f"Curves and models are in {folder.resolve()}")


if __name__ == "__main__":
    main()
