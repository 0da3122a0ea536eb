"""Runs of a model side by side, a thread each. Nothing of it is kept between calls but idle threads
(`mvdb.threads.workers`), which end by themselves."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from mvdb.arguments import whole_number
from mvdb.encoders.encoder_rows import Rows
from mvdb.threads.workers import Workers, ordered_map

_MOST_THREADS = 1024


class ParallelRuns:
    """At most `threads` runs at once; None: one for each processor that the process may use."""

    def __init__(self, threads: int | None) -> None:
        if threads is not None:
            whole_number("threads", threads, 1, _MOST_THREADS)
        self._threads = threads or _usable_processors()
        self._workers = Workers(self._threads, "mvdb-encode")

    def map(self, run: Callable[[Any], Rows], inputs: Sequence[Sequence[Any]]) -> list[Rows]:
        """The results for the inputs, in their order. A single input runs on the caller's thread.

        The longest input is run first, so that the last runs to end are short ones."""
        order = sorted(range(len(inputs)), key=lambda index: -len(inputs[index]))
        ordered = (inputs[index] for index in order)
        if self._threads == 1:
            results = map(run, ordered)
        else:
            results = ordered_map(self._workers, run, ordered, 2 * self._threads)  # type: ignore[assignment]
        found = dict(zip(order, results, strict=True))
        return [found[index] for index in range(len(inputs))]


def _usable_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
