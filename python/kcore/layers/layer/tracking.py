"""What a layer holds: variables, sublayers, metrics and seed generators found in its attributes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

LOCKED = (
    "You cannot add new elements of state (variables or sub-layers) to a layer that is already built. "
    "Create them in `__init__()` or in `build()`."
)


class Tracker:
    """Sorts the objects assigned to a layer's attributes into stores, each object once, in order of assignment.

    Args:
        stores: {name: (predicate, list)}; the first predicate that holds decides.
    """

    def __init__(self, stores: dict[str, tuple[Callable[[Any], bool], list]]):
        self.stores = stores
        self.locked = False

    def track(self, value: Any) -> Any:
        """`value`, noted if it is state; lists, dicts and sets come back as ones that note what is put into them."""
        if isinstance(value, (int, float, str, type(None))):
            return value
        for name, (predicate, _) in self.stores.items():
            if predicate(value):
                self.add(name, value)
                return value
        if isinstance(value, (TrackedList, TrackedDict, TrackedSet)):
            return value
        if isinstance(value, tuple):
            items = [self.track(item) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        if type(value) is list:
            return TrackedList(value, self)
        if type(value) is dict:
            return TrackedDict(value, self)
        if type(value) is set:
            return TrackedSet(value, self)
        return value

    def add(self, name: str, value: Any) -> None:
        """Notes `value` in the store `name`, unless it is there already."""
        store = self.stores[name][1]
        if any(value is other for other in store):
            return
        if self.locked:
            raise ValueError(LOCKED)
        store.append(value)

    def untrack(self, value: Any) -> None:
        """Forgets `value` and what it contains."""
        for _, store in self.stores.values():
            if any(value is other for other in store):
                store[:] = [other for other in store if other is not value]
                return
        if isinstance(value, dict):
            value = value.values()
        elif not isinstance(value, (list, tuple, set)):
            return
        for item in list(value):
            self.untrack(item)

    def lock(self) -> None:
        """From now on, new state is an error."""
        self.locked = True

    def unlock(self) -> None:
        """Allows new state again."""
        self.locked = False


def no_tracking(method: Callable) -> Callable:
    """Decorator: attributes that the method sets are not looked at (an optimizer is not a part of its model)."""

    @wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        outer = getattr(self, "_tracking", True)
        object.__setattr__(self, "_tracking", False)
        try:
            return method(self, *args, **kwargs)
        finally:
            object.__setattr__(self, "_tracking", outer)

    return wrapper


class TrackedList(list):
    """A list that tells its layer what is put into it."""

    def __init__(self, values: Any = (), tracker: Tracker | None = None):
        self.tracker = tracker
        super().__init__(self._track(value) for value in values)

    def _track(self, value: Any) -> Any:
        return value if self.tracker is None else self.tracker.track(value)

    def _untrack(self, value: Any) -> None:
        if self.tracker is not None:
            self.tracker.untrack(value)

    def append(self, value: Any) -> None:
        super().append(self._track(value))

    def insert(self, index: int, value: Any) -> None:
        super().insert(index, self._track(value))

    def extend(self, values: Any) -> None:
        super().extend(self._track(value) for value in values)

    def __iadd__(self, values: Any) -> TrackedList:
        self.extend(values)
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        old = self[index]
        new = [self._track(item) for item in value] if isinstance(index, slice) else self._track(value)
        super().__setitem__(index, new)
        self._untrack(old)

    def __delitem__(self, index: Any) -> None:
        self._untrack(self[index])
        super().__delitem__(index)

    def remove(self, value: Any) -> None:
        self._untrack(value)
        super().remove(value)

    def pop(self, index: int = -1) -> Any:
        value = super().pop(index)
        self._untrack(value)
        return value

    def clear(self) -> None:
        self._untrack(list(self))
        super().clear()

    def __reduce__(self) -> tuple:  # a copy; the layer it belongs to tracks it again
        return list, (list(self),)


class TrackedDict(dict):
    """A dict that tells its layer what is put into it."""

    def __init__(self, values: Any = (), tracker: Tracker | None = None):
        self.tracker = tracker
        super().__init__()
        self.update(values)

    def _untrack(self, value: Any) -> None:
        if self.tracker is not None:
            self.tracker.untrack(value)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value if self.tracker is None else self.tracker.track(value))

    def __delitem__(self, key: Any) -> None:
        self._untrack(self[key])
        super().__delitem__(key)

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: Any, *default: Any) -> Any:
        value = super().pop(key, *default)
        self._untrack(value)
        return value

    def popitem(self) -> tuple:
        key, value = super().popitem()
        self._untrack(value)
        return key, value

    def clear(self) -> None:
        self._untrack(dict(self))
        super().clear()

    def __reduce__(self) -> tuple:
        return dict, (dict(self),)


class TrackedSet(set):
    """A set that tells its layer what is put into it."""

    def __init__(self, values: Any = (), tracker: Tracker | None = None):
        self.tracker = tracker
        super().__init__()
        self.update(values)

    def add(self, value: Any) -> None:
        super().add(value if self.tracker is None else self.tracker.track(value))

    def update(self, *others: Any) -> None:
        for values in others:
            for value in values:
                self.add(value)

    def remove(self, value: Any) -> None:
        super().remove(value)
        if self.tracker is not None:
            self.tracker.untrack(value)

    def discard(self, value: Any) -> None:
        if value in self:
            self.remove(value)

    def clear(self) -> None:
        for value in list(self):
            self.remove(value)

    def __reduce__(self) -> tuple:
        return set, (set(self),)
