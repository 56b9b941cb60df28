"""Branches and loops: `ops.cond`, `ops.scan` and the like, whose functions a recorded step keeps as programs of their own.

Op by op they are Python's `if` and `for`. While a step is recorded (`fit`, `kcore.function`), what a tensor decides that
differs from run to run is decided in each run: the functions are then called with tensors that have no values yet,
perhaps several times. They may read and assign Variables and draw random numbers, and cannot make Variables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kcore import tree
from kcore._core import Recorder
from kcore.autograd import Tensor, control, convert_to_tensor
from kcore.ops.elementwise import cast
from kcore.ops.shape import concatenate, flip, reshape, stack, unstack

# Recorded loops of no more steps are written down step by step.
_UNROLLED = 8


class _Nest:
    """A nest of tensors, in which None may stand for none."""

    def __init__(self, nest: Any):
        self.leaves = tree.flatten(nest)
        self.structure = nest
        self.tensors = [convert_to_tensor(leaf) for leaf in self.leaves if leaf is not None]

    def pack(self, tensors: Sequence[Tensor]) -> Any:
        """Other tensors in the same nest."""
        given = iter(tensors)
        return tree.pack_sequence_as(self.structure, [None if leaf is None else next(given) for leaf in self.leaves])


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """`true_fn()` if `pred` is true, else `false_fn()`.

    The way to decide by a tensor's value in a step that is recorded: both functions are recorded, and each run computes
    one of them. Gradients flow through the one that ran. While shapes are traced, `true_fn()`.

    Args:
        pred: a scalar.
        true_fn, false_fn: functions without arguments that give nests of tensors of equal shapes and dtypes.

    >>> f = kcore.function(lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: -x))
    >>> f(np.float32([1, 2])).tolist(), f(np.float32([-1, -2])).tolist()
    ([1.0, 2.0], [1.0, 2.0])
    """
    if not hasattr(pred, "shape"):
        return true_fn() if pred else false_fn()
    pred = convert_to_tensor(pred)
    if not Recorder.varies(pred.array):
        return true_fn() if pred.is_symbolic or bool(pred) else false_fn()
    return _branch("cond", reshape(cast(pred, "bool"), ()), [true_fn, false_fn])


def switch(index: Any, branches: Sequence[Callable], *operands: Any) -> Any:
    """`branches[index](*operands)`, with the nearest branch for an index outside of them.

    Args:
        index: an integer scalar.
        branches: functions that give nests of tensors of equal shapes and dtypes.

    >>> ops.switch(1, [lambda x: x + 1, lambda x: x * 10], ops.convert_to_tensor(4)).item()
    40
    """
    if not branches:
        raise ValueError("[switch] expected at least one branch, received none")
    if hasattr(index, "shape"):
        index = convert_to_tensor(index)
        if Recorder.varies(index.array):
            functions = [lambda f=f: f(*operands) for f in branches]
            return _branch("switch", reshape(cast(index, "int32"), ()), functions)
        if index.is_symbolic:
            return branches[0](*operands)
    return branches[min(max(int(index), 0), len(branches) - 1)](*operands)


def _branch(kind: str, chosen: Tensor, functions: Sequence[Callable[[], Any]]) -> Any:
    nests: dict[int, _Nest] = {}

    def flat(i: int) -> list[Tensor]:
        nests[i] = _Nest(functions[i]())
        tree.assert_same_structure(nests[0].structure, nests[i].structure)
        if [leaf is None for leaf in nests[i].leaves] != [leaf is None for leaf in nests[0].leaves]:
            raise ValueError(f"[{kind}] expected branches that give None at the same places")
        return nests[i].tensors

    outputs = control.branch(kind, chosen, [lambda i=i: flat(i) for i in range(len(functions))])
    return nests[0].pack(outputs)


def while_loop(cond: Callable, body: Callable, loop_vars: Any, maximum_iterations: int | None = None) -> Any:
    """Calls `loop_vars = body(*loop_vars)` while `cond(*loop_vars)`.

    In a recorded step, values keep their shapes and dtypes from one step to the next, and there is no gradient: where the
    number of steps is known, `fori_loop` and `scan` have one.

    Args:
        cond: gives a bool scalar.
        body: gives new values in the nest of `loop_vars`.
        loop_vars: a tuple or list of nests of tensors, or one tensor.
        maximum_iterations: steps, at most.

    >>> f = kcore.function(lambda n: ops.while_loop(lambda i, s: i < n, lambda i, s: (i + 1, s + i), (0, 0))[1])
    >>> f(np.int32(5)).item(), f(np.int32(101)).item()
    (10, 5050)
    """
    many = isinstance(loop_vars, (list, tuple))
    values = tuple(loop_vars) if many else (loop_vars,)
    if Recorder.active():
        nest = _Nest(values)

        def flat(tensors: list[Tensor]) -> list[Tensor]:
            out = body(*nest.pack(tensors))
            out = tuple(out) if isinstance(out, (list, tuple)) and many else (out,)
            return [leaf for leaf in tree.flatten(out) if leaf is not None]

        def holds(tensors: list[Tensor]) -> Tensor:
            return reshape(cast(cond(*nest.pack(tensors)), "bool"), ())

        values = nest.pack(control.while_loop(holds, flat, nest.tensors, maximum_iterations))
        return values if many else values[0]
    count = 0
    while (maximum_iterations is None or count < maximum_iterations) and bool(cond(*values)):
        out = body(*values)
        values = tuple(out) if isinstance(out, (list, tuple)) else (out,)
        count += 1
    return values if many else values[0]


def fori_loop(lower: Any, upper: Any, body_fun: Callable, init_val: Any) -> Any:
    """Calls `value = body_fun(i, value)` for i in [lower, upper).

    A recorded loop of more than 8 steps gets its i as a tensor. Bounds that are tensors make it a `while_loop`, which has no
    gradient.

    >>> ops.fori_loop(0, 5, lambda i, s: s + i, 0)
    10
    """
    bounds = [convert_to_tensor(b) if hasattr(b, "shape") else b for b in (lower, upper)]
    if any(isinstance(b, Tensor) and Recorder.varies(b.array) for b in bounds):
        start = cast(bounds[0], "int32")
        return while_loop(lambda i, _: i < bounds[1], lambda i, value: (i + 1, body_fun(i, value)), (start, init_val))[
            1
        ]
    lower, upper = int(bounds[0]), int(bounds[1])
    if not Recorder.active() or upper - lower <= _UNROLLED:
        value = init_val
        for i in range(lower, upper):
            value = body_fun(i, value)
        return value
    nest = _Nest(init_val)
    steps = convert_to_tensor(list(range(lower, upper)), "int32")

    def step(carries: list[Tensor], slices: list[Tensor]) -> tuple[list, list]:
        return tree.flatten(body_fun(slices[0], nest.pack(carries))), []

    return nest.pack(control.scan(step, nest.tensors, [steps], upper - lower)[0])


def scan(
    f: Callable, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False, unroll: int = 1
) -> tuple[Any, Any]:
    """Calls `carry, y = f(carry, x)` for each slice x of xs along dimension 0; returns the last carry and the stacked ys.

    A recorded loop of more than 8 steps is one call that runs f's program for each slice; its gradient is another, which
    computes each step once more instead of keeping what happens in it.

    Args:
        f: one step; in a recorded loop the carry keeps its shapes and dtypes.
        init: the first carry, a nest of tensors.
        xs: a nest of tensors of equal first dimension, or None.
        length: the number of steps, where xs does not tell.
        reverse: begin with the last slice; the ys stay in the order of xs.
        unroll: accepted for Keras's sake.

    >>> carry, ys = ops.scan(lambda total, x: (total + x, total), ops.zeros(()), ops.arange(4.0))
    >>> carry.item(), ys.tolist()
    (6.0, [0.0, 0.0, 1.0, 3.0])
    """
    del unroll
    arrays = _Nest(xs)
    sizes = {x.shape[0] for x in arrays.tensors} | ({int(length)} if length is not None else set())
    if len(sizes) != 1:
        raise ValueError(f"[scan] expected arrays of one length, or `length`, received lengths {sorted(sizes)}")
    count = sizes.pop()
    if Recorder.active() and count > _UNROLLED:
        return _recorded_scan(f, init, arrays, count, reverse)
    carry, ys = init, []
    steps = list(zip(*(unstack(x) for x in arrays.tensors))) if arrays.tensors else [()] * count
    for x in reversed(steps) if reverse else steps:
        carry, y = f(carry, arrays.pack(x))
        ys.append(y)
    if reverse:
        ys.reverse()
    if not ys:
        return carry, None
    return carry, tree.map_structure(lambda *parts: None if parts[0] is None else stack(list(parts)), *ys)


def _recorded_scan(f: Callable, init: Any, arrays: _Nest, count: int, reverse: bool) -> tuple[Any, Any]:
    carry = _Nest(init)
    outputs: list[_Nest] = []

    def step(carries: list[Tensor], slices: list[Tensor]) -> tuple[list, list]:
        after, y = f(carry.pack(carries), arrays.pack(slices))
        outputs.append(_Nest(y))
        return [leaf for leaf in tree.flatten(after) if leaf is not None], outputs[-1].tensors

    after, ys = control.scan(step, carry.tensors, arrays.tensors, count, reverse)
    return carry.pack(after), outputs[0].pack(ys)


def map(f: Callable, xs: Any) -> Any:
    """`f` of each slice of xs along dimension 0, stacked; see `scan`.

    >>> ops.map(lambda x: x * x, ops.arange(3)).tolist()
    [0, 1, 4]
    """
    return scan(lambda carry, x: (carry, f(x)), None, xs)[1]


def vectorized_map(function: Callable, elements: Any) -> Any:
    """`function` of each slice of elements along dimension 0, stacked; see `scan`."""
    return map(function, elements)


def associative_scan(f: Callable, elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All partial results of an associative function: `e0, f(e0, e1), f(f(e0, e1), e2), ...`, in log2(n) rounds.

    Args:
        f: `f(a, b)` of two nests of slices of `elems`, of any equal length along the axis; gives one of that length.
        elems: a nest of tensors, of one length along the axis.
        reverse: from the end to the beginning.
        axis: the axis along which the elements lie.

    >>> ops.associative_scan(ops.add, ops.arange(5)).tolist()
    [0, 1, 3, 6, 10]
    """
    nest = _Nest(elems)
    axis = axis + nest.tensors[0].ndim if axis < 0 else axis
    sizes = {x.shape[axis] for x in nest.tensors}
    if len(sizes) != 1:
        raise ValueError(f"[associative_scan] expected elements of one length, received lengths {sorted(sizes)}")

    def take(xs: list[Tensor], *bounds: int | None) -> list[Tensor]:
        return [x[(slice(None),) * axis + (slice(*bounds),)] for x in xs]

    def combine(a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
        return [leaf for leaf in tree.flatten(f(nest.pack(a), nest.pack(b))) if leaf is not None]

    def partials(xs: list[Tensor]) -> list[Tensor]:
        n = xs[0].shape[axis]
        if n < 2:
            return xs
        odd = partials(combine(take(xs, 0, n - 1, 2), take(xs, 1, n, 2)))  # results 1, 3, 5, ...
        even = take(xs, 0, 1)
        if n > 2:
            before = odd if n % 2 else take(odd, 0, n // 2 - 1)
            even = [concatenate(pair, axis) for pair in zip(even, combine(before, take(xs, 2, n, 2)))]
        return [_interleave(a, b, axis) for a, b in zip(even, odd)]

    tensors = [flip(x, axis) for x in nest.tensors] if reverse else nest.tensors
    results = partials(tensors)
    return nest.pack([flip(x, axis) for x in results] if reverse else results)


def _interleave(even: Tensor, odd: Tensor, axis: int) -> Tensor:
    """a0 b0 a1 b1 ...; `even` may have one more."""
    count = odd.shape[axis]
    first = even[(slice(None),) * axis + (slice(0, count),)]
    pairs = stack([first, odd], axis + 1)
    y = reshape(pairs, (*odd.shape[:axis], 2 * count, *odd.shape[axis + 1 :]))
    if even.shape[axis] == count:
        return y
    return concatenate([y, even[(slice(None),) * axis + (slice(count, None),)]], axis)
