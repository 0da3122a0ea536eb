"""How near are the kernels to what the processor can do?

    python -m bench.kernels                 # builds and runs csrc/test/bench_kernels.c
    python -m bench.kernels --ghz 4.1

Times are nanoseconds per document token of 128 dimensions for all query tokens together (the
interaction: per code). The *bound* is that of the products alone, 4,096 multiply-adds a token for
32 query tokens: at two dot-product instructions a cycle 32 cycles with AVX-512 VNNI, 64 with
AVX-VNNI, 128 with NEON; 4 with AMX, which multiplies a tile of 16 rows, 16 query tokens and 64
dimensions in 16 cycles. The clock is measured by a chain of dependent instructions.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.corpora import REPOSITORY
from bench.points import Points, parser

BOUND_CYCLES = {"amx": 4, "avx512": 32, "avxvnni": 64, "dotprod": 128}
"""Of the products of a token of 128 dimensions with 32 lanes."""
PRODUCTS = ("dot7", "dot8", "unpack+dot7+maxsim")

# An exclusive or and a rotation, each of one cycle and each waiting for the one before.
_CLOCK = r"""
#include <stdint.h>
#include <stdio.h>
#include <time.h>
int main(void) {
  double best = 0;
  uint64_t x = 1, y = 0x9e3779b97f4a7c15u;
  for (int round = 0; round < 30; round++) {
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < 2000000; i++) {
#define KEEP __asm__ volatile("" : "+r"(x));
#define STEP x ^= y; KEEP x = x << 7 | x >> 57; KEEP
      STEP STEP STEP STEP STEP STEP STEP STEP
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    double ns = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
    double ghz = 2000000.0 * 16.0 / ns;
    if (ghz > best) best = ghz;
  }
  printf("%.4f\n", best);
  return x == 0;
}
"""


@dataclass(frozen=True)
class Timing:
    """One line of the C benchmark: ns per token or code; 0 where dim or bits do not apply."""

    kernel: str
    isa: str
    lanes: int
    dim: int
    bits: int
    ns: float


def clock_ghz() -> float:
    """The clock of a core while it works."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "clock.c", Path(folder) / "clock"
        source.write_text(_CLOCK, encoding="ascii")
        subprocess.run(["cc", "-O2", str(source), "-o", str(program)], check=True)
        return float(subprocess.run([str(program)], capture_output=True, check=True).stdout)


def timings(repeats: int) -> list[Timing]:
    """Builds and runs the C benchmark; the least of several runs."""
    line = ["make", "-s", "-C", str(REPOSITORY / "csrc" / "test"), "bench"]
    best: dict[tuple[str, str, int, int, int], float] = {}
    for _ in range(repeats):
        output = subprocess.run(line, stdout=subprocess.PIPE, check=True, text=True).stdout
        for record in map(str.split, output.splitlines()):
            kernel, isa, lanes, dim, bits, ns = record
            key = (kernel, isa, int(lanes), int(dim), int(bits))
            best[key] = min(float(ns), best.get(key, float(ns)))
    return [Timing(*key, ns) for key, ns in best.items()]


def rows(measured: Sequence[Timing], lanes: int, ghz: float) -> list[dict[str, Any]]:
    """One row per kernel, one column per instruction set and its share of the bound."""
    sets = list(dict.fromkeys(one.isa for one in measured))
    kernels = dict.fromkeys((one.kernel, one.bits) for one in measured if one.lanes == lanes)
    table = []
    for kernel, bits in kernels:
        row: dict[str, Any] = {"kernel": kernel, "bits": bits or None}
        for isa in sets:
            found = [
                one
                for one in measured
                if (one.kernel, one.bits, one.isa, one.lanes) == (kernel, bits, isa, lanes)
            ]
            row[f"{isa} ns"] = found[0].ns if found else None
            share = _share(found[0], ghz) if found else None
            if isa in BOUND_CYCLES:
                row[f"{isa} of bound"] = share
        table.append(row)
    return table


def _share(one: Timing, ghz: float) -> str | None:
    """The bound's part of the time."""
    if one.kernel not in PRODUCTS or one.isa not in BOUND_CYCLES:
        return None
    bound = BOUND_CYCLES[one.isa] / ghz * one.lanes / 32 * one.dim / 128
    return f"{bound / one.ns:.0%}"


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("--ghz", type=float, help="clock; measured when left out")
    options.add_argument("--repeats", type=int, default=3, help="runs, of which the best counts")
    chosen = options.parse_args(arguments)
    ghz = chosen.ghz or clock_ghz()
    measured = timings(chosen.repeats)
    points = Points(chosen.results)
    for lanes in sorted({one.lanes for one in measured}, reverse=True):
        title = f"{lanes} query tokens, {ghz:.2f} GHz"
        points.add(title, *rows(measured, lanes, ghz))
    points.show()


if __name__ == "__main__":
    main()
