"""Trains a small network on handwritten digits, and writes what digits.cc and train.cc read.

python digits.py [FOLDER]: digits.kcore (the trained model), train.kcore (the training step of an untrained one),
train.bin and test.bin (images and labels). python digits.py FOLDER --check: how good the weights are that train saved.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import kcore as keras

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
data = load_digits()
x, y = (data.images.reshape(-1, 64) / 16).astype("float32"), data.target.astype("int32")
parts = {"train": (x[:1500], y[:1500]), "test": (x[1500:], y[1500:])}


def make_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((64,), name="image"),
            keras.layers.Dense(64, "relu", name="hidden"),
            keras.layers.Dense(10, name="scores"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003), loss, metrics=["accuracy"])
    return model


model = make_model()
if "--check" in sys.argv:
    keras.export.load_weights(model, folder / "trained.safetensors")
    loss, accuracy = model.evaluate(*parts["test"], verbose=0)
    print(f"weights trained in C++, evaluated in Python: loss {loss:.3f}, accuracy {accuracy:.3f}")
    assert accuracy > 0.85
    sys.exit()

for name, (images, labels) in parts.items():
    with open(folder / f"{name}.bin", "wb") as file:
        file.write(np.int32(len(labels)).tobytes() + images.tobytes() + labels.tobytes())
images, labels = parts["train"]
keras.export.training_program(model, folder / "train.kcore", images[:50], labels[:50])
model.fit(*parts["train"], epochs=20, batch_size=50, verbose=0)
print("accuracy in Python:", round(model.evaluate(*parts["test"], verbose=0)[1], 3))
model.export(folder / "digits.kcore")
