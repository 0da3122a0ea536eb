"""`mvdb serve --stdio`: answers requests from one descriptor on another.

1. A thread reads lines, as far as the backlog has room, and puts them into the inbox.
2. The thread that runs the server takes them out, refuses what is no request, and starts calls.
3. The threads of the calls send the answers, in the order in which calls end.

The end of the input ends the server when all calls are answered. When nobody reads the answers any
more, the calls are cancelled.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import Any

import mvdb
from mvdb.errors import shown
from mvdb.serving import messages
from mvdb.serving.backlog import Backlog
from mvdb.serving.calls import Calls
from mvdb.serving.error_codes import (
    INTERNAL,
    INVALID_PARAMS,
    LINE_TOO_LONG,
    UNKNOWN_METHOD,
    message_of,
)
from mvdb.serving.lines import MAX_LINE, LineWriter, read_lines
from mvdb.serving.messages import Refusal, Request
from mvdb.serving.methods import Method, table

_CANCEL = "cancel"
_PATIENCE = 0.5
"""Seconds between two looks at the output, after the end of the input."""


class StdioServer:
    """Serves one database. encoder: the name of the database's, None without one. extra: methods
    beside those of a database, by name."""

    def __init__(
        self,
        db: mvdb.Database,
        input: int,
        output: int,
        *,
        encoder: str | None = None,
        extra: Mapping[str, Method] | None = None,
    ) -> None:
        self._input = input
        self._writer = LineWriter(output)
        self._methods = table(encoder, extra or {})
        self._calls = Calls(db, self._send)
        self._backlog = Backlog()
        self._inbox: SimpleQueue[tuple[bytes | None, int] | None] = SimpleQueue()
        self._is_deaf = threading.Event()
        """Set when nobody reads the answers."""

    def run(self) -> None:
        """Serves until the end of the input, or until nobody reads the answers."""
        # A daemon, since nothing ends a thread that waits for input.
        threading.Thread(target=self._read, name="mvdb-requests", daemon=True).start()
        try:
            while (item := self._inbox.get()) is not None and not self._is_deaf.is_set():
                self._take(*item)
            # An application that has died leaves its calls behind. A long one sends nothing that
            # could fail, so that the output is asked.
            while not self._calls.wait(_PATIENCE):
                if not self._writer.is_read():
                    self._give_up()
        except BaseException:
            self._calls.cancel_all()
            raise
        finally:
            self._calls.close()

    def _read(self) -> None:
        try:
            for line in read_lines(self._input):
                size = 0 if line is None else len(line)
                self._backlog.enter(size)
                self._inbox.put((line, size))
        except OSError:
            pass  # the input is gone, which is its end
        finally:
            self._inbox.put(None)

    def _take(self, line: bytes | None, size: int) -> None:
        """Answers a line, or starts the call that will."""
        ended = partial(self._backlog.leave, size)
        try:
            if line is None:
                limit = f"{MAX_LINE >> 20} MiB"
                raise Refusal(LINE_TOO_LONG, f"a line has at most {limit}; send smaller batches")
            if not line.strip():
                return ended()
            request = messages.parse(line)
            if request.method == _CANCEL:
                self._send(messages.result(request.id, self._cancel(request)))
            else:
                return self._calls.start(request, self._method(request), ended)
        except Refusal as refusal:
            self._send(messages.failure(refusal.id, refusal.code, str(refusal)))
        ended()

    def _method(self, request: Request) -> Method:
        method = self._methods.get(request.method)
        if method is None:
            known = ", ".join(sorted([*self._methods, _CANCEL]))
            fault = f"there is no method {shown(request.method)}; the methods are {known}"
            raise Refusal(UNKNOWN_METHOD, fault, request.id)
        method.check(request)
        return method

    def _cancel(self, request: Request) -> bool:
        id = request.params.get("id")
        if request.params.keys() != {"id"} or not isinstance(id, (str, int)):
            raise Refusal(INVALID_PARAMS, "cancel: params are the id of a call", request.id)
        return self._calls.cancel(id)

    def _send(self, message: dict[str, Any]) -> None:
        if self._is_deaf.is_set():
            return
        try:
            self._writer.write(message)
        except OSError:
            self._give_up()
        except Exception as error:  # a value that JSON lacks
            self._writer.write(messages.failure(message["id"], INTERNAL, message_of(error)))

    def _give_up(self) -> None:
        self._is_deaf.set()
        self._inbox.put(None)
        self._calls.cancel_all()


@contextmanager
def own_stdio() -> Iterator[tuple[int, int]]:
    """Descriptors of standard input and output for the protocol alone: what else the process
    prints goes to standard error, and what else reads finds the end."""
    sys.stdout.flush()
    input, output = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        yield input, output
        sys.stdout.flush()
    finally:
        os.dup2(input, 0)  # stays open: a thread may be waiting for it
        os.dup2(output, 1)
        os.close(nothing)
        os.close(output)
