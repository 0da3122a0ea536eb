"""A timer: calls functions later, in one thread for the whole process that lives only while an
appointment is open.

An appointment is a function and a time. Functions are called one after the other and must be short:
long work belongs to a thread of its own.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from mvdb.threads import workers


@dataclass(frozen=True, eq=False)
class Appointment:
    """A time in seconds of the monotonic clock, and a function that raises nothing."""

    when: float
    function: Callable[[], None]


class Scheduler:
    """Thread-safe; empty in a child after `fork`."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Back to the state of a new scheduler."""
        self._changed = threading.Condition()
        self._appointments: set[Appointment] = set()
        self._present: Appointment | None = None
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def call_later(self, seconds: float, function: Callable[[], None]) -> Appointment:
        """Calls `function` after about `seconds`, unless `cancel` or `stop` comes first.

        Raises RuntimeError when the system has no thread for it."""
        appointment = Appointment(time.monotonic() + seconds, function)
        with self._changed:
            if not self._is_stopped:
                if self._thread is None or not self._thread.is_alive():
                    thread = threading.Thread(target=self._run, name="mvdb-scheduler", daemon=True)
                    thread.start()
                    self._thread = thread
                self._appointments.add(appointment)
                self._changed.notify_all()
        return appointment

    def cancel(self, appointment: Appointment) -> None:
        """On return the function is not running and will not be called, unless it is the caller
        itself or the scheduler was stopped. Harmless when it was called already."""
        with self._changed:
            self._appointments.discard(appointment)
            self._changed.notify_all()
            if threading.current_thread() is not self._thread:
                self._changed.wait_for(lambda: self._present is not appointment or self._is_stopped)

    def stop(self, seconds: float) -> None:
        """Ends the thread for good after its present function; waits at most `seconds` for it."""
        with self._changed:
            self._is_stopped = True
            self._appointments.clear()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            workers.join([thread], seconds)

    def _run(self) -> None:
        while (appointment := self._next()) is not None:
            try:
                appointment.function()
            finally:
                with self._changed:
                    self._present = None
                    self._changed.notify_all()

    def _next(self) -> Appointment | None:
        """Waits for the next appointment's time; None when no appointment is left."""
        with self._changed:
            while self._appointments:
                first = min(self._appointments, key=lambda one: one.when)
                seconds = first.when - time.monotonic()
                if seconds <= 0:
                    self._appointments.discard(first)
                    self._present = first
                    return first
                self._changed.wait(seconds)
            self._thread = None
            return None


LATER = Scheduler()
"""For all databases of the process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=LATER.forget)
