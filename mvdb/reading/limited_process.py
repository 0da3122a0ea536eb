"""A process of its own, with limits of time and memory, for a library that a file can make run or
grow without end.

1. The process is started when a file first needs it, and serves one file after the other: starting
   takes as long as reading some pages.
2. A request is the length of the data, 8 bytes, and the data; the answer is lines of JSON, the last
   of which is `true`, or `false` where the time was over between two values.
3. A process that grows beyond its memory, or does not come to the next value in time, is ended by
   the system. The answer breaks off there; the next request starts another process.
4. A process ends when the one that started it is gone, and when nothing is asked for a minute.

Without the module `resource` (Windows) only the time on the clock is limited."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

SECONDS = 8
"""Processor time for one request: 400 to 800 pages of a PDF. Starting takes 1 s more."""
CLOCK_SECONDS = 120
"""Time on the clock: a machine may be busy."""
IDLE_SECONDS = 60
MEMORY = 640 << 20
"""Bytes beyond those that the process has before its first request."""

_OF_IDLENESS = getattr(signal, "SIGALRM", 0)


class LimitedProcess:
    """Runs `serve` with a function of a module elsewhere. Threads take turns."""

    def __init__(self, module: str, function: str) -> None:
        """module, function: what answers a request, as `serve` takes it."""
        self._module = module
        self._function = function
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, data: bytes) -> tuple[list[Any], bool]:
        """The values of an answer, and whether they are all."""
        with self._lock:
            process = self._running()
            answer = _in_clock_time(process, data)
            if not answer and process.wait() == -_OF_IDLENESS:  # it ended as it was asked
                process = self._running()
                answer = _in_clock_time(process, data)
            if answer and isinstance(answer[-1], bool):
                return answer[:-1], answer[-1]
            self._end()
            return answer, False

    def end(self) -> None:
        """Ends the process if there is one; the next request starts another."""
        with self._lock:
            self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        mine = self._owner == os.getpid()  # a forked process has its own
        if self._process is not None and mine and self._process.poll() is None:
            return self._process
        if mine:
            self._end()
        self._owner = os.getpid()
        path = [os.path.abspath(place or os.curdir) for place in sys.path]
        program = (
            f"import sys; sys.path[:] = {path!r}; from {__name__} import serve; "
            f"from {self._module} import {self._function} as function; serve(function)"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        process.kill()
        process.wait()


def _in_clock_time(process: subprocess.Popen[bytes], data: bytes) -> list[Any]:
    timer = threading.Timer(CLOCK_SECONDS, process.kill)
    timer.daemon = True
    timer.start()
    try:
        return list(_exchanged(process, data))
    finally:
        timer.cancel()


def _exchanged(process: subprocess.Popen[bytes], data: bytes) -> Iterator[Any]:
    """The lines of an answer; they break off where the process ends."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(OSError):  # it has ended
        process.stdin.write(len(data).to_bytes(8, "little") + data)
        process.stdin.flush()
        for line in process.stdout:
            if not line.endswith(b"\n"):
                return
            value = json.loads(line)
            yield value
            if isinstance(value, bool):
                return


def serve(function: Callable[[bytes], Iterable[Any]]) -> None:
    """Answers requests on standard input until there are no more. What `function` gives must be
    fit for JSON, and neither true nor false."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    _limit_memory()
    while True:
        _alarm(IDLE_SECONDS)
        head = requests.read(8)
        _alarm(0)
        if len(head) < 8:
            return
        _limit_time()
        for value in _in_time(function(requests.read(int.from_bytes(head, "little")))):
            answers.write(json.dumps(value).encode() + b"\n")
            answers.flush()


def _in_time(values: Iterable[Any]) -> Iterator[Any]:
    start = time.process_time()
    for value in values:
        yield value
        if time.process_time() - start > SECONDS:
            yield False
            return
    yield True


def _alarm(seconds: int) -> None:
    """Ends this process after so many seconds, or no longer if they are 0."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _limit_memory() -> None:
    """Limits addresses: resident memory cannot be limited. Only Linux keeps to it."""
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))


def _limit_time() -> None:
    """Limits the time to the next value roughly: the system counts it in ticks of a clock."""
    if sys.platform != "win32":
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        most = int(used.ru_utime + used.ru_stime) + 1 + SECONDS
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (most if hard < 0 else min(most, hard), hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
