"""Writes tables of saved runs into README.md and docs/performance.md: python bench/publish.py NAME=RUN.json[,RUN.json] ...

Several runs of a name are families measured one after the other on the same machine, or rows measured anew: of rows of the
same name the last one counts.

A table stands between two comments, and is replaced by that of the run of this name:

    <!-- bench: summary of default -->
    <!-- /bench -->

`summary` is a line for each family, `rows` every row, `machine` what it was measured on; `training` is the table of a
run of train.py.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from pathlib import Path
from typing import Any

from report import caption, markdown_rows, markdown_summary
from train_report import markdown_training

PAGES = ("README.md", "docs/performance.md")
KINDS = {"summary": markdown_summary, "rows": markdown_rows, "machine": caption, "training": markdown_training}


def merge(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """One run of the rows of several.

    Raises:
        ValueError: They were taken on different machines, or with different settings.
    """
    first, *others = runs
    same = [{k: v for k, v in run["machine"].items() if k != "date"} for run in runs]
    for one in same[1:]:
        if different := [k for k in same[0] | one if same[0].get(k) != one.get(k)]:
            raise ValueError(f"expected runs of one machine and its settings, received different {different}")
    if not others:
        return first
    limits = {kind: [run[kind] for run in runs if run[kind]] for kind in ("flops", "bandwidth")}
    return {
        "machine": {**first["machine"], "date": max(run["machine"]["date"] for run in runs)},
        "seconds": min(run["seconds"] for run in runs),
        "rows": list({row["name"]: row for run in runs for row in run["rows"]}.values()),
        "flops": max(limits["flops"], default=None),
        "bandwidth": statistics.median(limits["bandwidth"]) if limits["bandwidth"] else None,
        "failures": [failure for run in runs for failure in run["failures"]],
    }


def publish(text: str, runs: dict[str, dict[str, Any]]) -> str:
    """A page with the tables of these runs renewed; those of other runs stay."""

    def renew(match: re.Match[str]) -> str:
        kind, name = match[2], match[3]
        return f"{match[1]}\n{KINDS[kind](runs[name])}\n{match[4]}" if name in runs else match[0]

    pattern = r"(<!-- bench: (summary|rows|machine|training) of (\S+) -->)\n.*?(<!-- /bench -->)"
    return re.sub(pattern, renew, text, flags=re.DOTALL)


def main() -> None:
    if len(sys.argv) < 2 or any("=" not in argument for argument in sys.argv[1:]):
        sys.exit(__doc__)
    runs = {}
    for argument in sys.argv[1:]:
        name, _, paths = argument.partition("=")
        runs[name] = merge([json.loads(Path(path).read_text()) for path in paths.split(",")])
    for page in PAGES:
        path = Path(__file__).resolve().parent.parent / page
        path.write_text(publish(path.read_text(), runs))


if __name__ == "__main__":
    main()
