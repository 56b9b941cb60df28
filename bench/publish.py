"""Writes tables of saved runs into README.md and docs/performance.md: python bench/publish.py NAME=RUN.json ...

A table stands between two comments, and is replaced by that of the run of this name:

    <!-- bench: summary of default -->
    <!-- /bench -->

`summary` is a line for each family, `rows` every row, `machine` what it was measured on.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from report import caption, markdown_rows, markdown_summary

PAGES = ("README.md", "docs/performance.md")
KINDS = {"summary": markdown_summary, "rows": markdown_rows, "machine": caption}


def publish(text: str, runs: dict[str, dict[str, Any]]) -> str:
    """A page with the tables of these runs renewed; those of other runs stay."""

    def renew(match: re.Match[str]) -> str:
        kind, name = match[2], match[3]
        return f"{match[1]}\n{KINDS[kind](runs[name])}\n{match[4]}" if name in runs else match[0]

    pattern = r"(<!-- bench: (summary|rows|machine) of (\S+) -->)\n.*?(<!-- /bench -->)"
    return re.sub(pattern, renew, text, flags=re.DOTALL)


def main() -> None:
    if len(sys.argv) < 2 or any("=" not in argument for argument in sys.argv[1:]):
        sys.exit(__doc__)
    runs = {}
    for argument in sys.argv[1:]:
        name, _, path = argument.partition("=")
        runs[name] = json.loads(Path(path).read_text())
    for page in PAGES:
        path = Path(__file__).resolve().parent.parent / page
        path.write_text(publish(path.read_text(), runs))


if __name__ == "__main__":
    main()
