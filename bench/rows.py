"""Lines of shapes/*.txt: which op is timed, on inputs of which shapes, with which attributes.

    conv[y,dx,dkernel]  8x56x56x64  3x3x64x64  pads=1      # a comment

One line is an op of ops.def, what is timed of it, the shape of each of its inputs, and the attributes that are not as in the
op's first case in tests/op_cases.

- In brackets: `y` the op itself (also without brackets), `dNAME` the gradient for the input of that name, `grads` the
  gradients for all float inputs, `both` the op and then all gradients.
- `op:bfloat16[...]`: floats are of that dtype instead of float32, but for the parameters of normalizations.
- Shapes: `8x56x56x64`; `scalar`; `-` for an optional input that is not given, which may be left out at the end.
- Attributes: numbers, true/false, names; lists with commas. A single number serves all entries of a list of the kind
  that has one or two entries for each spatial dimension: `strides=2`, `pads=1`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHAPES = Path(__file__).with_name("shapes")
# Lists with so many entries for each spatial dimension.
SPATIAL = {"strides": 1, "dilations": 1, "window": 1, "pads": 2}


@dataclass(frozen=True)
class Row:
    """One thing to time.

    Attributes:
        op: Name in ops.def.
        what: "y", "dNAME", "grads" or "both".
        shapes: Of each input; None for one that is absent.
        attrs: As written.
        source: The model or file that the line is from.
        dtype: Of floats.
    """

    op: str
    what: str
    shapes: tuple[tuple[int, ...] | None, ...]
    attrs: tuple[tuple[str, Any], ...] = ()
    source: str = ""
    dtype: str = "float32"

    @property
    def title(self) -> str:
        """Op and what of it: `conv dx`, `conv:bfloat16 dx`."""
        op = self.op if self.dtype == "float32" else f"{self.op}:{self.dtype}"
        return op if self.what == "y" else f"{op} {self.what}"

    @property
    def sizes(self) -> str:
        """Shapes and attributes as in the file."""
        shapes = ["-" if s is None else "x".join(map(str, s)) or "scalar" for s in self.shapes]
        return " ".join([*shapes, *(f"{k}={_spell(v)}" for k, v in self.attrs)])

    @property
    def name(self) -> str:
        """Tells rows apart, also between runs."""
        return f"{self.title} {self.sizes}".strip()


def _spell(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(text: str) -> Any:
    if "," in text:
        return [_value(part) for part in text.split(",") if part]
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _shape(text: str) -> tuple[int, ...] | None:
    if text == "-":
        return None
    return () if text == "scalar" else tuple(int(n) for n in text.split("x"))


def parse(line: str, source: str = "") -> list[Row]:
    """The rows of a line; none if it is empty or a comment.

    Raises:
        ValueError: The line is not of the form above.
    """
    head, *words = line.split("#")[0].split() or [""]
    if not head:
        return []
    match = re.fullmatch(r"(\w+)(?::(float32|bfloat16))?(?:\[([\w,]+)\])?", head)
    if not match:
        raise ValueError(f"expected op[y,dNAME,grads,both] or op:bfloat16[...], received {head!r}")
    shapes, attrs = [], []
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            attrs.append((name, _value(value)))
        elif re.fullmatch(r"-|scalar|\d+(x\d+)*", word) and not attrs:
            shapes.append(_shape(word))
        else:
            raise ValueError(
                f"expected a shape like 8x28x28x64, -, scalar, or after all shapes name=value, received {word!r}"
            )
    what = (match[3] or "y").split(",")
    return [Row(match[1], w, tuple(shapes), tuple(attrs), source, match[2] or "float32") for w in what]


def as_list(name: str, value: Any, rank: int) -> list[int]:
    """The list that a single number stands for, on inputs of `rank` spatial dimensions."""
    return value if isinstance(value, list) else [value] * (SPATIAL[name] * rank if name in SPATIAL else 1)


def read(paths: Iterable[Path] | None = None) -> Iterator[Row]:
    """The rows of files of shapes; of all in shapes/ if None. A row that several models share comes once, from the first.

    Raises:
        ValueError: With file and line of what cannot be read.
    """
    seen = set()
    for path in sorted(SHAPES.glob("*.txt")) if paths is None else paths:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            try:
                rows = parse(line, path.stem)
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from None
            for row in rows:
                if row.name not in seen:
                    seen.add(row.name)
                    yield row
