"""Keeping the index in order while it is in use: merging of segments and more centroids.

Work is done in steps, each a transaction of its own, in a background thread after opening and
commits, or in `optimize()`. Between steps other writers go first; readers never wait. A crash
between steps costs the work of one merge: what it had stored is listed as unfinished and removed
later.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from typing import Any

from mvdb.errors import BusyError, ClosedError, Error
from mvdb.index import extending, generations, manifest, merging, unfinished
from mvdb.index.budget import Budget
from mvdb.index.manifest import SegmentInfo
from mvdb.index.merge import Merge
from mvdb.index.state import State, StateCache
from mvdb.index.writing import IndexWriter
from mvdb.storage.environment import Environment, ReadTransaction, WriteTransaction

Progress = Callable[[str], None]

BREATH_SECONDS = 0.0002
"""Maintenance lets other threads have the interpreter for so long, every few documents."""
ATTEMPT_SECONDS = 0.05
"""A step waits so long at a time for another writer, and lets writers of this process try then."""
NICENESS = 10
OPENING_SECONDS = 5.0
"""The background begins so long after opening, for the sake of processes that live for a moment."""
PATIENCE_SECONDS = 600.0
"""An unfinished merge that was not heard of for so long belongs to a process that is gone."""


class _Interrupted(Exception):
    """The database is being closed."""


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
        executor: Callable[[], Executor],
        budget: Budget,
        *,
        in_background: bool,
    ) -> None:
        self._environment = environment
        self._cache = cache
        self._new_writer = new_writer
        self._executor = executor
        self._budget = budget
        self._in_background = in_background
        self._thread: threading.Thread | None = None
        self._is_waiting = False  # the thread, for the time after opening to pass
        self._working = threading.Lock()  # held by whoever does maintenance
        self._extending = threading.Lock()
        self._turn = threading.Condition()
        self._writers = 0  # that wait or write
        self._in_step = False
        self._stopping = False

    # ---- the others ----

    @contextmanager
    def before_writing(self) -> Iterator[None]:
        """While another writer begins: waits for the step under way and lets no other begin."""
        with self._turn:
            self._writers += 1
            self._turn.wait_for(lambda: not self._in_step)
        try:
            yield
        finally:
            with self._turn:
                self._writers -= 1
                self._turn.notify_all()

    def opened(self) -> None:
        """After opening: begins to work in the background by and by, if anything is due then and no
        other process seems to be at it."""
        if self._in_background:
            self._is_waiting = True
            self._start()

    def committed(self) -> None:
        """After a commit: begins to work in the background if anything is due."""
        if not self._in_background or self._stopping:
            return
        with self._turn:
            is_alive = self._thread is not None and self._thread.is_alive()
            if is_alive and not self._is_waiting:
                return
            try:
                if not self._is_due():
                    return
            except Error:
                return  # the commit has succeeded, whatever comes after it
            if self._is_waiting:
                self._is_waiting = False
                self._turn.notify_all()
            else:
                self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="mvdb-maintenance", daemon=True)
        self._thread.start()

    def keep_up(self) -> None:
        """Between the transactions of a stream of documents, which leaves the background little
        time: adds the centroids that are due, for the next ones to use."""
        with suppress(_Interrupted):
            self._extend(self._executor())

    def stop(self) -> None:
        """Ends the background thread after its present step. What it was at is left unfinished."""
        with self._turn:
            self._stopping = True
            self._turn.notify_all()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    # ---- the work ----

    def _check(self) -> None:
        if self._stopping:
            raise _Interrupted

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

    def _is_due(self) -> bool:
        with self._environment.read() as txn:
            current = manifest.load(txn)
            members = generations.members(txn, current.generation)
        return extending.is_due(current) or merging.plan(current, members, None) is not None

    def _is_due_after_opening(self) -> bool:
        """Whether earlier commits have left work; waits for the time after opening to pass, and
        for a process that is at it to end or to be gone; or for a commit."""
        seconds = OPENING_SECONDS
        while self._wait(seconds):
            with self._environment.read() as txn:
                is_others = unfinished.is_at_work(txn, PATIENCE_SECONDS)
            if not is_others:
                with self._turn:
                    self._is_waiting = False
                return self._is_due()
            seconds = PATIENCE_SECONDS
        return not self._stopping

    def _wait(self, seconds: float) -> bool:
        """False when a commit or closing cut it short."""
        with self._turn:
            return not self._turn.wait_for(lambda: self._stopping or not self._is_waiting, seconds)

    @contextmanager
    def _step(self) -> Iterator[IndexWriter]:
        """A transaction of a step, when no other writer of this process is waiting."""
        txn = self._begin()
        try:
            with txn:
                writer = self._new_writer(txn)
                try:
                    yield writer
                    writer.store_manifest()
                    txn.commit()
                finally:
                    writer.close()
        finally:
            self._end_step()

    def _begin(self) -> WriteTransaction:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._writers == 0 or self._stopping)
                if self._stopping:
                    raise ClosedError("the database is being closed; open it again")
                self._in_step = True
            try:
                return self._environment.write(timeout=ATTEMPT_SECONDS)
            except BusyError:
                self._end_step()  # nobody of this process waits for somebody else's transaction
            except BaseException:
                self._end_step()
                raise

    def _end_step(self) -> None:
        with self._turn:
            self._in_step = False
            self._turn.notify_all()

    def _run(self) -> None:
        """What the background thread does: one processor at most, after all others."""
        _lower_priority()
        try:
            if self._is_waiting and not self._is_due_after_opening():
                return
            with self._working:
                while not self._stopping and self._do_one(merging.plan, _breathe):
                    pass
        except _Interrupted:
            pass
        except (Error, OSError):
            # The file takes no writes any more, is damaged or was closed: who uses it will be told
            # by what they do themselves.
            pass

    def optimize(self, progress: Progress) -> None:
        """Everything that can be done, down to the fewest segments, in the calling thread.

        Raises BusyError when this thread has a write transaction open."""
        self._environment.refuse_if_writing()
        with self._working:
            with self._step() as writer:
                unfinished.remove_all(writer.txn, 0.0)
                if writer.training_due():
                    progress("training")
                    writer.train()
            with self._reading() as (_, state):
                due = extending.is_due(state.manifest)
            if due:
                progress("training")
                self._extend(self._executor())
            while (run := self._runs(merging.everything)) is not None:
                progress("merging")
                # Given up when another process was first: then there is less left to do.
                self._merge(run, _breathe)

    def _do_one(self, plan: merging.Plan, breathe: Callable[[], None]) -> bool:
        """One piece of work; False when nothing is due."""
        if self._extend(_Inline(self._check)):
            return True
        run = self._runs(plan)
        return run is not None and self._merge(run, breathe)

    def _runs(self, plan: merging.Plan) -> list[SegmentInfo] | None:
        with self._reading() as (txn, state):
            members = generations.members(txn, state.manifest.generation)
            indexes = plan(state.manifest, members, None)
            return None if indexes is None else [state.manifest.segments[i] for i in indexes]

    def _extend(self, executor: Executor) -> bool:
        """Adds centroids; False when none are due."""
        with self._extending:
            with self._reading() as (_, state):
                if not extending.is_due(state.manifest):
                    return False
            extension = extending.extended(self._reading_step, executor, self._budget.sample)
            with self._step() as writer:
                writer.extend(extension)
            return True

    def _merge(self, infos: list[SegmentInfo], breathe: Callable[[], None]) -> bool:
        """Merges segments; False when it was abandoned."""
        with self._step() as writer:
            unfinished.remove_all(writer.txn, PATIENCE_SECONDS)
            segment, code_bytes = writer.new_segment(sum(info.live_tokens for info in infos))
            unfinished.add(writer.txn, segment.segment)
        merge = Merge(infos, segment, code_bytes, self._reading_step, breathe)
        try:
            for parts in merge.steps():
                if not parts:
                    continue
                with self._step() as writer:
                    if not unfinished.renew(writer.txn, segment.segment):
                        return False  # another process has removed what was stored so far
                    writer.store(parts)
            with self._step() as writer:
                return self._publish(writer, merge)
        except LookupError:
            return False  # another process merged these segments
        finally:
            segment.close()

    @staticmethod
    def _publish(writer: IndexWriter, merge: Merge) -> bool:
        """The last step. If it fails the entry stays, for what was stored to be removed with it."""
        segment = merge.writer.segment
        done = segment in unfinished.load(writer.txn) and writer.publish(merge)
        if done:
            unfinished.finish(writer.txn, segment)
        return done


def _lower_priority() -> None:
    """Of the calling thread, where the system has priorities of threads: on Linux, that is."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _breathe() -> None:
    # A waiting thread gets the interpreter only when it is really let go for a moment.
    time.sleep(BREATH_SECONDS)
