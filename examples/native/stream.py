"""Trains an LSTM to distort a signal as an amplifier does, and writes it for stream.cc: python stream.py [FOLDER]."""

import sys
from pathlib import Path

import numpy as np

import kcore as keras

BLOCK = 64  # samples that the sound card hands over at once

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
keras.utils.set_random_seed(0)


def make_model(batch, steps, stateful):
    x = keras.Input((steps, 1), batch_size=batch, name="block")
    y = keras.layers.LSTM(24, return_sequences=True, stateful=stateful, name="lstm")(x)
    return keras.Model(x, keras.layers.Dense(1, name="out")(y) + x)


rng = np.random.default_rng(0)
time = np.arange(256) / 48000
x = np.stack([rng.uniform(0.1, 1) * np.sin(2 * np.pi * rng.uniform(50, 2000) * time) for _ in range(256)])
x = x[..., None].astype("float32")
y = np.tanh(3 * x + 0.5 * np.roll(x, 1, axis=1)).astype("float32")
learner = make_model(None, 256, stateful=False)
learner.compile(keras.optimizers.Adam(0.01), "mse")
history = learner.fit(x, y, epochs=3, batch_size=32, verbose=0)
print("loss", [round(loss, 4) for loss in history.history["loss"]])

player = make_model(1, BLOCK, stateful=True)  # goes on from block to block
player.set_weights(learner.get_weights())
player.export(folder / "stream.kcore")
