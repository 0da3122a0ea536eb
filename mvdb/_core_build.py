"""Builds the compiled module ``mvdb._core``: CFFI in API mode over the C sources of ``csrc``."""

from __future__ import annotations

import sys
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "csrc").glob("*/*.c")
    if path.parent.name != "test"
)

if sys.platform == "win32":
    FLAGS = ["/O2", "/std:c11", "/fp:precise", "/W3"]
else:
    # No contraction into fused multiply-adds: every instruction set must give the same bits. The
    # other two change no result; they let loops with comparisons and roots use vectors.
    FLAGS = [
        "-std=c11",
        "-O3",
        "-ffp-contract=off",
        "-fno-math-errno",
        "-fno-trapping-math",
        # Some loops take a fifth longer where their first instruction lies badly.
        "-falign-functions=64",
        "-falign-loops=32",
        "-fvisibility=hidden",
    ]

ffibuilder = FFI()
ffibuilder.cdef((ROOT / "mvdb" / "core.cdef.h").read_text(encoding="utf-8"))
ffibuilder.set_source(
    "mvdb._core",
    '#include "mvdb.h"\n#include "lexical/terms.h"',
    sources=SOURCES,
    include_dirs=["csrc"],
    extra_compile_args=FLAGS,
    py_limited_api=True,
    define_macros=[("Py_LIMITED_API", "0x030A0000")],
)

if __name__ == "__main__":
    ffibuilder.compile(tmpdir=str(ROOT), verbose=True)
