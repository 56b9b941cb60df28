"""The limits of this machine, measured: peak rate of fused multiply-adds, bandwidth of copies of each size."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from machine import caches

_SOURCE = Path(__file__).with_name("roofline.c")
_FLAGS = {
    "scalar": ["-DVECTOR_BYTES=16"],  # baseline x86-64: SSE2, multiplications and additions apart
    "avx2": ["-DVECTOR_BYTES=32", "-mavx2", "-mfma"],
    "avx512": ["-DVECTOR_BYTES=64", "-mavx512f", "-mfma"],
}
_SECONDS = 0.03
_FROM_MEMORY = 1 << 30  # bytes of which no cache holds a good part
# Seconds: calls from Python of which less than this is work are compared apart.
_CALL = 5e-6


class Roofline:
    """What `threads` cores can do with an ISA. Needs a C compiler named cc.

    Args:
        isa: "scalar", "avx2" or anything better.
        threads: How many cores work at the same time.

    Raises:
        OSError, subprocess.CalledProcessError: The loops cannot be compiled here.
    """

    def __init__(self, isa: str, threads: int):
        self.threads, self.flops = threads, 0.0
        self.cache = 1024 * max(caches().values(), default=0)
        self._copies: dict[int, float] = {}
        self._buffers: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
        with tempfile.TemporaryDirectory() as folder:
            library = f"{folder}/roofline.so"
            flags = _FLAGS.get(isa, _FLAGS["avx512"])
            subprocess.run(["cc", "-O2", "-shared", "-fPIC", *flags, str(_SOURCE), "-o", library], check=True)
            self._c = ctypes.CDLL(library)
        self._c.fma_rate.restype = self._c.copy_rate.restype = ctypes.c_double
        self._c.fma_rate.argtypes = [ctypes.c_double]
        self._c.copy_rate.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_double]

    def _together(self, work: Callable[[int], float]) -> float:
        """The sum of work(i) of all threads, started at the same time; ctypes releases the GIL."""
        rates, gate = [0.0] * self.threads, threading.Barrier(self.threads)

        def run(i: int) -> None:
            gate.wait()
            rates[i] = work(i)

        threads = [threading.Thread(target=run, args=(i,)) for i in range(self.threads)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return sum(rates)

    def measure_flops(self, tries: int) -> float:
        """Floating-point operations per second of float32 multiply-adds in registers: the best that was seen so far."""
        for _ in range(tries):
            self.flops = max(self.flops, self._together(lambda _: self._c.fma_rate(_SECONDS)))
        return self.flops

    def bandwidth(self, footprint: float) -> float:
        """Bytes read and written per second by a copy, where both sides together take about so many bytes.

        What fits a cache is copied at the speed of that cache; all that does not, from memory to memory. That is measured
        anew each time: on a machine shared with others it changes by the second.
        """
        if footprint > self.cache:
            return self._copy(_FROM_MEMORY, tries=1)
        footprint = 1 << max(16, round(np.log2(max(footprint, 1))))
        if footprint not in self._copies:
            self._copies[footprint] = self._copy(footprint, tries=3)
        return self._copies[footprint]

    def _copy(self, footprint: int, tries: int) -> float:
        """The better of plain and streaming stores."""
        count = footprint // 2 // 4 // self.threads // 16 * 16  # floats of a thread's part
        if footprint not in self._buffers:
            self._buffers[footprint] = [(_aligned(count), _aligned(count)) for _ in range(self.threads)]
        places = [(a.ctypes.data, b.ctypes.data) for a, b in self._buffers[footprint]]

        def rate(streaming: int) -> float:
            return self._together(lambda i: self._c.copy_rate(*places[i], count, streaming, _SECONDS))

        return max(rate(streaming) for _ in range(tries) for streaming in (0, 1))

    def floor(self, flops: float, moved: float, bandwidth: float) -> tuple[float, str]:
        """The least time for so many operations and bytes, and what it follows from.

        "arithmetic"; "memory"; "cache", if what is moved fits the last of them; or "call" where both take so little that
        the time is that of calling anything at all.
        """
        arithmetic, moving = flops / self.flops, moved / bandwidth
        if max(arithmetic, moving) < _CALL:
            return max(arithmetic, moving), "call"
        if arithmetic > moving:
            return arithmetic, "arithmetic"
        return moving, "memory" if moved > self.cache else "cache"


def _aligned(count: int) -> np.ndarray:
    raw = np.ones(count + 16, np.float32)  # written, so that the pages are there
    return raw[-raw.ctypes.data % 64 // 4 :][:count]
