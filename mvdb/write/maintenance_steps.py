"""The work of maintenance: first training, more centroids, merges. Each step is a transaction.

The level of relevance, measured after them: measure_level.py.

The segment of a merge of several steps is listed as unpublished (state/unpublished.py) from its
first step to its last; each step renews the heartbeat. A process that dies between two steps leaves
the entry; a later merge of any process removes it, with all stored parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from functools import partial
from typing import Any

from mvdb.errors import BusyError
from mvdb.segment.layout import SegmentInfo
from mvdb.segment.segment_writer import Sealed
from mvdb.state import lexical_identity, unpublished
from mvdb.state.lexical_identity import Lexical
from mvdb.write import extend_codebook, measure_level, merge_policy, train_codebook
from mvdb.write.changes import Changes
from mvdb.write.merge import Merge, SegmentGone, publish
from mvdb.write.merge_policy import Policy
from mvdb.write.step_transactions import StepTransactions


class Inline(Executor):
    """Runs tasks one after the other in the calling thread, on one processor."""

    def __init__(self, check: Callable[[], None]) -> None:
        """check: called before each task; may raise to end the work."""
        self._check = check

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Runs the task now."""
        self._check()
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Checked(Executor):
    """Another executor's threads, with a check before each task that is submitted."""

    def __init__(self, executor: Executor, check: Callable[[], None]) -> None:
        """check: may raise to end the work."""
        self._executor = executor
        self._check = check

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Passes the task on."""
        self._check()
        return self._executor.submit(fn, *args, **kwargs)


# ---- all of it ----


def optimise(
    steps: StepTransactions, lexical: Lexical | None, check: Callable[[], None]
) -> Iterator[str]:
    """All due work for the documents stored now, down to the fewest segments. Yields the name of
    each piece of work and does it before the next name. lexical: how words are to be indexed from
    now on; None: as they are. check: called within each piece; what it raises ends the work, and of
    the piece under way nothing stays.

    Raises BusyError when other processes keep ending its merges."""
    check()
    executor = Checked(steps.resources.executor, check)
    if lexical is not None:
        steps.run(partial(_change_lexical, lexical))
    if steps.run(_begin_to_optimise):
        yield "training"
        steps.run(partial(_train_if_due, executor))
    with steps.reading() as (_, state):
        current, identity = state.manifest, state.lexical
    if extend_codebook.is_due(current, steps.limits):
        yield "training"
        extend(steps, executor)
    policy = merge_policy.fewest_of(current, identity)
    given_up: Sequence[SegmentInfo] = ()
    attempts, most = 0, steps.limits.merge_attempts
    while infos := next_merge(steps, policy):
        yield "merging"
        if merge(steps, infos, steps.resources.executor, check):
            continue
        # Another process was first, so less work is left.
        attempts = attempts + 1 if infos == given_up else 1
        given_up = infos
        if attempts == most:
            raise BusyError(
                f"{steps.environment.path}: other processes ended the same merge {most} times; "
                "let one process at a time optimise the file"
            )
    if measure_level.is_due(steps, measure_level.LEAST_ASKED):
        yield "relevance"
        measure_level.measure(steps, check)


def _change_lexical(asked: Lexical, changes: Changes) -> None:
    """Stores how words are to be indexed; earlier segments are out of date from then on."""
    number = changes.manifest.next_segment
    identity = changes.lexical.with_(asked, number)
    if identity != changes.lexical:
        lexical_identity.store(changes.txn, identity)
        # Another manifest: readers notice a commit by it.
        changes.manifest = replace(changes.manifest, next_segment=number + 1)


def _begin_to_optimise(changes: Changes) -> bool:
    """Removes unpublished segments; whether training is due."""
    unpublished.remove_all(changes.txn, 0.0)
    return train_codebook.is_due(changes)


def _train_if_due(executor: Executor, changes: Changes) -> None:
    changes.resources = replace(changes.resources, executor=executor)
    if train_codebook.is_due(changes):
        train_codebook.train(changes)


# ---- more centroids ----


def extend(steps: StepTransactions, executor: Executor) -> bool:
    """Adds centroids; False when none are due."""
    with steps.extending:
        with steps.reading() as (_, state):
            if not extend_codebook.is_due(state.manifest, steps.limits):
                return False
        resources = replace(steps.resources, executor=executor)
        extension = extend_codebook.extended(steps.reading, resources)
        steps.run(lambda changes: extend_codebook.extend(changes, extension))
        return True


# ---- merges ----


def next_merge(steps: StepTransactions, policy: Policy) -> Sequence[SegmentInfo]:
    """The segments to merge now; empty if no merge is due."""
    with steps.reading() as (txn, state):
        return merge_policy.next_merge(txn, state.manifest, steps.limits, policy)


def merge(
    steps: StepTransactions,
    infos: Sequence[SegmentInfo],
    executor: Executor,
    check: Callable[[], None] = lambda: None,
) -> bool:
    """Merges segments; False when another process was first. executor: assigns stored vectors to
    centroids. What `check` raises ends the merge and removes its segment."""

    def yield_gil() -> None:
        _checking(check)
        steps.yield_gil()

    work = steps.run(lambda changes: begin_merge(changes, infos, steps, executor, yield_gil))
    try:
        for parts in work.steps():
            if parts:
                steps.run(partial(store_parts, work, parts))
        steps.run(partial(publish_merge, work))
        return True
    except SegmentGone:
        return False
    except _Stopped as stopped:
        steps.run(lambda changes: unpublished.remove(changes.txn, work.writer.segment))
        raise stopped.error from None
    finally:
        work.writer.close()


class _Stopped(Exception):
    """The check of the caller has raised `error`."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def _checking(check: Callable[[], None]) -> None:
    try:
        check()
    except Exception as error:
        raise _Stopped(error) from error


def begin_merge(
    changes: Changes,
    infos: Sequence[SegmentInfo],
    steps: StepTransactions,
    executor: Executor,
    yield_gil: Callable[[], None] | None = None,
) -> Merge:
    """The first step: the new segment gets a number and its entry as unpublished. yield_gil: that
    of `steps`, or one that calls it."""
    unpublished.remove_all(changes.txn, changes.limits.heartbeat_seconds)
    work = Merge(changes, infos, steps.reading, executor, yield_gil or steps.yield_gil)
    unpublished.add(changes.txn, work.writer.segment)
    return work


def store_parts(work: Merge, parts: list[Sealed], changes: Changes) -> None:
    """A middle step. Raises SegmentGone when the entry is gone, and all stored parts with it."""
    if not unpublished.renew(changes.txn, work.writer.segment):
        raise SegmentGone("another process has removed the unpublished segment")
    changes.store(parts)


def publish_merge(work: Merge, changes: Changes) -> None:
    """The last step. If it fails, the entry stays, with which the stored parts will be removed."""
    if work.writer.segment not in unpublished.load(changes.txn):
        raise SegmentGone("another process has removed the unpublished segment")
    publish(changes, work)
    unpublished.finish(changes.txn, work.writer.segment)
