"""The table of a run of train.py, for the terminal and as Markdown."""

from __future__ import annotations

from typing import Any

from rich.console import Console

import report
from report import table, width
from timing import geometric_mean

_UNITS = {"ms": 1e3, "us": 1e6, "s": 1.0, "MB": 1e-6}
# Of the ratios of these the geometric mean is taken.
_MEASURES = ("train", "infer", "one")


def caption(run: dict[str, Any]) -> str:
    """The machine and the settings in a sentence. First calls have no rounds."""
    return report.caption(
        {**run, "rows": [row for row in run["rows"] if row["unit"] == "ms" and "first" not in row["name"]]}
    )


def opponents(run: dict[str, Any]) -> list[str]:
    """All that were measured, kcore first."""
    return list(dict.fromkeys(["kcore", *(who for row in run["rows"] for who in row["times"])]))


def ratio(row: dict[str, Any]) -> float | None:
    """How many times the least of the others takes of what kcore takes."""
    others = [t["median"] for who, t in row["times"].items() if who != "kcore"]
    return min(others) / row["times"]["kcore"]["median"] if others and "kcore" in row["times"] else None


def lines(run: dict[str, Any]) -> list[list[str]]:
    """A line for each row: name, what it is, unit, each opponent's median, the ratio."""
    result = []
    for row in run["rows"]:
        scale, times = _UNITS[row["unit"]], row["times"]
        cells = [f"{times[who]['median'] * scale:.3g}" if who in times else "" for who in opponents(run)]
        cells = [f"{float(cell):.0f}" if "e" in cell else cell for cell in cells]
        result.append([row["name"], row["title"], row["unit"], *cells, f"{r:.2f}" if (r := ratio(row)) else ""])
    return result


def means(run: dict[str, Any]) -> str:
    """Geometric means of the ratios of the models, in a sentence."""
    found = []
    for measure in _MEASURES:
        ratios = [r for row in run["rows"] if row["name"].endswith(f" {measure}") and (r := ratio(row))]
        if ratios:
            found.append(f"{measure} {geometric_mean(ratios):.2f} (lowest {min(ratios):.2f})")
    return f"Geometric mean against the fastest other: {', '.join(found)}." if found else ""


def print_table(run: dict[str, Any]) -> None:
    """On the terminal."""
    console = Console(width=width())
    columns = ("op", "shapes", "unit", *opponents(run), "ratio")
    console.print(table("Training", columns, lines(run)))
    if text := means(run):
        console.print(text)
    for row in run["rows"]:
        if row.get("losses"):
            losses = ", ".join(f"{who} {loss:.4g}" for who, loss in row["losses"].items())
            console.print(f"{row['name']}: losses {losses}")
    for failure in run["failures"]:
        console.print(f"[red]not measured[/]: {failure}", highlight=False)
    console.print(caption(run))


def markdown_training(run: dict[str, Any]) -> str:
    """The table, and the means below it."""
    columns = ["what", "of", "unit", *opponents(run), "ratio"]
    rule = ["---", "---", "---", *["---:"] * (len(columns) - 3)]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in [columns, rule, *lines(run)])
    missing = "".join(f"\n- not measured: {failure}" for failure in run["failures"])
    return f"{rows}\n\n{means(run)}{missing and chr(10)}{missing}"
