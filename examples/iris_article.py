"""Iris with the functional API, start to finish: fit, curves, evaluate, save, load."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

import kcore as keras
from kcore.layers import Dense, Input
from kcore.models import Model

iris = load_iris()
x_train, x_test, y_train, y_test = train_test_split(iris.data, iris.target, test_size=0.2, random_state=1)

inputs = Input((4,))
hidden = Dense(16, activation="relu")(inputs)
outputs = Dense(3, activation="softmax")(hidden)
model = Model(inputs=[inputs], outputs=[outputs])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x_train, y_train, epochs=20, batch_size=32, validation_split=0.2)

for name in ("loss", "val_loss", "acc", "val_acc"):
    plt.plot(history.history[name], label=name)
plt.legend()
plt.savefig("iris_curves.png")

print("test accuracy:", model.evaluate(x_test, y_test, verbose=0)[1])
model.save("my_model.h5")
again = keras.models.load_model("my_model.h5")
print("after loading:", again.evaluate(x_test, y_test, verbose=0)[1])
