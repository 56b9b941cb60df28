"""Masks: from the tensors that carry them to the arguments of `call`, and on to the outputs."""

from __future__ import annotations

import warnings
from typing import Any

from kcore import tree
from kcore.layers.layer.call_signature import TENSORS, CallSignature, tensor_arguments


class Masks:
    """The part of Layer that passes on which steps of a sequence count."""

    def _fill_in_masks(self, signature: CallSignature, arguments: dict, kwargs: dict) -> None:
        tensors = tensor_arguments(arguments)
        if len(tensors) == 1:
            if (
                signature.accepts("mask")
                and arguments.get("mask") is None
                and ("mask" in kwargs or "mask" not in arguments)
            ):
                kwargs["mask"] = masks_of(next(iter(tensors.values())))
            return
        for name, value in tensors.items():
            mask_name = f"{name}_mask"
            if signature.accepts(mask_name) and arguments.get(mask_name) is None and _has_mask(value):
                kwargs[mask_name] = masks_of(value)

    def _set_output_masks(self, inputs: Any, mask: Any, outputs: Any) -> None:
        if self.supports_masking:
            flat = [output for output in tree.flatten(outputs) if isinstance(output, TENSORS)]
            if all(output.keras_mask is not None for output in flat):
                return
            masks = self.compute_mask(inputs, mask)
            if masks is not None:
                for output, mask in zip(tree.flatten(outputs), tree.flatten(masks)):
                    if mask is not None and isinstance(output, TENSORS) and output.keras_mask is None:
                        output.keras_mask = mask
        elif _has_mask(inputs) and not _has_mask(outputs):
            warnings.warn(
                f"Layer {self.name!r} (of type {type(self).__name__}) was passed an input with a mask attached to it. It "
                "does not support masking, so the layers after it will not see the mask.",
                stacklevel=3,
            )

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the outputs; that of the inputs unless overridden. Used where `supports_masking` is True."""
        return previous_mask


def masks_of(x: Any) -> Any:
    """The masks that tensors carry, in their structure."""
    return tree.map_structure(_mask_of, x)


def _mask_of(x: Any) -> Any:
    return getattr(x, "keras_mask", None)


def _has_mask(x: Any) -> bool:
    return any(_mask_of(leaf) is not None for leaf in tree.flatten(x))
