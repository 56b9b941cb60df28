"""The limits of this machine, measured: peak rate of fused multiply-adds, bandwidth of copies of each size."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

_SOURCE = Path(__file__).with_name("roofline.c")
_FLAGS = {
    "scalar": ["-DVECTOR_BYTES=16"],  # baseline x86-64: SSE2, multiplications and additions apart
    "avx2": ["-DVECTOR_BYTES=32", "-mavx2", "-mfma"],
    "avx512": ["-DVECTOR_BYTES=64", "-mavx512f", "-mfma"],
}
_SECONDS = 0.03


class Roofline:
    """What `threads` cores can do with an ISA. Needs a C compiler named cc.

    Args:
        isa: "scalar", "avx2" or anything better.
        threads: How many cores work at the same time.

    Raises:
        OSError, subprocess.CalledProcessError: The loops cannot be compiled here.
    """

    def __init__(self, isa: str, threads: int):
        self.threads = threads
        self._copies: dict[int, float] = {}
        with tempfile.TemporaryDirectory() as folder:
            library = f"{folder}/roofline.so"
            flags = _FLAGS.get(isa, _FLAGS["avx512"])
            subprocess.run(["cc", "-O2", "-shared", "-fPIC", *flags, str(_SOURCE), "-o", library], check=True)
            self._c = ctypes.CDLL(library)
        self._c.fma_rate.restype = self._c.copy_rate.restype = ctypes.c_double
        self._c.fma_rate.argtypes = [ctypes.c_double]
        self._c.copy_rate.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_double]

    def _together(self, work: Callable[[int], float]) -> float:
        """The sum of work(i) of each thread; ctypes releases the GIL."""
        rates = [0.0] * self.threads

        def run(i: int) -> None:
            rates[i] = work(i)

        threads = [threading.Thread(target=run, args=(i,)) for i in range(self.threads)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return sum(rates)

    @functools.cached_property
    def flops(self) -> float:
        """Floating-point operations per second of float32 multiply-adds in registers: the best of ten tries."""
        return max(self._together(lambda _: self._c.fma_rate(_SECONDS)) for _ in range(10))

    def bandwidth(self, footprint: float) -> float:
        """Bytes read and written per second by a copy, where both sides together take about so many bytes.

        What fits a cache is copied at the speed of that cache. The better of plain and streaming stores.
        """
        footprint = 1 << max(16, min(29, round(np.log2(max(footprint, 1)))))
        if footprint not in self._copies:
            self._copies[footprint] = self._copy(footprint)
        return self._copies[footprint]

    def _copy(self, footprint: int) -> float:
        count = footprint // 2 // 4 // self.threads // 16 * 16  # floats of a thread's part
        buffers = [(_aligned(count), _aligned(count)) for _ in range(self.threads)]

        def rate(streaming: int) -> float:
            return self._together(
                lambda i: self._c.copy_rate(
                    buffers[i][0].ctypes.data, buffers[i][1].ctypes.data, count, streaming, _SECONDS
                )
            )

        return max(rate(streaming) for _ in range(3) for streaming in (0, 1))

    def seconds(self, flops: float, bytes_moved: float) -> tuple[float, str]:
        """The least time for so much work, and which of the two limits it: "arithmetic" or "memory"."""
        arithmetic, memory = flops / self.flops, bytes_moved / self.bandwidth(bytes_moved)
        return max(arithmetic, memory), "arithmetic" if arithmetic > memory else "memory"


def _aligned(count: int) -> np.ndarray:
    raw = np.ones(count + 16, np.float32)  # written, so that the pages are there
    return raw[-raw.ctypes.data % 64 // 4 :][:count]
