"""A residual network (He et al., arXiv 1512.03385) on handwritten digits, built with the functional API."""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import kcore as keras
from kcore import layers


def block(x: keras.KerasTensor, filters: int, stride: int = 1) -> keras.KerasTensor:
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where the shape changes."""
    shortcut = x
    x = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    if stride != 1 or shortcut.shape[-1] != filters:
        shortcut = layers.Conv2D(filters, 1, strides=stride, use_bias=False)(shortcut)
        shortcut = layers.BatchNormalization()(shortcut)
    return layers.ReLU()(layers.Add()([x, shortcut]))


def main() -> None:
    keras.utils.set_random_seed(1)
    digits = load_digits()
    x = digits.images[..., None].astype("float32") / 16
    x_train, x_test, y_train, y_test = train_test_split(x, digits.target, test_size=0.25, random_state=0)

    inputs = keras.Input((8, 8, 1))
    h = layers.Conv2D(16, 3, padding="same", use_bias=False)(inputs)
    h = block(h, 16)
    h = block(h, 32, stride=2)
    h = block(h, 64, stride=2)
    h = layers.GlobalAveragePooling2D()(h)
    outputs = layers.Dense(10, activation="softmax", kernel_regularizer="l2")(h)
    model = keras.Model(inputs, outputs)
    model.summary()

    epochs, batch = 8, 64
    schedule = keras.optimizers.schedules.CosineDecay(0.05, decay_steps=epochs * len(x_train) // batch)
    model.compile(
        keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(x_train, y_train, batch_size=batch, epochs=epochs, validation_data=(x_test, y_test), verbose=2)
    print(f"test accuracy: {model.evaluate(x_test, y_test, verbose=0)[1]:.1%}")


if __name__ == "__main__":
    main()
