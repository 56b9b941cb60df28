"""Walks a model and saves or loads every object's own variables, at the paths Keras gives them.

A path is the chain of attribute names from the model: `cell/vars/0`. Members of lists, tuples and dicts are named by
their class in snake case, numbered within the container: `layers/dense`, `layers/dense_1`. Public attributes come
before private ones, each in alphabetical order, and an object is stored where it is met first.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import h5py

from kcore.naming import to_snake_case
from kcore.saving.store import ReadStore, WriteStore, damage_as_error


def _is_saveable(obj: Any) -> bool:
    return not isinstance(obj, type) and hasattr(obj, "save_own_variables") and hasattr(obj, "load_own_variables")


@functools.cache
def _machinery(kind: str) -> frozenset[str]:
    """Attributes that every layer, or optimizer, has: they are our bookkeeping, not parts of the object."""
    if kind == "layer":
        from kcore.layers import Layer

        return frozenset(dir(Layer()))
    from kcore.optimizers import Optimizer

    return frozenset(dir(Optimizer(1.0)))


def _children(obj: Any) -> Iterator[tuple[str, Any]]:
    from kcore.layers import Layer
    from kcore.models import Model

    skip = _machinery("layer" if isinstance(obj, Layer) else "optimizer")
    if isinstance(obj, Model) and not _is_subclassed(obj):
        # Sequential and Functional models are their layers; extra attributes come after.
        yield "layers", obj.layers
        skip |= {"layers", "operations", "_operations", "_functional"}
    for attr in sorted(dir(obj), key=lambda a: f"~{a}" if a.startswith("_") else a):
        if attr.startswith("__") or attr in skip:
            continue
        try:
            child = getattr(obj, attr)
        except Exception:
            continue
        yield attr, child


def _is_subclassed(model: Any) -> bool:
    from kcore.models import Sequential
    from kcore.models.functional import Functional

    return not isinstance(model, (Sequential, Functional))


def _walk(
    obj: Any, path: str, visit: Callable[[Any, str], bool], done: set[int], containers: tuple[int, ...] = ()
) -> None:
    """Calls `visit(object, path)` on every object with variables that is not in `done`, parents before children."""
    if isinstance(obj, (list, tuple, dict)):
        if id(obj) in containers:
            return
        used: dict[str, int] = {}
        for item in list(obj.values()) if isinstance(obj, dict) else obj:
            if _is_saveable(item):
                name = _unique(to_snake_case(type(item).__name__), used)
            elif isinstance(item, (list, tuple, dict)):
                name = _unique("container", used)
            else:
                continue
            _walk(item, f"{path}/{name}", visit, done, (*containers, id(obj)))
    elif _is_saveable(obj) and id(obj) not in done:
        # An object that failed to load is met again under its next path, and may succeed there.
        done.add(id(obj))
        complete = visit(obj, path)
        for attr, child in _children(obj):
            _walk(child, f"{path}/{attr}" if path else attr, visit, done)
        if not complete:
            done.discard(id(obj))


def _unique(name: str, used: dict[str, int]) -> str:
    used[name] = used.get(name, -1) + 1
    return f"{name}_{used[name]}" if used[name] else name


def save_state(model: Any, file: h5py.File, skip: Any = ()) -> None:
    """Writes the variables of a model, its layers and its optimizer.

    Args:
        model: a built model, or any layer.
        file: an open HDF5 file.
        skip: objects left out.
    """

    def visit(obj: Any, path: str) -> bool:
        name = getattr(obj, "name", None)
        obj.save_own_variables(WriteStore(file, path, name if isinstance(name, str) else None))
        return True

    _walk(model, "", visit, {id(o) for o in skip})


def load_state(model: Any, file: h5py.File, skip_mismatch: bool = False, skip: Any = ()) -> None:
    """Reads the variables of a model, its layers and its optimizer. On failure the model is left as it was.

    Args:
        model: a built model, or any layer.
        file: an open HDF5 file.
        skip_mismatch: leave objects whose variables do not fit as they are, with a warning, instead of raising.
        skip: objects left as they are.

    Raises:
        ValueError: variables are missing or of another shape.
    """
    before: dict[int, tuple[Any, list[tuple[Any, Any]]]] = {}
    failed: dict[int, tuple[Any, str, Exception]] = {}
    read: set[str] = set()

    def visit(obj: Any, path: str) -> bool:
        store = ReadStore(file, path)
        read.add(store.path)
        before.setdefault(id(obj), (obj, snapshot(obj)))
        try:
            obj.load_own_variables(store)
        except Exception as e:
            restore(*before[id(obj)])
            failed.setdefault(id(obj), (obj, path, e))  # a retry under another name has less to say
            return False
        failed.pop(id(obj), None)
        return True

    try:
        _walk(model, "", visit, {id(o) for o in skip})
        if failed:
            _report(failed, skip_mismatch)
    except BaseException:
        for entry in before.values():
            restore(*entry)
        raise
    _warn_unread(file, read)


def snapshot(obj: Any) -> list[tuple[Any, Any]]:
    """(variable, value) of an object's own variables. Values are immutable tensors, so nothing is copied."""
    own = [v for kind in ("_trainable_variables", "_non_trainable_variables") for v in getattr(obj, kind, ())]
    if not own:
        own = list(getattr(obj, "variables", None) or ()) if not hasattr(obj, "layers") else []
    return [(v, v.value) for v in own]


def restore(obj: Any, values: list[tuple[Any, Any]]) -> None:
    """Puts back what `snapshot` took."""
    for variable, value in values:
        variable.assign(value)
    if values and hasattr(obj, "finalize_state"):
        obj.finalize_state()


def _report(failed: dict[int, tuple[Any, str, Exception]], only_warn: bool) -> None:
    entries = list(failed.values())
    obj, path, error = entries[0]
    message = (
        f"[load_weights] {len(entries)} object(s) could not be loaded. The first, {obj} at '{path or '/'}': {error}. "
        f"All of them: {[getattr(o, 'name', type(o).__name__) for o, _, _ in entries]}"
    )
    if only_warn:
        warnings.warn(message, stacklevel=4)
    else:
        raise ValueError(message) from error


def _warn_unread(file: h5py.File, read: set[str]) -> None:
    """Says which layers of the file found no counterpart: a file of a larger model, or of another one."""
    unread = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and name.endswith("/vars") and len(item) and name not in read:
            unread.append(name[: -len("/vars")])

    with damage_as_error("layers"):
        file.visititems(visit)
    # A model that is not compiled has no use for the optimizer; seed generators were stored by older Keras.
    unread = [n for n in unread if n.split("/")[0] != "optimizer" and "seed_generator" not in n]
    if unread:
        warnings.warn(
            f"[load_weights] the file holds weights for which the model has no object: {unread[:8]}"
            f"{' and more' if len(unread) > 8 else ''}",
            stacklevel=4,
        )
