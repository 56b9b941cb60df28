"""Tables of a run, for the terminal and as Markdown.

A run is a dict: `machine` (see machine.py), `flops` and `bandwidth` of the machine, `seconds` for each side, and `rows`, a
list of dicts with name, family, title, sizes, source, flops, bytes, bandwidth, floor (seconds), bound, and times, which
gives quartiles and the number of rounds for each opponent.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from rich.table import Table

from timing import geometric_mean

# What the least time of a row follows from: see Roofline.floor.
BOUNDS = ("arithmetic", "memory", "cache", "call")
# A row is disturbed if others had more than this share of a CPU while it was measured.
DISTURBED = 0.25
COLUMNS = ("op", "shapes", "kcore ms", "PyTorch ms", "kcore", "PyTorch", "of roofline", "ratio")


def ratio(row: dict[str, Any]) -> float | None:
    """How many times faster kcore is."""
    times = row["times"]
    return times["PyTorch"]["median"] / times["kcore"]["median"] if "PyTorch" in times else None


def share(row: dict[str, Any]) -> float | None:
    """The part of the roofline that kcore reaches: the least possible time over its time."""
    return row["floor"] / row["times"]["kcore"]["median"] if row["floor"] else None


def _rate(row: dict[str, Any], who: str) -> str:
    seconds = row["times"][who]["median"]
    if row["bound"] == "arithmetic":
        return f"{row['flops'] / seconds / 1e9:.0f} GFLOP/s"
    return f"{row['bytes'] / seconds / 1e9:.1f} GB/s"


def cells(row: dict[str, Any]) -> list[str]:
    """A row of the table."""
    times, peer = row["times"], "PyTorch" in row["times"]
    ms = {who: f"{t['median'] * 1e3:.3f}" for who, t in times.items()}
    reached, faster = share(row), ratio(row)
    return [
        row["title"],
        row["sizes"],
        ms["kcore"],
        ms["PyTorch"] if peer else "",
        _rate(row, "kcore"),
        _rate(row, "PyTorch") if peer else "",
        f"{100 * reached:.0f} %" if reached else "",
        f"{faster:.2f}" if faster else "",
    ]


def groups(rows: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(family, its rows), in order of appearance."""
    families: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        families.setdefault(row["family"], []).append(row)
    yield from families.items()


def summary(rows: list[dict[str, Any]]) -> list[list[str]]:
    """family, what limits it, rows, geometric mean of the ratios, the lowest and which, mean share of the roofline."""
    lines = []
    for family, members in groups(rows):
        for bound in BOUNDS:
            compared = [r for r in members if r["bound"] == bound and ratio(r)]
            if not compared:
                continue
            worst = min(compared, key=ratio)
            reached = [share(r) for r in compared if share(r)]
            lines.append(
                [
                    family,
                    bound,
                    str(len(compared)),
                    f"{geometric_mean([ratio(r) for r in compared]):.2f}",
                    f"{ratio(worst):.2f}",
                    worst["name"],
                    f"{100 * geometric_mean(reached):.0f} %" if reached else "",
                ]
            )
    return lines


SUMMARY = ("family", "limit", "rows", "ratio", "lowest", "which", "of roofline")


def caption(run: dict[str, Any]) -> str:
    """The machine and the settings in a sentence."""
    m, limits = run["machine"], ""
    if run["flops"]:
        limits = (
            f"; measured limits: {run['flops'] / 1e9:.0f} GFLOP/s of float32 multiply-adds, copies from memory to memory "
            f"{run['bandwidth'] / 1e9:.0f} GB/s"
        )
    sizes = ", ".join(f"{name} {size} KB" for name, size in m["caches"].items())
    versions = ", ".join(f"{package} {version}" for package, version in m["versions"].items())
    settings = "".join(f", {k}={v}" for k, v in m["settings"].items())
    disturbed = sum(row.get("disturbed", 0) >= DISTURBED for row in run["rows"])
    noise = f"; {disturbed} rows while others used the CPUs" if disturbed else ""
    rounds = min((t["rounds"] for row in run["rows"] for t in row["times"].values()), default=0)
    return (
        f"{m['cpu']} ({m['instructions']}; {sizes}), {m['threads']} threads, kernels for {m['isa']}; {versions}, "
        f"Python {m['python']}{settings}{limits}; {run['seconds']:g} s for each side of a row, "
        f"at least {rounds} rounds{noise}. {m['date'][:10]}."
    )


def width() -> int | None:
    """Of a console; wide enough for a line of the table where the output is a file. None: what the terminal has."""
    return None if sys.stdout.isatty() else 160


def table(title: str, columns: tuple[str, ...], lines: list[list[str]]) -> Table:
    """For the terminal."""
    result = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        words = column in ("op", "shapes", "family", "limit", "which")
        result.add_column(column, justify="left" if words else "right", overflow="fold")
    for line in lines:
        result.add_row(*line)
    return result


def _pipes(columns: tuple[str, ...], lines: list[list[str]]) -> str:
    rule = ["---" if column in ("op", "shapes", "family", "limit", "which") else "---:" for column in columns]
    return "\n".join(f"| {' | '.join(line)} |" for line in [columns, rule, *lines])


def markdown_summary(run: dict[str, Any]) -> str:
    """A line for each family and what limits it."""
    return _pipes(SUMMARY, summary(run["rows"]))


def markdown_rows(run: dict[str, Any]) -> str:
    """Every row, family by family."""
    tables = ((family, _pipes(COLUMNS, [cells(row) for row in rows])) for family, rows in groups(run["rows"]))
    return "\n\n".join(f"### {family}\n\n{table}" for family, table in tables)
