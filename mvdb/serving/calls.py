"""The calls under way: their threads, their ends, their cancellation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import mvdb
from mvdb.serving import messages
from mvdb.serving.error_codes import INVALID_REQUEST, code_of, message_of
from mvdb.serving.messages import Refusal, Request, RequestId
from mvdb.serving.methods import THREADS, Method
from mvdb.serving.watch import Watch

Send = Callable[[dict[str, Any]], None]
"""Sends a message; never raises."""


@dataclass
class _Call:
    request: Request
    watch: Watch
    ended: Callable[[], None]
    future: Future[None] | None = field(default=None)


class Calls:
    """Runs calls of one database. `start` is for one thread; the other methods and `send` are for
    any."""

    def __init__(self, db: mvdb.Database, send: Send) -> None:
        self._db = db
        self._send = send
        self._lanes = {
            lane: ThreadPoolExecutor(number, f"mvdb-{lane.value}")
            for lane, number in THREADS.items()
        }
        self._changed = threading.Condition()
        self._unanswered = 0
        self._calls: dict[RequestId, _Call] = {}

    def start(self, request: Request, method: Method, ended: Callable[[], None]) -> None:
        """Begins a call, or puts it behind others of its lane. `ended` follows its answer. Raises
        Refusal when a call of the same id is under way."""
        id = request.id
        report = None
        if request.wants_progress:

            def report(**figures: Any) -> None:
                self._send(messages.progress(id, **figures))

        call = _Call(request, Watch(report), ended)
        with self._changed:
            if id in self._calls:
                raise Refusal(INVALID_REQUEST, f"id: a call {id!r} is under way; take another", id)
            self._calls[id] = call
            self._unanswered += 1
            call.future = self._lanes[method.lane].submit(self._run, call, method)

    def _run(self, call: _Call, method: Method) -> None:
        id = call.request.id
        try:
            answer = messages.result(id, method.run(self._db, call.request.params, call.watch))
        except BaseException as error:
            answer = messages.failure(id, code_of(error), message_of(error))
        self._end(call, answer)

    def _end(self, call: _Call, answer: dict[str, Any]) -> None:
        with self._changed:
            if self._calls.get(call.request.id) is not call:
                return  # two threads have cancelled it
            del self._calls[call.request.id]
        self._send(answer)
        call.ended()
        with self._changed:
            self._unanswered -= 1
            self._changed.notify_all()

    def cancel(self, id: RequestId) -> bool:
        """Cancels a call; whether there is such a call. One that waits ends at once, one that runs
        at its next check, if it has any."""
        with self._changed:
            call = self._calls.get(id)
        if call is None:
            return False
        call.watch.cancel.set()
        if call.future is not None and call.future.cancel():
            error = mvdb.CancelledError("the call was cancelled before it began")
            self._end(call, messages.failure(id, code_of(error), str(error)))
        return True

    def cancel_all(self) -> None:
        """Cancels all calls."""
        with self._changed:
            ids = list(self._calls)
        for id in ids:
            self.cancel(id)

    def wait(self, seconds: float) -> bool:
        """Waits until all calls are answered, for so long at most; whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._unanswered, seconds)

    def close(self) -> None:
        """Ends the threads, after the calls under way; no others can begin."""
        for lane in self._lanes.values():
            lane.shutdown()
