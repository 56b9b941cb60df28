"""Copies and pickles of models that are graphs: from their config and values, as files are.

The objects of a graph refer to each other along its whole length; following them one by one, as Python's own copying does,
would exceed the depth of its stack for deep models.
"""

from __future__ import annotations

from typing import Any


def reduce_model(model: Any) -> tuple:
    """What `__reduce__` returns: how to make the model again."""
    optimizer = getattr(model, "optimizer", None) if model.compiled else None
    custom = {type(x).__name__: type(x) for x in model._flatten_layers() if not type(x).__module__.startswith("kcore.")}
    return _restore, (
        type(model),
        model.get_config(),
        custom,
        [variable.numpy() for variable in model.variables],
        model.get_compile_config() if model.compiled else None,
        [variable.numpy() for variable in optimizer.variables] if optimizer is not None else [],
    )


def _restore(
    cls: type, config: dict, custom: dict, values: list, compile_config: dict | None, optimizer_values: list
) -> Any:
    from kcore.saving import custom_object_scope  # saving stands above the models

    with custom_object_scope(custom):
        model = cls.from_config(config)
        if compile_config is not None:
            model.compile_from_config(compile_config)
    for variable, value in zip(model.variables, values):
        variable.assign(value)
    if optimizer_values:
        for variable, value in zip(model.optimizer.variables, optimizer_values):
            variable.assign(value)
    return model
