"""Single ops against PyTorch on the CPU: python bench/ops.py [--threads N] [--seconds S] [name ...]

Needs PyTorch beside kcore. Prints milliseconds, GFLOP/s or GB/s, and the ratio (above 1: kcore is faster).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import kcore
from kcore import _core, ops
from kcore.autograd import apply
from timing import compare, geometric_mean

Row = tuple[str, Callable, Callable, float, str, float]  # name, kcore, torch, work, unit of the work, tolerance


def array(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def both(x: np.ndarray) -> tuple[kcore.ops.convert_to_tensor, torch.Tensor]:
    return ops.convert_to_tensor(x), torch.from_numpy(x.copy())


def products() -> Iterator[Row]:
    for m, n, k in [
        (256, 256, 256),
        (1024, 1024, 1024),
        (2048, 2048, 2048),
        (128, 512, 784),
        (2048, 1024, 256),
        (1, 4096, 4096),
    ]:
        (a, ta), (b, tb) = both(array(m, k)), both(array(k, n))
        yield (
            f"matmul {m}x{n}x{k}",
            lambda a=a, b=b: ops.matmul(a, b),
            lambda ta=ta, tb=tb: ta @ tb,
            2.0 * m * n * k,
            "flop",
            1e-5,
        )


def convolutions() -> Iterator[Row]:
    for n, h, c, f, k, s in [
        (64, 32, 16, 16, 3, 1),
        (8, 56, 64, 64, 3, 1),
        (8, 28, 128, 128, 3, 2),
        (8, 56, 256, 64, 1, 1),
        (32, 28, 1, 32, 3, 1),
    ]:
        (x, tx), (w, tw) = both(array(n, h, h, c)), both(array(k, k, c, f))
        tx = tx.permute(0, 3, 1, 2)  # channels_last in memory
        tw = tw.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
        pad = k // 2
        attrs = {"strides": [s, s], "pads": [pad] * 4, "dilations": [1, 1], "groups": 1}
        out = (h + 2 * pad - k) // s + 1

        def ours(x=x, w=w, attrs=attrs):
            return apply("conv", (x, w), attrs)

        def theirs(tx=tx, tw=tw, s=s, pad=pad):
            return torch.nn.functional.conv2d(tx, tw, stride=s, padding=pad).permute(0, 2, 3, 1)

        yield (
            f"conv {n}x{h}x{h}x{c} {k}x{k}/{s} -> {f}",
            ours,
            theirs,
            2.0 * n * out * out * f * k * k * c,
            "flop",
            1e-5,
        )


def memory_bound() -> Iterator[Row]:
    x, tx = both(array(64, 56, 56, 64))
    size = 4.0 * 64 * 56 * 56 * 64
    yield "relu 51 MB", lambda: ops.relu(x), lambda: torch.relu(tx), 2 * size, "byte", 0
    yield "add 51 MB", lambda: ops.add(x, x), lambda: tx + tx, 3 * size, "byte", 0
    yield "exp 51 MB", lambda: ops.exp(x), lambda: torch.exp(tx), 2 * size, "byte", 1e-6
    yield "sum 51 MB", lambda: ops.sum(x), lambda: tx.sum(), size, "byte", 1e-2
    yield "softmax 51 MB", lambda: ops.softmax(x), lambda: torch.softmax(tx, -1), 2 * size, "byte", 1e-5
    t, tt = both(array(4096, 4096))
    yield "transpose 64 MB", lambda: ops.transpose(t), lambda: tt.T.contiguous(), 2 * 4.0 * 4096**2, "byte", 0
    tx4 = tx.permute(0, 3, 1, 2)
    yield (
        "max_pool 2x2 51 MB",
        lambda: ops.max_pool(x, 2),
        lambda: torch.nn.functional.max_pool2d(tx4, 2).permute(0, 2, 3, 1),
        1.25 * size,
        "byte",
        0,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only ops whose name contains one of these")
    parser.add_argument("--threads", type=int, default=_core.num_threads())
    parser.add_argument("--seconds", type=float, default=0.5, help="time for each")
    args = parser.parse_args()
    _core.set_num_threads(args.threads)
    torch.set_num_threads(args.threads)

    versions = f"kcore {kcore.__version__} ({_core.isa()}), PyTorch {torch.__version__}"
    title = f"{versions}, float32, {args.threads} threads, medians"
    table = Table("op", "kcore ms", "PyTorch ms", "kcore", "PyTorch", "ratio", title=title)
    ratios = []
    with torch.no_grad(), Console().status("measuring"):
        for family in (products, convolutions, memory_bound):
            for name, ours, theirs, work, unit, tolerance in family():
                if args.names and not any(part in name for part in args.names):
                    continue
                t = compare(name, {"kcore": ours, "PyTorch": theirs}, tolerance, args.seconds)
                rate = {who: f"{work / s / 1e9:.0f} {'GFLOP/s' if unit == 'flop' else 'GB/s'}" for who, s in t.items()}
                ratios.append(t["PyTorch"] / t["kcore"])
                table.add_row(
                    name,
                    f"{t['kcore'] * 1e3:.3f}",
                    f"{t['PyTorch'] * 1e3:.3f}",
                    rate["kcore"],
                    rate["PyTorch"],
                    f"{ratios[-1]:.2f}",
                )
    Console(width=120).print(table)
    print(f"geometric mean of the ratios: {geometric_mean(ratios):.2f}")


if __name__ == "__main__":
    main()
