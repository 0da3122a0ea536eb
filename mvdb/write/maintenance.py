"""Keeping the index in order while it is in use: merging of segments and more centroids.

Work is done in steps, each a transaction of its own, in a background thread after opening and
commits, or in `optimize()`. Between steps other writers go first; readers never wait. A crash
between steps costs the work of one merge: what it had stored is listed as unfinished and removed
later.

The background thread of a database is there while there is work. What is to be looked at later,
after opening and after a failure, is an appointment of the process's scheduler. At the
interpreter's end all threads are stopped before the files are closed.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Container, Generator, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from mvdb.codebook import codebook as codebooks
from mvdb.errors import BusyError, ClosedError, StorageFullError
from mvdb.segment.layout import SegmentInfo
from mvdb.segment.segment_writer import Sealed, SegmentWriter
from mvdb.state import manifest, unpublished
from mvdb.state.manifest import Manifest
from mvdb.state.state import State
from mvdb.state.state_cache import StateCache
from mvdb.storage.environment import Environment, ReadTransaction, WriteTransaction
from mvdb.threads import shield, workers
from mvdb.threads.scheduler import LATER, Appointment
from mvdb.write import extend_codebook, merge_policy
from mvdb.write.index_writer import IndexWriter
from mvdb.write.memory_budget import Budget
from mvdb.write.merge import Merge, SegmentGone

T = TypeVar("T")

BREATH_SECONDS = 0.0002
"""Maintenance lets other threads have the interpreter for so long, every few documents."""
LOOK_SECONDS = 0.05
"""Who waits looks around so often, whether waiting still makes sense."""
ATTEMPT_SECONDS = 0.05
"""A step waits so long at a time for another writer, and lets writers of this process try then."""
GRACE_SECONDS = 2.0
"""A writer that would not wait for others waits so long for a step of its own process: hardly any
takes longer, and nobody means to be refused for the sake of the index."""
NICENESS = 10
OPENING_SECONDS = 5.0
"""The background begins so long after opening, for the sake of processes that live for a moment."""
PATIENCE_SECONDS = 600.0
"""An unfinished merge that was not heard of for so long belongs to a process that is gone."""
RETRY_SECONDS = 60.0
"""Pause after the first failure in the background; it doubles with each that follows."""
LONGEST_RETRY_SECONDS = 3600.0
EXIT_SECONDS = 60.0
"""How long the interpreter's end waits for threads. They need the time of a step; one that hangs in
the system must not keep the process."""
ATTEMPTS = 3
"""How often `optimize` begins the same merge while other processes make it give up."""


@dataclass(frozen=True)
class Failure:
    """What went wrong in the background: when, in seconds since 1970, and at which step."""

    when: float
    step: str
    error: str

    def __str__(self) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.when))
        return f"{moment}, {self.step}: {self.error}"


class _Inline(Executor):
    """Runs tasks one after the other in the calling thread, until told to stop."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Runs the task now."""
        self._check()
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Maintenance:
    """Maintenance of one database. Thread-safe."""

    def __init__(
        self,
        environment: Environment,
        cache: StateCache,
        new_writer: Callable[[WriteTransaction], IndexWriter],
        budget: Budget,
        *,
        in_background: bool,
    ) -> None:
        self._environment = environment
        self._cache = cache
        self._new_writer = new_writer
        self._budget = budget
        self._in_background = in_background
        self._thread: threading.Thread | None = None
        self._is_at_work = False  # the thread; it looks once more before it stops being so
        self._again = False  # something was committed since it began to look
        self._appointment: Appointment | None = None
        self._step_name = ""  # of the thread
        self._failure: Failure | None = None
        self._pause = 0.0
        self._make_locks()
        _all.add(self)
        self._stopping = _ending

    def _make_locks(self) -> None:
        self._working = threading.Lock()  # held by whoever does maintenance
        self._extending = threading.Lock()
        self._turn = threading.Condition()
        self._writers = 0  # that wait or write
        self._in_step = False

    # ---- the others ----

    @contextmanager
    def before_writing(self, timeout: float | None) -> Iterator[float | None]:
        """While another writer begins: waits for the step under way and lets no other begin; gives
        what is left of `timeout` (seconds; None: for ever).

        Raises BusyError when time is up, but waits GRACE_SECONDS for a step at least."""
        begun = time.monotonic()
        deadline = None if timeout is None else begun + max(timeout, GRACE_SECONDS)
        with self._turn:
            self._writers += 1
        try:
            with self._turn:
                if not self._wait(lambda: not self._in_step, deadline):
                    raise BusyError(
                        f"{self._environment.path}: work on the index took longer than {timeout} s"
                    )
            yield None if timeout is None else max(begun + timeout - time.monotonic(), 0.0)
        finally:
            with self._turn:
                self._writers -= 1
                self._turn.notify_all()

    def opened(self) -> None:
        """After opening: begins to work in the background by and by, if anything is due then and no
        other process seems to be at it."""
        if self._in_background:
            self._look_later(OPENING_SECONDS)

    def committed(self) -> None:
        """After a commit: begins to work in the background if anything is due. Raises nothing: the
        commit has succeeded, whatever comes after it."""
        if not self._in_background or self._stopping:
            return
        if self._failure is not None and self._appointment is not None:
            return  # it is tried again, but not at each commit
        with self._turn:
            if self._is_at_work:
                self._again = True
                return
        self._begin_if_due()

    def keep_up(self) -> None:
        """Between the transactions of a stream of documents, which leaves the background little
        time: adds the centroids that are due, for the next ones to use."""
        with suppress(ClosedError):
            self._extend(workers.BUILDING)

    def stop(self) -> None:
        """Ends the background thread after its present step. What it was at is left unfinished."""
        thread = self._tell_to_stop()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    @property
    def error(self) -> str | None:
        """The last failure in the background, if nothing has succeeded since."""
        failure = self._failure
        return None if failure is None else str(failure)

    # ---- the background ----

    def _tell_to_stop(self) -> threading.Thread | None:
        with self._turn:
            self._stopping = True
            self._turn.notify_all()
            appointment, self._appointment = self._appointment, None
        if appointment is not None:
            LATER.cancel(appointment)
        return self._thread

    def _look_later(self, seconds: float) -> None:
        look = weakref.WeakMethod(self._look)  # a handle that nobody has any more is let go

        def function() -> None:
            method = look()
            if method is not None:
                method()

        try:
            appointment = LATER.call_later(seconds, function)
        except RuntimeError as error:  # the system has no thread: the next commit looks
            self._appointment = None
            self._note("starting", error)
            return
        with self._turn:
            if not self._stopping:
                self._appointment = appointment
                return
        LATER.cancel(appointment)

    def _look(self) -> None:
        """Some time after opening or after a failure. What other processes have begun is left to
        them, unless this one has failed: what is begun then may be its own."""
        if self._failure is None:
            try:
                with self._environment.read() as txn:
                    is_others = unpublished.is_at_work(txn, PATIENCE_SECONDS)
            except Exception as error:
                self._failed("looking for work", error)
                return
            if is_others:
                self._look_later(PATIENCE_SECONDS)
                return
        self._begin_if_due()

    def _begin_if_due(self) -> None:
        try:
            if self._is_due():
                self._start()
            else:
                self._succeeded()
        except Exception as error:
            self._failed("looking for work", error)

    def _is_due(self) -> bool:
        with self._environment.read() as txn:
            current = manifest.load(txn)
            members = codebooks.members(txn, current.generation)
        return (
            extend_codebook.is_due(current) or merge_policy.plan(current, members, None) is not None
        )

    def _start(self) -> None:
        with self._turn:
            self._again = True
            if self._stopping or self._is_at_work:
                return
            thread = threading.Thread(target=self._run, name="mvdb-maintenance", daemon=True)
            thread.start()
            self._thread, self._is_at_work = thread, True
            appointment, self._appointment = self._appointment, None
        if appointment is not None:
            LATER.cancel(appointment)

    def _run(self) -> None:
        """What the background thread does: one processor at most, after all others."""
        _lower_priority()
        try:
            with self._working:
                while self._goes_on():
                    while self._do_one(merge_policy.plan):
                        pass
            self._succeeded()
        except BaseException as error:  # kept: nobody else would be told
            with self._turn:
                self._is_at_work = False
            self._failed(self._step_name, error)

    def _goes_on(self) -> bool:
        """Whether something was committed since the thread last began to look for work."""
        with self._turn:
            self._is_at_work, self._again = self._again and not self._stopping, False
            return self._is_at_work

    def _failed(self, step: str, error: BaseException) -> None:
        """Keeps a failure, and tries again after a pause."""
        if self._stopping:
            return
        self._note(step, error)
        self._pause = min(max(RETRY_SECONDS, 2 * self._pause), LONGEST_RETRY_SECONDS)
        self._look_later(self._pause)

    def _note(self, step: str, error: BaseException) -> None:
        self._failure = Failure(time.time(), step, f"{type(error).__name__}: {error}")

    def _succeeded(self) -> None:
        self._failure, self._pause = None, 0.0

    # ---- the work ----

    def _check(self) -> None:
        if self._stopping:
            raise ClosedError("the database is being closed; open it again")

    def _breathe(self) -> None:
        """Between documents: ends here when the database is closed, or its caller interrupted."""
        self._check()
        shield.check()
        # A waiting thread gets the interpreter only when it is really let go for a moment.
        time.sleep(BREATH_SECONDS)

    @contextmanager
    def _reading(self) -> Iterator[tuple[ReadTransaction, State]]:
        with self._environment.read() as txn:
            yield txn, self._cache.state(txn)

    @contextmanager
    def _reading_step(self) -> Iterator[tuple[ReadTransaction, State]]:
        """The same for a step of long work, which ends here when the database is closed."""
        self._check()
        with self._reading() as both:
            yield both

    def _step(self, work: Callable[[IndexWriter], T]) -> T:
        """Does `work` in a transaction of its own, when no other writer of this process is waiting;
        once more from its beginning in a larger map, should that be full."""
        txn = self._begin()
        try:
            with txn:
                while True:
                    writer = self._new_writer(txn)
                    try:
                        result = work(writer)
                        writer.store_manifest()
                        txn.commit()
                        return result
                    except StorageFullError:
                        if not txn.full:
                            raise
                    finally:
                        writer.close()
                    txn.begin_again()
        finally:
            self._end_step()

    def _begin(self) -> WriteTransaction:
        while True:
            with self._turn:
                self._wait(lambda: self._writers == 0 or self._stopping, None)
                self._check()
                self._in_step = True
            try:
                return self._environment.write(timeout=ATTEMPT_SECONDS)
            except BusyError:
                self._end_step()  # nobody of this process waits for somebody else's transaction
            except BaseException:
                self._end_step()
                raise

    def _wait(self, is_so: Callable[[], bool], deadline: float | None) -> bool:
        """Waits for something to be so; False after the deadline, or when the caller is cancelled.
        `_turn` is held."""
        while not self._turn.wait_for(is_so, LOOK_SECONDS):
            shield.check()
            if deadline is not None and time.monotonic() >= deadline:
                return False
        return True

    def _end_step(self) -> None:
        with self._turn:
            self._in_step = False
            self._turn.notify_all()

    def work(self) -> Generator[str, None, None]:
        """Everything that can be done for what is stored now, down to the fewest segments: gives
        the name of each step and does it when asked for the next one.

        Raises BusyError when this thread has a write transaction open, or other processes keep
        ending its merges; ClosedError when the database is closed meanwhile."""
        self._environment.refuse_if_writing()
        with self._working:
            if self._step(_begin_to_optimise):
                yield "training"
                self._step(_train_if_due)
            with self._reading() as (_, state):
                current = state.manifest
            if extend_codebook.is_due(current):
                yield "training"
                self._extend(workers.BUILDING)
            yield from self._merge_everything(_everything_of(current))
        self._succeeded()

    def _merge_everything(self, plan: merge_policy.Plan) -> Iterator[str]:
        given_up: list[SegmentInfo] = []
        attempts = 0
        while (run := self._runs(plan)) is not None:
            yield "merging"
            if self._merge(run):
                continue
            # Given up when another process was first: then there is less left to do.
            attempts = attempts + 1 if run == given_up else 1
            given_up = run
            if attempts == ATTEMPTS:
                raise BusyError(
                    f"{self._environment.path}: other processes ended the same merge {ATTEMPTS} "
                    "times; let one process at a time optimise the file"
                )

    def _do_one(self, plan: merge_policy.Plan) -> bool:
        """One piece of work; False when nothing is due."""
        self._step_name = "adding centroids"
        if self._extend(_Inline(self._check)):
            return True
        self._step_name = "merging"
        run = self._runs(plan)
        return run is not None and self._merge(run)

    def _runs(self, plan: merge_policy.Plan) -> list[SegmentInfo] | None:
        with self._reading() as (txn, state):
            members = codebooks.members(txn, state.manifest.generation)
            indexes = plan(state.manifest, members, None)
            return None if indexes is None else [state.manifest.segments[i] for i in indexes]

    def _extend(self, executor: Executor) -> bool:
        """Adds centroids; False when none are due."""
        with self._extending:
            with self._reading() as (_, state):
                if not extend_codebook.is_due(state.manifest):
                    return False
            extension = extend_codebook.extended(self._reading_step, executor, self._budget.sample)
            self._step(lambda writer: writer.extend(extension))
            return True

    def _merge(self, infos: list[SegmentInfo]) -> bool:
        """Merges segments; False when it was abandoned."""
        n_tokens = sum(info.live_tokens for info in infos)
        segment, code_bytes = self._step(lambda writer: _begin_merge(writer, n_tokens))
        merge = Merge(infos, segment, code_bytes, self._reading_step, self._breathe)
        try:
            for parts in merge.steps():
                # Not stored: another process has removed what was stored so far.
                if parts and not self._step(partial(_store_parts, segment.segment, parts)):
                    return False
            return self._step(lambda writer: self._publish(writer, merge))
        except SegmentGone:
            return False  # another process merged these segments
        finally:
            segment.close()

    @staticmethod
    def _publish(writer: IndexWriter, merge: Merge) -> bool:
        """The last step. If it fails the entry stays, for what was stored to be removed with it."""
        segment = merge.writer.segment
        done = segment in unpublished.load(writer.txn) and writer.publish(merge)
        if done:
            unpublished.finish(writer.txn, segment)
        return done


