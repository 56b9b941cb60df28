"""A training loop of one's own: GradientTape, an optimizer, a metric; and the same as a custom train_step."""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import kcore as keras
from kcore import layers, ops


def network() -> keras.Model:
    return keras.Sequential([keras.Input((30,)), layers.Dense(32, activation="relu"), layers.Dense(1)])


def by_hand(x: np.ndarray, y: np.ndarray) -> keras.Model:
    """Every step written out."""
    model, optimizer = network(), keras.optimizers.Adam(0.003)
    loss_of = keras.losses.BinaryCrossentropy(from_logits=True)
    accuracy = keras.metrics.BinaryAccuracy()
    order = np.random.default_rng(0)
    for epoch in range(8):
        accuracy.reset_state()
        for rows in np.array_split(order.permutation(len(x)), len(x) // 32):
            with keras.GradientTape() as tape:
                logits = model(x[rows], training=True)
                loss = loss_of(y[rows], logits)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables))
            accuracy.update_state(y[rows], ops.sigmoid(logits))
        print(f"epoch {epoch + 1}: last loss {float(loss):.3f}, accuracy {float(accuracy.result()):.1%}")
    return model


class SmoothModel(keras.Model):
    """Adds the size of the input's gradient to the loss (a gradient of a gradient), so that outputs change smoothly."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def call(self, x, training=None):
        return self.network(x, training=training)

    def train_step(self, data):
        x, y = data
        x = ops.convert_to_tensor(x)
        with keras.GradientTape() as outer:
            with keras.GradientTape() as inner:
                inner.watch(x)
                logits = self(x, training=True)
            slope = inner.gradient(logits, x)
            loss = self.compute_loss(y=y, y_pred=logits) + 0.01 * ops.mean(ops.square(slope))
        gradients = outer.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        return {"loss": loss}


def main() -> None:
    keras.utils.set_random_seed(3)
    data = load_breast_cancer()
    x = ((data.data - data.data.mean(0)) / data.data.std(0)).astype("float32")
    y = data.target.astype("float32")[:, None]
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=0)

    model = by_hand(x_train, y_train)
    print(f"by hand, held out: {np.mean((model.predict(x_test, verbose=0) > 0) == y_test):.1%}")

    smooth = SmoothModel()
    smooth.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    smooth.fit(x_train, y_train, epochs=15, batch_size=32, verbose=0)
    print(f"train_step, held out: {np.mean((smooth.predict(x_test, verbose=0) > 0) == y_test):.1%}")


if __name__ == "__main__":
    main()
