"""The C core has layers, and includes go down only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"

C_LAYERS = ("base", "kernels", "codec", "centroids", "postings", "search", "test")
"""From the bottom. ``mvdb.h`` declares the public API; what is above ``kernels`` may include it."""

C_BESIDE = {("postings", "centroids")}
"""Layers that do not know each other though one stands above the other: lists are of codes, however
they were come by."""

SYSTEM_HEADERS = (
    *("stdio.h", "fcntl.h", "pthread.h", "threads.h"),
    *("unistd.h", "sys/mman.h", "sys/stat.h", "windows.h"),
)
MAY_CALL_THE_SYSTEM = {"search/prefetch.c": {"unistd.h", "sys/mman.h", "windows.h"}}

_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def c_files() -> list[Path]:
    return sorted([*CSRC.rglob("*.c"), *CSRC.rglob("*.h")])


@pytest.mark.parametrize("path", c_files(), ids=lambda path: str(path.relative_to(CSRC)))
def test_c_includes_go_down(path: Path) -> None:
    inside = path.relative_to(CSRC).parts
    layer = inside[0] if len(inside) > 1 else "mvdb.h"
    assert layer == "mvdb.h" or layer in C_LAYERS, f"{layer} is new: give it a place in C_LAYERS"
    for name in _INCLUDE.findall(path.read_text(encoding="utf-8")):
        target = (path.parent / name).resolve()
        assert target.is_file(), f"{path}: {name} is not there"
        parts = target.relative_to(CSRC).parts
        below = parts[0] if len(parts) > 1 else "mvdb.h"
        assert may_include(layer, below), f"{path} includes {name}: {layer} stands below {below}"


def may_include(layer: str, below: str) -> bool:
    if layer == "mvdb.h":
        return below == "base"
    if below == "mvdb.h":
        return C_LAYERS.index(layer) > C_LAYERS.index("kernels")
    if (layer, below) in C_BESIDE:
        return False
    return C_LAYERS.index(below) <= C_LAYERS.index(layer)


def test_the_core_does_no_input_or_output() -> None:
    """The C core touches no files: its callers give it bytes. What it asks of the system, to read
    mapped bytes ahead, it asks in one place."""
    for path in c_files():
        if path.relative_to(CSRC).parts[0] == "test":
            continue
        text = path.read_text(encoding="utf-8")
        allowed = MAY_CALL_THE_SYSTEM.get(path.relative_to(CSRC).as_posix(), set())
        for header in SYSTEM_HEADERS:
            if header not in allowed:
                assert f"<{header}>" not in text, f"{path} includes <{header}>"
