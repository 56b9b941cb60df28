"""Puts two runs of ops.py side by side: python bench/compare.py BEFORE.json AFTER.json [name ...]

A row is marked where the medians differ by more than the noise: the spreads of the rounds of both runs (half of the
interquartile range each), added as squares, and at least 2 %. What PyTorch did in the same two runs tells whether it was
the machine that changed.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from rich.console import Console

from report import groups, table, width
from timing import Times, geometric_mean

LEAST = 0.02
COLUMNS = ("op", "shapes", "before ms", "after ms", "speedup", "noise", "PyTorch's", "which")


def speedup(before: dict[str, Any], after: dict[str, Any], who: str) -> tuple[float, float] | None:
    """(how many times faster, the factor that is noise) of an opponent; None if it is not in both runs."""
    if who not in before["times"] or who not in after["times"]:
        return None
    a, b = Times(**before["times"][who]), Times(**after["times"][who])
    return a.median / b.median, 1 + max(LEAST, math.hypot(a.spread, b.spread))


def verdict(before: dict[str, Any], after: dict[str, Any]) -> str:
    """ "faster" or "slower" where kcore's change is outside of the noise; with what PyTorch did, if that changed too."""

    def outside(who: str) -> str:
        factor, noise = speedup(before, after, who) or (1.0, 2.0)
        return "faster" if factor > noise else "slower" if factor < 1 / noise else ""

    ours, theirs = outside("kcore"), outside("PyTorch")
    return f"{ours}, and PyTorch too" if ours and ours == theirs else ours


def compare(before: dict[str, Any], after: dict[str, Any], names: list[str], console: Console) -> None:
    """Prints a table for each family, and geometric means."""
    old = {row["name"]: row for row in before["rows"]}
    both = [r for r in after["rows"] if r["name"] in old and (not names or any(n in r["name"] for n in names))]
    for family, rows in groups(both):
        lines = []
        for row in rows:
            a = old[row["name"]]
            factor, noise = speedup(a, row, "kcore")
            control = speedup(a, row, "PyTorch")
            ms = [f"{r['times']['kcore']['median'] * 1e3:.3f}" for r in (a, row)]
            cells = [f"{factor:.2f}", f"{noise - 1:.0%}", f"{control[0]:.2f}" if control else "", verdict(a, row)]
            lines.append([row["title"], row["sizes"], *ms, *cells])
        console.print(table(family, COLUMNS, lines))
        mean = geometric_mean([speedup(old[r["name"]], r, "kcore")[0] for r in rows])
        console.print(f"{family}: {mean:.2f} times faster on the geometric mean of {len(rows)} rows\n")
    missing = len(before["rows"]) + len(after["rows"]) - 2 * len(both)
    if missing and not names:
        console.print(f"{missing} rows are in one of the runs only")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("names", nargs="*", help="only rows whose name contains one of these")
    args = parser.parse_args()
    runs = [json.loads(path.read_text()) for path in (args.before, args.after)]
    compare(*runs, args.names, Console(width=width()))


if __name__ == "__main__":
    main()
