"""Callbacks: stop early, keep the best model, change the learning rate, log to CSV, and one of one's own."""

import csv
import tempfile
from pathlib import Path

from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

import kcore as keras
from kcore import layers


class WeightNorm(keras.callbacks.Callback):
    """Remembers how large the first kernel is after each epoch."""

    def on_train_begin(self, logs=None):
        self.norms = []

    def on_epoch_end(self, epoch, logs=None):
        kernel = self.model.layers[-1].kernel
        self.norms.append(float(keras.ops.sqrt(keras.ops.sum(keras.ops.square(kernel)))))


def main() -> None:
    keras.utils.set_random_seed(5)
    wine = load_wine()
    x_train, x_test, y_train, y_test = train_test_split(
        wine.data.astype("float32"), wine.target, test_size=0.3, random_state=0, stratify=wine.target
    )
    scale = layers.Normalization()
    scale.adapt(x_train)
    model = keras.Sequential([keras.Input((13,)), scale, layers.Dense(16, "relu"), layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])

    with tempfile.TemporaryDirectory() as name:
        folder, norms = Path(name), WeightNorm()
        history = model.fit(
            x_train,
            y_train,
            epochs=60,
            batch_size=16,
            validation_data=(x_test, y_test),
            verbose=0,
            callbacks=[
                keras.callbacks.EarlyStopping(patience=8, restore_best_weights=True),
                keras.callbacks.ModelCheckpoint(folder / "best.keras", save_best_only=True),
                keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=3),
                keras.callbacks.CSVLogger(folder / "log.csv"),
                keras.callbacks.LambdaCallback(on_train_end=lambda logs: print("training has ended")),
                norms,
            ],
        )
        epochs = len(history.history["loss"])
        print(f"stopped after {epochs} epochs; learning rate {model.optimizer.learning_rate.numpy():.4f}")
        print(f"norm of the last kernel: {norms.norms[0]:.2f} to {norms.norms[-1]:.2f}")
        with open(folder / "log.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        print(f"the log has {len(rows)} rows of {', '.join(rows[0])}")
        best = keras.models.load_model(folder / "best.keras")
        print(f"best model, test accuracy: {best.evaluate(x_test, y_test, verbose=0)[1]:.1%}")


if __name__ == "__main__":
    main()
