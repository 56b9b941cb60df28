"""GradientTape: records op calls and walks them backwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kcore.autograd.apply import Node, apply, tapes, vjp, vjp_rule
from kcore.autograd.dtype import is_floating
from kcore.autograd.tensor import Tensor, convert_to_tensor
from kcore.autograd.variable import Variable


def gradient_key(x: Tensor | Variable) -> int:
    """What gradients are collected under: the same for a variable and all of its values, else the tensor itself."""
    return id(x) if x.source is None else id(x.source)


class GradientTape:
    """Records the ops that run inside its `with` block and computes gradients of what they made.

    Trainable variables are watched as they are used; other tensors after `watch`. A tape gives one gradient, a persistent
    one any number. Tapes nest: a gradient computed inside an outer tape can itself be differentiated.

    Args:
        persistent: Whether `gradient` may be called more than once.
        watch_accessed_variables: Whether trainable variables are watched by themselves.

    >>> x = kcore.ops.convert_to_tensor(3.0)
    >>> with kcore.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = x * x
    >>> float(tape.gradient(y, x))
    6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True):
        self._persistent = persistent
        self._watch_variables = watch_accessed_variables
        self._nodes: list[Node] | None = []
        self._tracked: set[int] = set()
        self._alive: list[Any] = []  # keeps watched objects, so that their ids stay theirs

    def __enter__(self) -> GradientTape:
        tapes.stack.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        tapes.stack.remove(self)

    def watch(self, tensor: Any) -> None:
        """Makes gradients with respect to a Tensor, a Variable, or a list of them available."""
        for x in tensor if isinstance(tensor, (list, tuple)) else [tensor]:
            if not isinstance(x, (Tensor, Variable)):
                raise TypeError(f"[GradientTape.watch] expected a Tensor or Variable, received {type(x).__name__}")
            if not is_floating(x.dtype):
                raise TypeError(f"[GradientTape.watch] expected a float tensor, received dtype {x.dtype}")
            self._tracked.add(gradient_key(x))
            self._alive.append(x)

    def record(self, op: str, inputs: tuple, attrs: dict, outputs: tuple) -> None:
        """Called by `apply` for every differentiable op."""
        if self._nodes is None:
            return
        needs = tuple([x is not None and self._wants(x) for x in inputs])
        if True not in needs:
            return
        floats = [id(y) for y in outputs if is_floating(y.dtype)]  # no gradient flows through integers
        if floats:
            self._nodes.append(Node(op, inputs, attrs, outputs, needs))
            self._tracked.update(floats)

    def wants(self, inputs: Sequence[Tensor | None]) -> bool:
        """Whether a differentiable op on these inputs will be recorded."""
        return self._nodes is not None and any(x is not None and self._wants(x) for x in inputs)

    def _wants(self, x: Tensor) -> bool:
        source = x.source
        if source is None:
            return id(x) in self._tracked
        if id(source) in self._tracked:
            return True
        if self._watch_variables and source.trainable and is_floating(x.dtype):
            self._tracked.add(id(source))
            self._alive.append(source)
            return True
        return False

    def stop_recording(self) -> _Paused:
        """A context in which this tape does not record."""
        return _Paused(self)

    def gradient(
        self, target: Any, sources: Any, output_gradients: Any = None, unconnected_gradients: str = "none"
    ) -> Any:
        """The gradient of the sum of `target` with respect to `sources`.

        Args:
            target: A Tensor, or a list of Tensors whose gradients are added.
            sources: A Tensor or Variable, or a (nested) list or dict of them.
            output_gradients: What to multiply the gradient of each target with; ones if None.
            unconnected_gradients: `"none"` gives None for a source that target does not depend on, `"zero"` zeros.

        Returns:
            Gradients in the structure of `sources`.
        """
        if self._nodes is None:
            raise RuntimeError(
                "[GradientTape.gradient] a tape that is not persistent gives one gradient; pass persistent=True"
            )
        targets = list(target) if isinstance(target, (list, tuple)) else [target]
        many = isinstance(target, (list, tuple)) and output_gradients is not None
        seeds = list(output_gradients) if many else [output_gradients] * len(targets)
        if len(seeds) != len(targets):
            raise ValueError(f"[GradientTape.gradient] expected {len(targets)} output_gradients, received {len(seeds)}")
        grads: dict[int, Tensor] = {}
        for y, seed in zip(targets, seeds):
            _accumulate(grads, gradient_key(_as_value(y)), _seed_gradient(_as_value(y), seed))
        nodes = self._nodes
        if self._persistent:
            nodes = list(nodes)
        else:
            self._nodes = None
        wanted: set[int] = set()
        _map_nested(sources, lambda s: wanted.add(gradient_key(s)))
        _walk_back(nodes, grads, wanted)
        return _map_nested(sources, lambda s: _lookup(grads, s, unconnected_gradients))

    def jacobian(self, target: Tensor, source: Any) -> Tensor:
        """d target[i] / d source[j], of shape target.shape + source.shape. The tape must be persistent."""
        from kcore import ops  # a convenience on top of gradient

        rows = []
        for i in range(target.size):
            seed = ops.reshape(ops.one_hot(convert_to_tensor(i), target.size, dtype=target.dtype), target.shape)
            rows.append(self.gradient(target, source, output_gradients=seed, unconnected_gradients="zero"))
        return ops.reshape(ops.stack(rows), (*target.shape, *rows[0].shape))


class _Paused:
    def __init__(self, tape: GradientTape):
        self._tape = tape

    def __enter__(self) -> None:
        tapes.stack.remove(self._tape)

    def __exit__(self, *exc: object) -> None:
        tapes.stack.append(self._tape)


