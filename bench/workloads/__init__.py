"""Models that train.py trains: what they are made of and fed with, the same for every opponent.

`build(name, keras)` makes a model with Keras's API, out of kcore or of Keras; torch_models.py has the same ones for PyTorch,
which take their initial weights from it by the names of the layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Workload:
    """A model and its batch.

    inputs: shape of a sample; of token numbers if `vocabulary` is set. classes: how many classes a target is one of.
    outputs_per_step: whether there is a target for each step of the sample. tolerance: how far losses of two opponents may
    be apart after equal steps, relative.
    """

    title: str
    batch: int
    inputs: tuple[int, ...]
    classes: int
    vocabulary: int | None = None
    outputs_per_step: bool = False
    width: int = 0  # channels of the first stage, units or dimensions
    dropout: float = 0.0
    tolerance: float = 0.01

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """x (batch, ...) and y (batch,) or (batch, steps), the same in every process."""
        rng = np.random.default_rng(0)
        shape = (self.batch, *self.inputs)
        if self.vocabulary:
            x = rng.integers(0, self.vocabulary, shape).astype("int32")
        else:
            x = rng.normal(size=shape).astype("float32")
        y = rng.integers(0, self.classes, shape if self.outputs_per_step else self.batch).astype("int32")
        return x, y


# Rounding differs, and Adam's first steps divide gradients by their own size: how far losses drift apart depends on
# the depth.
WORKLOADS = {
    "mlp": Workload("784-512-512-10", 128, (784,), 10, width=512),
    "convnet": Workload("28x28x1, keras.io mnist_convnet", 128, (28, 28, 1), 10, width=32, dropout=0.5),
    "resnet20": Workload("32x32x3", 64, (32, 32, 3), 10, width=16, tolerance=0.1),
    "resnet50": Workload("224x224x3", 8, (224, 224, 3), 1000, width=64, tolerance=0.2),
    "bilstm": Workload("2 x BiLSTM(64), 200 steps of 20000 words", 32, (200,), 2, vocabulary=20000, width=64),
    "minigpt": Workload(
        "2 blocks, d=256, 4 heads, 128 of 5000 words", 16, (128,), 5000, 5000, outputs_per_step=True, width=256
    ),
}
# The same code in a second, for tests.
QUICK = {
    "mlp": replace(WORKLOADS["mlp"], title="784-16-16-10", batch=8, width=16),
    "convnet": replace(WORKLOADS["convnet"], batch=4, width=4),
    "resnet20": replace(WORKLOADS["resnet20"], batch=2, width=4),
    "resnet50": replace(WORKLOADS["resnet50"], title="32x32x3", batch=2, inputs=(32, 32, 3), classes=10, width=4),
    "bilstm": replace(WORKLOADS["bilstm"], title="10 steps", batch=2, inputs=(10,), vocabulary=50, width=4),
    "minigpt": replace(
        WORKLOADS["minigpt"], title="8 steps", batch=2, inputs=(8,), classes=30, vocabulary=30, width=16
    ),
}


def build(name: str, work: Workload, keras: Any) -> Any:
    """The model, not compiled. keras: kcore, or the package keras."""
    x = keras.Input(work.inputs, dtype="int32" if work.vocabulary else "float32")
    return keras.Model(x, _MODELS[name](x, work, keras.layers))


def compile_model(model: Any, keras: Any) -> None:
    """With Adam and the cross-entropy of logits."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), loss)


def iris(keras: Any) -> Any:
    """The model that `fit` is timed with: 4-16-3."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(16, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def flowers() -> tuple[np.ndarray, np.ndarray]:
    """150 samples of three classes, of the sizes of iris: 120 to train on, the others to validate with."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 150)
    return (rng.normal(size=(150, 4)) + y[:, None]).astype("float32"), y


def _mlp(x: Any, work: Workload, layers: Any) -> Any:
    for i in (1, 2):
        x = layers.Dense(work.width, activation="relu", name=f"dense{i}")(x)
    return layers.Dense(work.classes, name="logits")(x)


