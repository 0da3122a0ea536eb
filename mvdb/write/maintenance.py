"""Schedule of maintenance: in a background thread after opening and commits, or in `optimize()`.

The work itself is in maintenance_steps.py. The background thread of a collection exists while work
is due; of the threads of a file's collections one works at a time (turns.py). A later check for due
work, after opening or a failure, is an appointment of the process's scheduler. At the interpreter's
end all threads are stopped before the files are closed.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Generator
from contextlib import suppress

from mvdb.errors import ClosedError
from mvdb.limits import Limits
from mvdb.state import manifest, unpublished
from mvdb.state.lexical_identity import Lexical
from mvdb.state.relevance_level import LEAST_DOCUMENTS
from mvdb.threads import workers
from mvdb.threads.scheduler import LATER, Appointment
from mvdb.write import extend_codebook, maintenance_steps, measure_level, merge_policy
from mvdb.write.maintenance_steps import Inline
from mvdb.write.step_transactions import StepTransactions

NICENESS = 10


class Maintenance:
    """The schedule of one collection's maintenance. Thread-safe; lives as long as it is open."""

    def __init__(self, steps: StepTransactions, *, in_background: bool) -> None:
        self._steps = steps
        self.limits = steps.limits
        self._in_background = in_background
        self._thread: threading.Thread | None = None
        self._optimising = 0  # calls of `work`
        self._is_at_work = False  # the thread runs; it checks once more before it ends
        self._again = False  # a commit came after the thread's last check began
        self._appointment: Appointment | None = None
        self._step_name = ""  # of the thread
        self.error: str | None = None
        """The last failure in the background; None after a later success."""
        self._pause = 0.0
        self._make_locks()
        _all.add(self)
        if _ending:
            steps.stop()

    def _make_locks(self) -> None:
        self._lock = threading.Lock()  # guards the attributes above

    # ---- calls ----

    def opened(self) -> None:
        """After opening: background work begins `opening_seconds` later, if it is due then and no
        other process has a recent heartbeat."""
        if self._in_background:
            self._look_later(self.limits.opening_seconds)

    def committed(self) -> None:
        """After a commit: begins background work if it is due. Raises nothing, because the commit
        has succeeded."""
        if not self._in_background or self._steps.stopped:
            return
        if self.error is not None and self._appointment is not None:
            return  # the appointment tries again, not each commit
        with self._lock:
            if self._is_at_work:
                self._again = True
                return
        self._begin_if_due()

    def keep_up(self) -> None:
        """Between the transactions of a stream, which leave the background thread little time: adds
        the centroids that are due, for the next documents."""
        with suppress(ClosedError):
            maintenance_steps.extend(self._steps, self._steps.resources.executor)

    def work(
        self, lexical: Lexical | None, check: Callable[[], None]
    ) -> Generator[str, None, None]:
        """`maintenance_steps.optimise`, while the background does nothing: a merge under way there
        is given up, as its documents are to be merged with all others. Raises BusyError when this
        thread has a write transaction open, ClosedError when the database is closed meanwhile, and
        what `check` raises."""
        self._steps.environment.refuse_if_writing()
        with self._lock:
            self._optimising += 1
        is_done = False
        try:
            with self._steps.turns.working(self._steps.check):
                yield from maintenance_steps.optimise(self._steps, lexical, check)
            is_done = True
        finally:
            with self._lock:
                self._optimising -= 1
            if not is_done:
                self.committed()  # the merge that was given up is due again
        self._succeeded()

    def stop(self) -> None:
        """Ends the background thread after its present step. The segment of a merge under way stays
        unpublished."""
        thread = self.begin_to_stop()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def begin_to_stop(self) -> threading.Thread | None:
        """`stop` without waiting; the thread to wait for."""
        with self._lock:
            self._steps.stop()
            appointment, self._appointment = self._appointment, None
        if appointment is not None:
            LATER.cancel(appointment)
        return self._thread

    def forget(self) -> None:
        """In a child after `fork`, which has no thread and inherits the state of the locks."""
        self._make_locks()
        self._steps.forget()
        self._steps.stop()
        self._is_at_work, self._appointment, self._thread = False, None, None
        self._optimising = 0

    # ---- looking for work ----

    def _look_later(self, seconds: float) -> None:
        reference = weakref.WeakMethod(self._look)  # a forgotten handle is collected

        def function() -> None:
            if look := reference():
                look()

        try:
            appointment = LATER.call_later(seconds, function)
        except RuntimeError as error:  # the system has no thread: the next commit looks
            self._appointment = None
            self._note("starting", error)
            return
        with self._lock:
            if not self._steps.stopped:
                self._appointment = appointment
                return
        LATER.cancel(appointment)

    def _look(self) -> None:
        """The appointment after opening or after a failure. Leaves work to another process with a
        recent heartbeat, unless this one has failed: the heartbeat may then be its own."""
        self._begin_if_due(leave_to_others=self.error is None)

    def _begin_if_due(self, *, leave_to_others: bool = False) -> None:
        limits = self.limits
        try:
            with self._steps.environment.read() as txn:  # no state: that would open segments
                current, patience = manifest.load(txn), limits.heartbeat_seconds
                is_others = leave_to_others and unpublished.is_at_work(txn, patience)
                run = merge_policy.next_merge(txn, current, limits, merge_policy.due)
            if is_others:
                self._look_later(patience)
            elif run or extend_codebook.is_due(current, limits) or self._is_level_due():
                self._start()
            else:
                self._succeeded()
        except Exception as error:
            self._failed("looking for work", error)

    def _failed(self, step: str, error: BaseException) -> None:
        """Keeps a failure, and tries again after a pause."""
        if self._steps.stopped or isinstance(error, ClosedError):  # or the collection is dropped
            return
        self._note(step, error)
        limits = self.limits
        self._pause = min(max(limits.retry_seconds, 2 * self._pause), limits.longest_retry_seconds)
        self._look_later(self._pause)

    def _note(self, step: str, error: BaseException) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.error = f"{moment}, {step}: {type(error).__name__}: {error}"

    def _succeeded(self) -> None:
        self.error, self._pause = None, 0.0

    # ---- the thread ----

    def _start(self) -> None:
        with self._lock:
            self._again = True
            if self._steps.stopped or self._is_at_work:
                return
            thread = threading.Thread(target=self._run, name="mvdb-maintenance", daemon=True)
            thread.start()
            self._thread, self._is_at_work = thread, True
            appointment, self._appointment = self._appointment, None
        if appointment is not None:
            LATER.cancel(appointment)

    def _run(self) -> None:
        """The background thread: at most one processor, at low priority."""
        _lower_priority()
        try:
            with self._steps.turns.working(self._steps.check):
                while self._goes_on():
                    while self._work_once():
                        pass
            self._succeeded()
        except BaseException as error:  # kept for `stats`: no caller would get it
            with self._lock:
                self._is_at_work = False
            self._failed(self._step_name, error)

    def _goes_on(self) -> bool:
        """Whether a commit came after the thread's last check for work began."""
        with self._lock:
            self._is_at_work, self._again = self._again and not self._steps.stopped, False
            return self._is_at_work

    def _work_once(self) -> bool:
        """One piece of work; False when none is due, or another process was first."""
        executor = Inline(self._steps.check)
        self._step_name = "adding centroids"
        if maintenance_steps.extend(self._steps, executor):
            return True
        self._step_name = "merging"
        infos = maintenance_steps.next_merge(self._steps, merge_policy.due)
        try:
            if infos and maintenance_steps.merge(self._steps, infos, executor, self._give_way):
                return True
        except _GivenUp:
            return False
        self._step_name = "measuring relevance"
        return self._is_level_due() and measure_level.measure(self._steps)

    def _give_way(self) -> None:
        if self._optimising:
            raise _GivenUp

    def _is_level_due(self) -> bool:
        return measure_level.is_due(self._steps, LEAST_DOCUMENTS)


class _GivenUp(Exception):
    """A merge in the background ends because of a call of `work`."""


def _lower_priority() -> None:
    """Of the calling thread, where the system has priorities of threads: on Linux."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


# ---- all of the process ----

_all: weakref.WeakSet[Maintenance] = weakref.WeakSet()
_ending = False


def _stop_all_at_exit() -> None:
    """Stops all threads: one inside a call during the interpreter's teardown aborts the process.

    Registered after `mvdb.storage.registry` has registered the closing of the files, so called
    before it."""
    global _ending
    _ending = True  # a database opened from now on reads it after joining `_all`
    everyone = list(_all)
    seconds = max((one.limits.exit_seconds for one in everyone), default=Limits().exit_seconds)
    LATER.stop(seconds)
    threads = [one.begin_to_stop() for one in everyone]
    workers.join([one for one in threads if one is not None], seconds)
    workers.stop_all(seconds)


def _forget_all_in_child() -> None:
    for one in _all:
        one.forget()


atexit.register(_stop_all_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all_in_child)