def _as_value(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else convert_to_tensor(x)


def _seed_gradient(y: Tensor, seed: Any) -> Tensor:
    if not is_floating(y.dtype):
        raise TypeError(f"[GradientTape.gradient] expected a float target, received dtype {y.dtype}")
    if seed is None:
        return apply("full", (), {"shape": list(y.shape), "value": 1.0, "dtype": y.dtype})
    seed = convert_to_tensor(seed, dtype=y.dtype)
    if seed.shape != y.shape:
        raise ValueError(
            f"[GradientTape.gradient] expected an output gradient of shape {y.shape}, received {seed.shape}"
        )
    return seed


def _accumulate(grads: dict[int, Tensor], key: int, value: Tensor) -> None:
    have = grads.get(key)
    grads[key] = value if have is None else apply("add", (have, value))


def _walk_back(nodes: list[Node], grads: dict[int, Tensor], wanted: set[int]) -> None:
    """Adds to `grads` what flows from the outputs of the nodes to their inputs, last node first.

    Takes each node off the list, and gradients that are not `wanted` out of `grads`, so that their memory serves others.
    """
    while nodes:
        node = nodes.pop()
        keys = [id(y) for y in node.outputs]
        dys = [grads.get(key) if key in wanted else grads.pop(key, None) for key in keys]
        if all(dy is None for dy in dys):
            continue
        for x, need, dx in zip(node.inputs, node.needs, vjp_rule(node.op)(node, *dys), strict=True):
            if need and dx is not None:
                _accumulate(grads, gradient_key(x), dx)


def _lookup(grads: dict[int, Tensor], source: Any, unconnected: str) -> Tensor | None:
    found = grads.get(gradient_key(source))
    if found is None and unconnected == "zero":
        return apply("full", (), {"shape": list(source.shape), "value": 0.0, "dtype": source.dtype})
    return found


def _map_nested(nested: Any, f: Callable[[Any], Any]) -> Any:
    """`f` of each leaf of nested lists and dicts."""
    if isinstance(nested, dict):
        return {k: _map_nested(v, f) for k, v in nested.items()}
    if isinstance(nested, (list, tuple)):
        return [_map_nested(v, f) for v in nested]
    return f(nested)


def stop_gradient(x: Any) -> Tensor:
    """The same values, through which no gradient flows."""
    return Tensor(convert_to_tensor(x).array)


def _fresh(x: Any) -> Any:
    """A tensor of its own for each argument, so that f(x, x) has two gradients."""
    if isinstance(x, Variable):
        return x
    x = convert_to_tensor(x)
    return apply("reshape", (x,), {"shape": list(x.shape)})


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns `f(*args)` and its gradient with respect to the arguments `argnums`.

    Args:
        f: A function whose value, or whose value's first item with `has_aux`, is a scalar Tensor.
        argnums: Position of the argument, or positions; an argument may be a Tensor, a Variable, or a list or dict of them.
        has_aux: Whether `f` returns a pair of which only the first is differentiated.

    >>> kcore.value_and_grad(lambda x: x * x)(kcore.ops.convert_to_tensor(2.0))[1].item()
    4.0
    """
    positions = [argnums] if isinstance(argnums, int) else list(argnums)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        args = list(args)
        for i in positions:
            args[i] = _map_nested(args[i], _fresh)
        with GradientTape() as tape:
            for i in positions:
                _map_nested(args[i], tape.watch)
            value = f(*args, **kwargs)
        target = value[0] if has_aux else value
        if target.shape != ():
            raise ValueError(f"[value_and_grad] expected a function with a scalar value, received shape {target.shape}")
        grads = tape.gradient(target, [args[i] for i in positions], unconnected_gradients="zero")
        return value, grads[0] if isinstance(argnums, int) else tuple(grads)

    return wrapped


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of `f`; see `value_and_grad`. With `has_aux`, (gradient, aux).

    >>> kcore.grad(kcore.grad(lambda x: x * x * x))(kcore.ops.convert_to_tensor(2.0)).item()
    12.0
    """
    both = value_and_grad(f, argnums, has_aux)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        value, grads = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return wrapped


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Lets a function define its own gradient: it returns `(value, grad_fn)`.

    `grad_fn(*upstream)` takes the gradient of each output and returns that of each argument, as one Tensor or a sequence.

    >>> @kcore.custom_gradient
    ... def log1pexp(x):
    ...     e = kcore.ops.exp(x)
    ...     return kcore.ops.log(1 + e), lambda upstream: upstream * (1 - 1 / (1 + e))
    """

    def wrapped(*args: Any) -> Any:
        inputs = tuple(_as_value(x) for x in args)
        # What f computes inside is not recorded; nodes of its own stand for it.
        outer, tapes.stack = tapes.stack, []
        try:
            value, grad_fn = f(*inputs)
        finally:
            tapes.stack = outer
        outputs = (
            tuple(stop_gradient(y) for y in value) if isinstance(value, (tuple, list)) else (stop_gradient(value),)
        )
        for tape in tapes.stack:
            tape.record("custom_gradient", inputs, {"grad_fn": grad_fn}, outputs)
        return outputs if isinstance(value, (tuple, list)) else outputs[0]

    return wrapped


@vjp("custom_gradient")
def custom_gradient_vjp(node: Node, *dys: Tensor | None) -> Sequence[Tensor | None]:
    filled = [
        dy if dy is not None else apply("full", (), {"shape": list(y.shape), "value": 0.0, "dtype": y.dtype})
        for y, dy in zip(node.outputs, dys)
    ]
    grads = node.attrs["grad_fn"](*filled)
    return list(grads) if isinstance(grads, (list, tuple)) else [grads]
