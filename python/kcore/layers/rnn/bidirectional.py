"""Bidirectional: a recurrent layer run forwards and backwards."""

from __future__ import annotations

import inspect

from kcore import ops, tree
from kcore.layers.layer import Layer
from kcore.layers.options import one_of
from kcore.layers.rnn.both_directions import run_both
from kcore.saving.serialization import deserialize_keras_object, serialize_keras_object


class Bidirectional(Layer):
    """Runs a recurrent layer over time in both directions and merges the outputs.

    Args:
        layer: an `RNN`, `LSTM`, `GRU`, ...; used as a pattern for both directions.
        merge_mode: `"concat"`, `"sum"`, `"mul"`, `"ave"`, or None for both outputs unmerged.
        weights: arrays to start from, forward then backward.
        backward_layer: the layer for the other direction, if it is to differ; its `go_backwards` must differ.

    Call arguments: as for the layer; `initial_state` holds the forward states, then the backward ones. With
    `return_state`, the output is followed by the forward states and the backward states. Schuster and Paliwal, 1997.

    >>> import numpy as np
    >>> from kcore.layers import LSTM
    >>> Bidirectional(LSTM(3))(np.ones((2, 5, 4), "float32")).shape
    (2, 6)
    """

    def __init__(self, layer, merge_mode="concat", weights=None, backward_layer=None, **kwargs):
        for name, value in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(value, Layer) and not (name == "backward_layer" and value is None):
                raise ValueError(f"[Bidirectional] expected {name} to be a recurrent layer, received {value!r}")
        for name in ("go_backwards", "return_sequences", "return_state"):
            if not hasattr(layer, name):
                raise ValueError(f"[Bidirectional] expected a layer with {name}, received {layer!r}")
        one_of(self, "merge_mode", merge_mode, ("sum", "mul", "ave", "concat", None))
        super().__init__(**kwargs)
        name = layer.name.removeprefix("forward_")
        self.forward_layer = _copy(layer, name=f"forward_{name}")
        if backward_layer is None:
            self.backward_layer = _copy(layer, name=f"backward_{name}", go_backwards=not layer.go_backwards)
        else:
            self.backward_layer = backward_layer
        self._check_directions()
        for one in (self.forward_layer, self.backward_layer):
            if getattr(one, "zero_output_for_mask", None) is not None:  # both directions are merged step by step
                one.zero_output_for_mask = one.return_sequences
        self.merge_mode = merge_mode
        self._initial_weights = weights
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.stateful = layer.stateful
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _check_directions(self) -> None:
        a, b = self.forward_layer, self.backward_layer
        if a.go_backwards == b.go_backwards:
            raise ValueError(
                f"[Bidirectional] expected layers of opposite go_backwards, received {a.go_backwards} and {b.go_backwards}"
            )
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(a, name) != getattr(b, name):
                raise ValueError(
                    f"[Bidirectional] expected layers of the same {name}, received {getattr(a, name)} and {getattr(b, name)}"
                )

    def build(self, sequences_shape, initial_state_shape=None):
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
                layer.built = True
        if self._initial_weights is not None:
            half = len(self._initial_weights) // 2
            self.forward_layer.set_weights(self._initial_weights[:half])
            self.backward_layer.set_weights(self._initial_weights[half:])
            self._initial_weights = None
        self.built = True

    def call(self, sequences, initial_state=None, mask=None, training=None):
        states: list = [None, None]
        if initial_state is not None:
            half = len(initial_state) // 2
            states = [list(initial_state[:half]), list(initial_state[half:])]
        both = None
        if self.forward_layer.dtype_policy.name == self.dtype_policy.name:
            one_mask = mask[0] if isinstance(mask, (list, tuple)) else mask
            both = run_both(self.forward_layer, self.backward_layer, sequences, states, one_mask, training)
        if both is None:
            forward, backward, last_states = self._one_after_the_other(sequences, states, mask, training)
            outputs = self._merge(forward, backward)
        else:
            y, forward_states, backward_states = both
            last_states = (*forward_states, *backward_states)
            if self.return_sequences and self.merge_mode == "concat":
                outputs = y
            elif self.return_sequences:
                outputs = self._merge(*ops.split(y, 2, axis=-1))
            else:
                outputs = self._merge(forward_states[0], backward_states[0])
        if not self.return_state:
            return outputs
        return (*(outputs if self.merge_mode is None else (outputs,)), *last_states)

    def _one_after_the_other(self, sequences, states, mask, training):
        """The outputs of both layers, in the order of time, and their last states."""
        extra = {}
        accepted = inspect.signature(self.forward_layer.call).parameters
        if "mask" in accepted:
            extra["mask"] = mask
        if "training" in accepted:
            extra["training"] = training
        given = [{} if s is None else {"initial_state": s} for s in states]
        forward = self.forward_layer(sequences, **extra, **given[0])
        backward = self.backward_layer(sequences, **extra, **given[1])
        last_states = ()
        if self.return_state:
            last_states = (*forward[1:], *backward[1:])
            forward, backward = forward[0], backward[0]
        if self.return_sequences:
            backward = ops.flip(backward, axis=1)  # it came in the order of processing
        return forward, backward, last_states

    def _merge(self, forward, backward):
        if self.merge_mode is None:
            return (forward, backward)
        if self.merge_mode == "concat":
            return ops.concatenate([forward, backward], axis=-1)
        if self.merge_mode == "mul":
            return ops.multiply(forward, backward)
        total = ops.add(forward, backward)
        return total if self.merge_mode == "sum" else ops.divide(total, 2.0)

    def reset_state(self):
        """Sets the states of both layers to zero."""
        if not self.stateful:
            raise AttributeError(
                f'[Bidirectional] expected a stateful layer, received stateful=False (layer "{self.name}")'
            )
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    @property
    def states(self):
        """The forward states and the backward states, or None."""
        if self.forward_layer.states is None:
            return None
        return tuple(self.forward_layer.states + self.backward_layer.states)

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        shape = self.forward_layer.compute_output_shape(sequences_shape)
        states = ()
        if self.return_state:
            shape, *states = shape
            states = (*states, *states)
        if self.merge_mode == "concat":
            shape = (*shape[:-1], None if shape[-1] is None else 2 * shape[-1])
        outputs = (shape, shape) if self.merge_mode is None else (shape,)
        return (*outputs, *states) if len(outputs) > 1 or self.return_state else shape

    def compute_mask(self, _, mask=None):
        mask = tree.flatten(mask)[0] if isinstance(mask, (list, tuple)) else mask
        output = mask if self.return_sequences else None
        return (output, output) if self.merge_mode is None else output

    def get_config(self):
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize_keras_object(self.forward_layer),
            "backward_layer": serialize_keras_object(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for name in ("layer", "backward_layer"):
            if config.get(name) is not None:
                config[name] = deserialize_keras_object(config[name], custom_objects=custom_objects)
        config.pop("num_constants", None)  # written by Keras 2
        return cls(**config)


def _copy(layer, **changed):
    return type(layer).from_config({**layer.get_config(), **changed})
