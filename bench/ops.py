"""Times single ops of kcore against PyTorch on the CPU, on shapes of real models.

    python bench/ops.py                                      everything in bench/shapes/*.txt: a few minutes
    python bench/ops.py --family conv 1x1                    convolutions whose name contains "1x1"
    python bench/ops.py --shape "conv[y,dx] 8x56x56x64 3x3x64x64 pads=1"
    python bench/ops.py --isa avx2                           both sides held to AVX2
    python bench/ops.py --json today.json; python bench/compare.py yesterday.json today.json

Outputs are compared first. Then both sides are called in turn, with the same number of threads, and the medians compared:
a ratio of 2 means that kcore takes half the time. "Of roofline" is the least time that the arithmetic (at the peak rate of
float32 multiply-adds measured here) or the memory traffic (at the speed of a copy of as many bytes) takes, over kcore's.
Needs kcore; PyTorch as the opponent; a C compiler (cc) for the roofline. rows.py says how to write a line of shapes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# PyTorch reads these when it is loaded.
HELD_TO_AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
# Relative to the largest value of an output. float32: sums of 100,000 products in another order differ by 1e-5. bfloat16:
# both sides round their results, to 2^-9, and what they keep on the way (PyTorch the probabilities of attention).
TOLERANCE = {"float32": 1e-4, "bfloat16": 2**-6}

# A row that others disturbed is measured again, so many times in all.
TRIES = 4


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only rows whose name contains one of these")
    parser.add_argument(
        "--family", action="append", default=[], help="only ops of this family of tests/op_cases, or bfloat16"
    )
    parser.add_argument("--source", action="append", default=[], help="only rows of bench/shapes/SOURCE.txt")
    parser.add_argument("--shape", action="append", default=[], metavar="LINE", help="this line instead of the files'")
    parser.add_argument("--seconds", type=float, default=0.2, help="time for each side of each row (default 0.2)")
    parser.add_argument("--threads", type=int, help="default: the CPUs that this process may use")
    parser.add_argument("--isa", help="the most that kernels may use, as KCORE_ISA; avx2 holds PyTorch to it too")
    parser.add_argument("--tolerance", type=float, help="difference allowed between the outputs")
    parser.add_argument("--alone", action="store_true", help="without PyTorch")
    parser.add_argument("--json", type=Path, metavar="FILE", help="save the run, for compare.py and --load")
    parser.add_argument("--load", type=Path, metavar="FILE", help="print a saved run instead of measuring")
    parser.add_argument("--markdown", choices=["summary", "all"], help="print the tables as Markdown")
    return parser.parse_args(argv)


def set_environment(args: argparse.Namespace) -> None:
    """What libraries read when they are loaded: called before they are."""
    if args.isa:
        os.environ["KCORE_ISA"] = args.isa
    if args.isa == "avx2":
        os.environ.update(HELD_TO_AVX2)
    if args.threads:
        os.environ["OMP_NUM_THREADS"] = str(args.threads)
    for folder in ("tests", "python"):  # THE table of ops is beside the tests; kcore itself may be installed instead
        if folder == "tests" or any((ROOT / "python" / "kcore").glob("_core*.so")):
            sys.path.insert(0, str(ROOT / folder))


def select(args: argparse.Namespace) -> list[Any]:
    """The rows that the command line asks for."""
    from op_cases import FAMILIES
    from rows import parse, read

    rows = [row for line in args.shape for row in parse(line, "command line")] if args.shape else list(read())
    return [
        row
        for row in rows
        if (not args.family or FAMILIES.get(row.op) in args.family or row.dtype in args.family)
        and (not args.source or row.source in args.source)
        and (not args.names or any(name in row.name for name in args.names))
    ]


def measure_row(row: Any, args: argparse.Namespace, roofline: Any) -> dict[str, Any]:
    """A row of the run.

    Raises:
        AssertionError: The outputs differ.
    """
    from calls import prepare
    from machine import seconds_of_others
    from op_cases import FAMILIES
    from report import DISTURBED
    from timing import difference, measure

    call = prepare(row)
    flops, moved = call.work()
    opponents, error = {"kcore": call.run}, None
    if not args.alone:
        from peers import PEERS

        peer = PEERS.get(row.op)
        try:
            if peer:
                run, outputs = peer.prepare(call)
                error = difference(call.outputs(), outputs())
                allowed = TOLERANCE[row.dtype] if args.tolerance is None else args.tolerance
                assert error <= allowed, f"outputs differ by {error:.2g}, allowed are {allowed:.2g}"
                opponents["PyTorch"] = run
        except NotImplementedError:
            pass  # PyTorch has no such op
    before = roofline.bandwidth(moved) if roofline else 0.0
    for _ in range(TRIES):
        start, others = time.perf_counter(), seconds_of_others()
        times = {who: dataclasses.asdict(t) for who, t in measure(opponents, args.seconds).items()}
        disturbed = (seconds_of_others() - others) / (time.perf_counter() - start)
        if disturbed < DISTURBED:
            break
    after = roofline.bandwidth(moved) if roofline else 0.0
    return {
        "name": row.name,
        "family": FAMILIES[row.op] if row.dtype == "float32" else row.dtype,
        "title": row.title,
        "sizes": row.sizes,
        "source": row.source,
        "flops": flops,
        "bytes": moved,
        "bandwidth": max(before, after),
        "error": error,
        "disturbed": disturbed,
        "times": times,
    }


def measure_all(args: argparse.Namespace) -> dict[str, Any]:
    """Runs what the command line asks for, with a bar on the terminal; tables of families follow as they are done."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    if not args.alone:
        import torch  # first, so that threads wait for work as they do in programs of PyTorch
    from kcore import _core
    from machine import describe
    from report import COLUMNS, cells, groups, table, width
    from roofline import Roofline

    threads = _core.num_threads()
    if not args.alone:
        torch.set_num_threads(threads)
    try:
        roofline = Roofline(_core.isa(), threads)
        roofline.measure_flops(tries=10)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no roofline: {error}", file=sys.stderr)
        roofline = None
    rows, console = select(args), Console(stderr=bool(args.markdown), width=width())
    run: dict[str, Any] = {"machine": describe(threads, ("torch", "numpy")), "seconds": args.seconds, "rows": []}
    copies = [roofline.bandwidth(math.inf) for _ in range(5)] if roofline else []
    failures = []
    with Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[row]}"),
        console=console,
    ) as bar:
        task = bar.add_task("ops", total=len(rows), row="")
        for row in rows:
            bar.update(task, row=row.name)
            try:
                run["rows"].append(measure_row(row, args, roofline))
            except Exception as error:  # whatever it is, the other rows are worth having
                failures.append(f"{row.name}: {type(error).__name__}: {error}")
            if roofline:  # whatever slows the machine for a while must not pass for its limit
                roofline.measure_flops(tries=1)
            bar.advance(task)
        bar.update(task, row="")
    for row in run["rows"]:
        if roofline:
            row["floor"], row["bound"] = roofline.floor(row["flops"], row["bytes"], row["bandwidth"])
        else:
            row["floor"], row["bound"] = 0.0, "arithmetic" if row["flops"] else "memory"
    copies += [row["bandwidth"] for row in run["rows"] if row["bound"] == "memory"]
    run |= {"flops": roofline and roofline.flops, "bandwidth": statistics.median(copies) if roofline else None}
    for family, members in groups(run["rows"]):
        console.print(table(family, COLUMNS, [cells(row) for row in members]))
    for failure in failures:
        console.print(f"[red]not measured[/]: {failure}")
    run["failures"] = failures
    return run


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    set_environment(args)
    if args.load:
        run = json.loads(args.load.read_text())
    else:
        run = measure_all(args)
    if args.json:
        args.json.write_text(json.dumps(run, indent=1))
    from rich.console import Console

    from report import SUMMARY, caption, markdown_rows, markdown_summary, summary, table, width

    if args.markdown:
        print(caption(run), markdown_summary(run), sep="\n\n")
        if args.markdown == "all":
            print("", markdown_rows(run), sep="\n")
    else:
        console = Console(width=width())
        console.print(table("Summary", SUMMARY, summary(run["rows"])))
        console.print(caption(run))
    return 1 if run["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