def _convnet(x: Any, work: Workload, layers: Any) -> Any:
    for i in (1, 2):
        x = layers.Conv2D(work.width * i, 3, activation="relu", name=f"conv{i}")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Dropout(work.dropout)(layers.Flatten()(x))
    return layers.Dense(work.classes, name="logits")(x)


def _normalized(x: Any, layers: Any, name: str, filters: int, size: int, strides: int = 1, padding: str = "same",
                relu: bool = True) -> Any:  # fmt: skip
    x = layers.Conv2D(filters, size, strides, padding, use_bias=False, name=name)(x)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.ReLU()(x) if relu else x


def _resnet20(x: Any, work: Workload, layers: Any) -> Any:
    x = _normalized(x, layers, "stem", work.width, 3)
    for stage, block, filters, strides in stages((3, 3, 3), work.width):
        name, before = f"s{stage}b{block}", x
        x = _normalized(x, layers, f"{name}_1", filters, 3, strides)
        x = _normalized(x, layers, f"{name}_2", filters, 3, relu=False)
        if strides > 1:
            before = _normalized(before, layers, f"{name}_skip", filters, 1, strides, relu=False)
        x = layers.ReLU()(layers.Add()([x, before]))
    return layers.Dense(work.classes, name="logits")(layers.GlobalAveragePooling2D()(x))


def _resnet50(x: Any, work: Workload, layers: Any) -> Any:
    x = _normalized(layers.ZeroPadding2D(3)(x), layers, "stem", work.width, 7, 2, "valid")
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    for stage, block, filters, strides in stages((3, 4, 6, 3), work.width):
        name, before = f"s{stage}b{block}", x
        x = _normalized(x, layers, f"{name}_1", filters, 1, strides)
        x = _normalized(x, layers, f"{name}_2", filters, 3)
        x = _normalized(x, layers, f"{name}_3", 4 * filters, 1, relu=False)
        if block == 0:
            before = _normalized(before, layers, f"{name}_skip", 4 * filters, 1, strides, relu=False)
        x = layers.ReLU()(layers.Add()([x, before]))
    return layers.Dense(work.classes, name="logits")(layers.GlobalAveragePooling2D()(x))


def stages(blocks: tuple[int, ...], width: int) -> list[tuple[int, int, int, int]]:
    """(stage, block, filters, strides) of a residual network whose stages after the first halve the image."""
    return [
        (stage, block, width << stage, 2 if stage and block == 0 else 1)
        for stage, count in enumerate(blocks)
        for block in range(count)
    ]


def _bilstm(x: Any, work: Workload, layers: Any) -> Any:
    x = layers.Embedding(work.vocabulary, 2 * work.width, name="words")(x)
    for i in (1, 2):
        lstm = layers.LSTM(work.width, return_sequences=i == 1, name=f"lstm{i}")
        x = layers.Bidirectional(lstm, name=f"both{i}")(x)
    return layers.Dense(work.classes, name="logits")(x)


def _minigpt(x: Any, work: Workload, layers: Any) -> Any:
    class Positions(layers.Layer):
        def build(self, shape: tuple) -> None:
            self.embeddings = self.add_weight(shape=shape[1:], initializer="uniform", name="embeddings")

        def call(self, x: Any) -> Any:
            return x + self.embeddings

    d = work.width
    x = Positions(name="positions")(layers.Embedding(work.vocabulary, d, name="words")(x))
    for i in (1, 2):
        attend = layers.MultiHeadAttention(4, d // 4, name=f"attention{i}")
        x = layers.LayerNormalization(epsilon=1e-6, name=f"norm{i}_1")(x + attend(x, x, use_causal_mask=True))
        y = layers.Dense(4 * d, activation="relu", name=f"up{i}")(x)
        x = layers.LayerNormalization(epsilon=1e-6, name=f"norm{i}_2")(x + layers.Dense(d, name=f"down{i}")(y))
    return layers.Dense(work.classes, name="logits")(x)


_MODELS: dict[str, Callable[..., Any]] = {
    "mlp": _mlp,
    "convnet": _convnet,
    "resnet20": _resnet20,
    "resnet50": _resnet50,
    "bilstm": _bilstm,
    "minigpt": _minigpt,
}
