"""What a call costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.truth import K


class Cost(NamedTuple):
    """Milliseconds by the clock, and of the processor in all threads of the process."""

    ms: float
    cpu_ms: float


def timed(call: Callable[..., Any], *arguments: Any) -> Cost:
    """What a call costs."""
    start, cpu = time.perf_counter(), time.process_time()
    call(*arguments)
    return Cost((time.perf_counter() - start) * 1e3, (time.process_time() - cpu) * 1e3)


def timed_search(db: Any, query: Any, **settings: Any) -> Cost:
    """What a search costs; of the processor: in this thread."""
    start, cpu = time.perf_counter_ns(), time.thread_time_ns()
    db.search(query, K, **settings)
    return Cost((time.perf_counter_ns() - start) / 1e6, (time.thread_time_ns() - cpu) / 1e6)
