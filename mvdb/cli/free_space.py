"""A hint where a file is mostly free space."""

from __future__ import annotations

import argparse

import mvdb
from mvdb.cli.console import Console, size

_LARGE_SHARE = 0.5
"""Share of the file from which its free pages are worth a word."""
_LEAST_BYTES = 1 << 20
"""A smaller file is not worth the work."""


def hint_to_compact(stats: mvdb.Stats, arguments: argparse.Namespace, console: Console) -> None:
    """Says that `mvdb compact` would shrink the file, where more than half of it is free."""
    if console.as_json or console.quiet:
        return
    if stats.file_bytes < _LEAST_BYTES or stats.free_bytes < _LARGE_SHARE * stats.file_bytes:
        return
    free, whole = size(stats.free_bytes), size(stats.file_bytes)
    console.note(
        f"{free} of {whole} are free: mvdb compact {arguments.file} makes the file smaller"
    )
