"""Nested structures: lists, tuples, named tuples and dicts whose leaves are anything else.

Knows nothing of tensors; everything above may use it. A plain dict is read in the order of its sorted keys, an
OrderedDict in its own order, so that the same structure always flattens the same way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any


class _MapToNone:
    def __repr__(self) -> str:
        return "MAP_TO_NONE"


MAP_TO_NONE = _MapToNone()


def is_nested(structure: Any) -> bool:
    """True for a list, tuple, named tuple or dict.

    >>> is_nested([1, 2]), is_nested("ab")
    (True, False)
    """
    return isinstance(structure, (list, tuple, dict))


def flatten(structure: Any) -> list:
    """The leaves, in order; a leaf alone gives a list of one. None is a leaf.

    >>> flatten({"b": [1, 2], "a": 0})
    [0, 1, 2]
    """
    leaves: list = []
    _collect(structure, leaves)
    return leaves


def flatten_with_path(structure: Any) -> list[tuple[tuple, Any]]:
    """Pairs of path and leaf; a path is a tuple of keys and indices.

    >>> flatten_with_path({"a": [5, 6]})
    [(('a', 0), 5), (('a', 1), 6)]
    """
    if not is_nested(structure):
        return [((), structure)]
    return [((key, *path), leaf) for key, child in _items(structure) for path, leaf in flatten_with_path(child)]


def map_structure(func: Callable, *structures: Any, none_is_leaf: bool = True) -> Any:
    """`func` of the matching leaves, in the structure of the first.

    Raises:
        ValueError: the structures differ.

    >>> map_structure(lambda x, y: x + y, {"a": 1}, {"a": 2})
    {'a': 3}
    """
    if len(structures) > 1:
        for other in structures[1:]:
            assert_same_structure(structures[0], other)
    return _map(func, structures, none_is_leaf)


def map_structure_up_to(shallow_structure: Any, func: Callable, *structures: Any) -> Any:
    """Like map_structure, going no deeper than `shallow_structure` does.

    >>> map_structure_up_to([0, 0], len, [[1, 2], [3]])
    [2, 1]
    """
    if not is_nested(shallow_structure):
        return func(*structures)
    keys = [key for key, _ in _items(shallow_structure)]
    children = [
        map_structure_up_to(_child(shallow_structure, key), func, *(_child(s, key) for s in structures)) for key in keys
    ]
    return _rebuild(shallow_structure, keys, children)


def pack_sequence_as(structure: Any, flat_sequence: Iterable) -> Any:
    """The inverse of flatten: `flat_sequence` in the form of `structure`.

    Raises:
        ValueError: the number of leaves differs.

    >>> pack_sequence_as({"a": 0, "b": (0, 0)}, [1, 2, 3])
    {'a': 1, 'b': (2, 3)}
    """
    flat = list(flat_sequence)
    count = len(flatten(structure))
    if count != len(flat):
        raise ValueError(f"[pack_sequence_as] expected {count} values for the structure, received {len(flat)}")
    leaves = iter(flat)
    return _map(lambda _: next(leaves), (structure,), True)


def traverse(func: Callable, structure: Any, top_down: bool = True) -> Any:
    """`func` of every node, inner ones included. A result that is not None replaces the node; MAP_TO_NONE gives None.

    >>> traverse(lambda x: tuple(x) if isinstance(x, list) else None, [1, [2]])
    (1, [2])
    """
    if top_down:
        result = func(structure)
        if result is not None:
            return None if result is MAP_TO_NONE else result
    if is_nested(structure):
        items = list(_items(structure))
        children = [traverse(func, child, top_down) for _, child in items]
        structure = _rebuild(structure, [key for key, _ in items], children)
    if top_down:
        return structure
    result = func(structure)
    if result is None:
        return structure
    return None if result is MAP_TO_NONE else result


def lists_to_tuples(structure: Any) -> Any:
    """Every list as a tuple.

    >>> lists_to_tuples([1, {"a": [2]}])
    (1, {'a': (2,)})
    """
    return traverse(lambda x: tuple(x) if isinstance(x, list) else None, structure, top_down=False)


def map_shape_structure(func: Callable, structure: Any) -> Any:
    """Like map_structure, with shapes (tuples or lists of int and None) as the leaves.

    >>> map_shape_structure(len, [(None, 3), (1, 2, 3)])
    [2, 3]
    """
    if is_shape(structure):
        return func(tuple(structure))
    if not is_nested(structure):
        raise ValueError(f"[map_shape_structure] expected shapes, received {structure!r}")
    items = list(_items(structure))
    return _rebuild(structure, [key for key, _ in items], [map_shape_structure(func, child) for _, child in items])


def is_shape(structure: Any) -> bool:
    """True for a tuple or list of int and None.

    >>> is_shape((None, 3)), is_shape([(1,), (2,)])
    (True, False)
    """
    return isinstance(structure, (list, tuple)) and all(d is None or isinstance(d, int) for d in structure)


def assert_same_structure(a: Any, b: Any) -> None:
    """Raises ValueError where `a` and `b` do not nest alike.

    >>> assert_same_structure([1, (2,)], [3, (4,)])
    """
    _assert_same(a, b, check_types=True)


def assert_same_paths(a: Any, b: Any) -> None:
    """Raises ValueError where the paths of the leaves differ (a list and a tuple count as alike).

    >>> assert_same_paths([1, 2], (3, 4))
    """
    _assert_same(a, b, check_types=False)


def _assert_same(a: Any, b: Any, check_types: bool) -> None:
    nested_a, nested_b = is_nested(a), is_nested(b)
    if not nested_a and not nested_b:
        return
    same = nested_a == nested_b and isinstance(a, dict) == isinstance(b, dict)
    if same and check_types and not isinstance(a, dict):
        same = isinstance(a, tuple) == isinstance(b, tuple)
    if not same:
        raise ValueError(f"[tree] expected the same structure, received {_describe(a)} and {_describe(b)}")
    keys = [key for key, _ in _items(a)]
    if sorted(map(repr, keys)) != sorted(repr(key) for key, _ in _items(b)):
        raise ValueError(f"[tree] expected the same structure, received {_describe(a)} and {_describe(b)}")
    for key in keys:
        _assert_same(_child(a, key), _child(b, key), check_types)


def _describe(structure: Any) -> str:
    if isinstance(structure, dict):
        return f"a dict with keys {list(structure)}"
    if is_nested(structure):
        return f"a {type(structure).__name__} of {len(structure)}"
    return f"a leaf of type {type(structure).__name__}"


def _items(structure: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(structure, dict):
        keys = list(structure)
        if not isinstance(structure, OrderedDict):
            with suppress(TypeError):  # keys of several types have no order: theirs is the next best
                keys = sorted(keys)
        return ((key, structure[key]) for key in keys)
    return iter(enumerate(structure))


def _child(structure: Any, key: Any) -> Any:
    return structure[key]


def _collect(structure: Any, leaves: list) -> None:
    if isinstance(structure, (list, tuple)):
        for child in structure:
            _collect(child, leaves)
    elif isinstance(structure, dict):
        for _, child in _items(structure):
            _collect(child, leaves)
    else:
        leaves.append(structure)


def _map(func: Callable, structures: tuple, none_is_leaf: bool) -> Any:
    first = structures[0]
    if not is_nested(first):
        return None if first is None and not none_is_leaf else func(*structures)
    keys = [key for key, _ in _items(first)]
    children = [_map(func, tuple(_child(s, key) for s in structures), none_is_leaf) for key in keys]
    return _rebuild(first, keys, children)


def _rebuild(like: Any, keys: list, children: list) -> Any:
    if isinstance(like, dict):
        by_key = dict(zip(keys, children))
        ordered = ((key, by_key[key]) for key in like)
        # Containers of a subclass (a layer's tracked dict) come back as plain ones.
        return OrderedDict(ordered) if isinstance(like, OrderedDict) else dict(ordered)
    if isinstance(like, tuple):
        return type(like)(*children) if hasattr(like, "_fields") else tuple(children)
    return list(children)
