"""Transfer learning: a network trained on the digits 0-4 learns 5-9 from a hundred images."""

import numpy as np
from sklearn.datasets import load_digits

import kcore as keras
from kcore import layers


def main() -> None:
    keras.utils.set_random_seed(4)
    digits = load_digits()
    x, y = digits.images[..., None].astype("float32") / 16, digits.target
    low, high = y < 5, y >= 5

    base = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Flatten(),
        ],
        name="base",
    )
    first = keras.Sequential([base, layers.Dense(5, activation="softmax")])
    first.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    first.fit(x[low], y[low], epochs=8, verbose=0)
    print(f"0-4, trained on all: {first.evaluate(x[low], y[low], verbose=0)[1]:.1%}")

    # A new head on the frozen base.
    few = np.random.default_rng(0).permutation(np.flatnonzero(high))[:100]
    rest = np.setdiff1d(np.flatnonzero(high), few)
    base.trainable = False
    inputs = keras.Input((8, 8, 1))
    second = keras.Model(inputs, layers.Dense(5, activation="softmax")(base(inputs, training=False)))
    second.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    print(f"trainable arrays while frozen: {len(second.trainable_variables)} of {len(second.weights)}")
    second.fit(x[few], y[few] - 5, epochs=40, verbose=0)
    print(f"5-9 from 100 images, new head: {second.evaluate(x[rest], y[rest] - 5, verbose=0)[1]:.1%}")

    # Everything, with small steps. What is trainable is read by compile.
    base.trainable = True
    second.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy", metrics=["accuracy"])
    second.fit(x[few], y[few] - 5, epochs=20, verbose=0)
    print(f"5-9 from 100 images, fine-tuned: {second.evaluate(x[rest], y[rest] - 5, verbose=0)[1]:.1%}")


if __name__ == "__main__":
    main()
