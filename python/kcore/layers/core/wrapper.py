"""Wrapper: the base of layers that hold one other layer."""

from __future__ import annotations

from kcore import saving
from kcore.layers.layer import Layer


class Wrapper(Layer):
    """Holds `layer`; a subclass says in `call` how it is used.

    Raises:
        TypeError: `layer` is not a Layer.

    >>> from kcore.layers import Dense
    >>> Wrapper(Dense(2)).layer.units
    2
    """

    def __init__(self, layer, **kwargs):
        if not isinstance(layer, Layer):
            raise TypeError(
                f"[{type(self).__name__}] expected a layer to wrap, received {layer!r} of type {type(layer).__name__}"
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape=None):
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
        self.built = True

    def get_config(self):
        return {**super().get_config(), "layer": saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        config["layer"] = saving.deserialize_keras_object(config["layer"], custom_objects=custom_objects)
        return cls(**config)