def _begin_to_optimise(writer: IndexWriter) -> bool:
    """Removes what interrupted merges left; whether training is due."""
    unpublished.remove_all(writer.txn, 0.0)
    return writer.training_due()


def _train_if_due(writer: IndexWriter) -> None:
    if writer.training_due():
        writer.train()


def _begin_merge(writer: IndexWriter, n_tokens: int) -> tuple[SegmentWriter, int]:
    unpublished.remove_all(writer.txn, PATIENCE_SECONDS)
    segment, code_bytes = writer.new_segment(n_tokens)
    unpublished.add(writer.txn, segment.segment)
    return segment, code_bytes


def _store_parts(segment: int, parts: list[Sealed], writer: IndexWriter) -> bool:
    if not unpublished.renew(writer.txn, segment):
        return False
    writer.store(parts)
    return True


def _lower_priority() -> None:
    """Of the calling thread, where the system has priorities of threads: on Linux, that is."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _everything_of(then: Manifest) -> merge_policy.Plan:
    """The plan of `merge_policy.everything` for the segments of `then`. Later additions and
    deletions are left for the next call: else a steady writer would keep it from ending."""

    def plan(current: Manifest, members: Container[int], budget: int | None) -> list[int] | None:
        # Segments are in the order of document numbers, so these are the first ones.
        old = tuple(
            replace(info, n_deleted=0) if info.id >= then.next_segment else info
            for info in current.segments
            if info.last < then.next_document
        )
        return merge_policy.everything(replace(current, segments=old), members, budget)

    return plan


# ---- all of the process ----

_all: weakref.WeakSet[Maintenance] = weakref.WeakSet()
_ending = False


def _stop_all_at_exit() -> None:
    """A thread that is in the middle of a call when the interpreter takes itself apart aborts the
    process. Registered after `mvdb.storage.registry` has registered the closing of the files, so
    called before that."""
    global _ending
    _ending = True  # read by a database that is opened now, after it has joined `_all`
    LATER.stop(EXIT_SECONDS)
    threads = [one._tell_to_stop() for one in list(_all)]
    workers.join([one for one in threads if one is not None], EXIT_SECONDS)
    workers.stop_all(EXIT_SECONDS)


def _forget_all_in_child() -> None:
    """After `fork` the child has none of the threads, and locks as they were at that moment."""
    for one in _all:
        one._make_locks()
        one._stopping, one._is_at_work, one._appointment, one._thread = True, False, None, None


atexit.register(_stop_all_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all_in_child)
