"""Start a writer, kill it, look at the file: the rounds that the test and `tests.crash.run`
share."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

import mvdb
from mvdb.state import unpublished
from tests.crash import processes
from tests.crash.processes import BEGIN, DONE, FAILED, READY
from tests.crash.workload import (
    CLOCK,
    Config,
    State,
    make_config,
    model_of,
    next_step,
    perform,
)
from tests.support.model import Model, check_content, make_entry
from tests.support.thresholds import lowered

KILLS_PER_FILE = 12
LONGEST = 0.7
"""Seconds that a writer lives at most, once it has opened the file."""
PATIENCE = 120.0
"""Seconds after which a process that does not start, or does not die, is a fault."""


class Bad(AssertionError):
    """A broken promise, with what is needed to repeat it."""


def kill_after(
    process: BaseProcess, pipe: Connection, delay: float, *, from_ready: bool
) -> list[tuple[int, int]]:
    """SIGKILL `delay` seconds after its word that it has begun, or from now; what it said."""
    heard = []
    if from_ready:
        if not pipe.poll(PATIENCE):
            raise Bad("the process does not get ready")
        with contextlib.suppress(EOFError):
            heard.append(processes._MESSAGE.unpack(pipe.recv_bytes()))
    time.sleep(delay)
    process.kill()
    process.join(PATIENCE)
    if process.is_alive():
        raise Bad("the process does not die")
    heard += processes.receive(pipe)
    if any(what == FAILED for what, _ in heard):
        raise Bad(f"the process failed by itself: {heard[-3:]}; its error is on stderr")
    return heard


class Rounds:
    """The rounds on one file, with a state that is carried from kill to kill."""

    def __init__(self, folder: Path, seed: int, counts: Counter[str]) -> None:
        self.config: Config = make_config(seed)
        self.path = str(folder / f"crash-{seed}.mvdb")
        self.state: State = {}
        self.sequence = 1
        self.rng = np.random.default_rng([seed, 3])
        self.counts = counts

    def run(self, kills: int) -> None:
        """`kills` rounds. Raises `Bad` for the first broken promise."""
        for number in range(kills):
            held = os.path.exists(self.path) and self.rng.random() < 0.4
            try:
                if held:
                    self._round_with_open_handle()
                else:
                    self._round()
            except Exception as error:
                raise Bad(
                    f"{self.config}, kill {number} ({'handle open' if held else 'alone'}), file "
                    f"{self.path}: {type(error).__name__}: {error}"
                ) from error
            self.counts["kills"] += 1
        self._finish()

    def _write_and_kill(self) -> None:
        """Lets a writer go on from the present state and kills it; notes which states may be."""
        process, pipe = processes.start(
            processes.write_on, self.path, self.config, self.sequence, self.state
        )
        delay = float(np.exp(self.rng.uniform(np.log(0.001), np.log(LONGEST))))
        from_ready = bool(self.rng.random() < 0.9)
        if not from_ready:  # while it starts and opens
            delay = min(delay, 0.05)
        heard = kill_after(process, pipe, delay, from_ready=from_ready)
        acknowledged = max((n for what, n in heard if what == DONE), default=self.sequence - 1)
        begun = max((n for what, n in heard if what == BEGIN), default=acknowledged)
        self.counts["commits"] += acknowledged - self.sequence + 1
        self.counts["in flight"] += begun > acknowledged
        for sequence in range(self.sequence, acknowledged + 1):
            step, self.state = next_step(self.config, sequence, self.state)
            self.counts[step.kind] += 1
        self.sequence = acknowledged + 1
        self._begun = begun > acknowledged

    def _settle(self, db: mvdb.Database, *, held: bool = False) -> None:
        """Checks that the file is in the last acknowledged state or the one in flight.

        A writer that dies between its commit's last write to the file and liblmdb's note of it in
        the lock file leaves a commit that processes which had the file open do not see before the
        next write transaction, whoever begins it. So with a held handle the state in flight may
        come late; it never goes away again."""
        with processes.thresholds(self.config):
            if held and self._survived(db):
                self._take_over()
            elif held:
                check_content(db, model_of(self.config, self.state), self.config.bits)
                db.transaction().rollback()
                if self._survived(db):
                    self.counts["seen late"] += 1
            if self._survived(db):
                self._take_over()
            self._begun = False
            self.sequence += 1  # a step that was cut short is not tried again under its number
            report = db.verify()
            assert report.ok, report.problems
            check_content(db, model_of(self.config, self.state), self.config.bits, self.sequence)

    def _survived(self, db: mvdb.Database) -> bool:
        """Whether the file claims to be in the state that was in flight."""
        if not self._begun:
            return False
        _, after = next_step(self.config, self.sequence, self.state)
        if after.get(CLOCK) == self.state.get(CLOCK):
            return False
        clock = db.get(CLOCK)[0]
        return clock is not None and clock.text == str(after[CLOCK])

    def _take_over(self) -> None:
        """The state in flight is the state now."""
        _, self.state = next_step(self.config, self.sequence, self.state)
        self.counts["survived in flight"] += 1
        self._begun = False

    def _round(self) -> None:
        self._write_and_kill()
        if not os.path.exists(self.path):
            assert not self.state, "the file has vanished"
            return
        if self.rng.random() < 0.2:
            self._check_elsewhere_first()
        with mvdb.open(self.path) as db:
            self._settle(db)

    def _check_elsewhere_first(self) -> None:
        """A fresh process opens the killed writer's file, read-only, before anybody else does."""
        options = [self.state]
        if self._begun:
            options.append(next_step(self.config, self.sequence, self.state)[1])
        with mvdb.open(self.path, readonly=True) as db:
            clock = db.get(CLOCK)[0]
        text = None if clock is None else clock.text
        matching = [o for o in options if (str(o[CLOCK]) if CLOCK in o else None) == text]
        assert matching, f"clock {text}, possible are {[o.get(CLOCK) for o in options]}"
        process, pipe = processes.start(processes.check_here, self.path, self.config, matching[-1])
        process.join(PATIENCE)
        assert processes.receive(pipe) == [(DONE, 0)], "a fresh process finds something else"
        self.counts["fresh process"] += 1

    def _round_with_open_handle(self) -> None:
        """This process has the file open, and a snapshot of it, while the writer is killed; then it
        reads and writes through the same handle."""
        with mvdb.open(self.path) as db:
            before = model_of(self.config, self.state)
            with db.snapshot() as snapshot:
                self._write_and_kill()
                check_content(snapshot, before, self.config.bits)
            self._settle(db, held=True)
            with processes.thresholds(self.config):
                step, self.state = next_step(self.config, self.sequence, self.state)
                perform(db, self.config, step)
            self.sequence += 1
            check_content(db, model_of(self.config, self.state), self.config.bits, self.sequence)
        self.counts["handle open"] += 1

    def _finish(self) -> None:
        if not os.path.exists(self.path):
            return
        with processes.thresholds(self.config), mvdb.open(self.path) as db:
            db.compact()
            check_content(db, model_of(self.config, self.state), self.config.bits)
        name = os.path.basename(self.path)
        left = [other for other in os.listdir(os.path.dirname(self.path)) if name in other]
        assert left == [name], f"left behind beside a closed file: {left}"


def sample_model(count: int) -> Model:
    """Documents for the rounds of creation, compaction and backup."""
    return {i: make_entry(i, 1, 3) for i in range(count)}


def fill(db: mvdb.Database, model: Model) -> None:
    """Inserts a model, in a few commits."""
    names = list(model)
    for at in range(0, len(names), 40):
        some = names[at : at + 40]
        db.insert(
            some,
            [model[name].vectors for name in some],
            texts=[model[name].text for name in some],
            metadata=[model[name].metadata for name in some],
        )


def creation_round(folder: Path, number: int, rng: np.random.Generator, longest: float) -> bool:
    """Kills a creation: the file is there whole or not at all. Whether it was there."""
    path = folder / f"created-{number}.mvdb"
    process, pipe = processes.start(processes.create, str(path))
    heard = kill_after(process, pipe, rng.uniform(0, longest), from_ready=True)
    there = path.exists()
    if (DONE, 1) in heard and not there:
        raise Bad(f"{path}: created, acknowledged, not there")
    with mvdb.open(path, dim=3, bits=2, create=not there) as db:
        if len(db) or not db.verify().ok:
            raise Bad(f"{path}: {len(db)} documents, {db.verify().problems}")
        db.insert("a", np.ones((1, 3), np.float32))
        db.compact()  # also removes what killed processes left beside the file
    left = [name for name in os.listdir(folder) if path.name in name]
    if left != [path.name]:
        raise Bad(f"left behind: {left}")
    return there


def compaction_round(
    path: Path, model: Model, rng: np.random.Generator, longest: float, seed: int
) -> int:
    """Kills a compaction in place: the content stays. How many compactions had been finished."""
    process, pipe = processes.start(processes.compact, str(path))
    heard = kill_after(process, pipe, rng.uniform(0, longest), from_ready=True)
    with mvdb.open(path) as db:
        report = db.verify()
        if not report.ok:
            raise Bad(f"{path}: {report.problems}")
        check_content(db, model, db.bits, seed)
    return sum(what == DONE for what, _ in heard)


def backup_round(
    path: Path, model: Model, rng: np.random.Generator, longest: float, number: int
) -> int:
    """Kills a backup: each copy is there whole or not at all. How many there were."""
    target = path.parent / f"copy-{number}-"
    process, pipe = processes.start(processes.backup, str(path), str(target))
    heard = kill_after(process, pipe, rng.uniform(0, longest), from_ready=True)
    copies = sorted(path.parent.glob(f"{target.name}*"))
    done = sum(what == DONE for what, _ in heard)
    if not done <= len(copies) <= done + 1:
        raise Bad(f"{done} copies acknowledged, {len(copies)} there")
    for copy in copies[-2:]:
        with mvdb.open(copy, readonly=True) as db:
            report = db.verify()
            if not report.ok:
                raise Bad(f"{copy}: {report.problems}")
            check_content(db, model, db.bits, number)
    for copy in copies:
        copy.unlink()
    with mvdb.open(path) as db:
        check_content(db, model, db.bits, number)
    return len(copies)


def maintenance_round(
    path: Path, count: int, rng: np.random.Generator, longest: float, *, background: bool
) -> tuple[int, bool]:
    """Kills a process that writes and maintains a file of `count` documents of the sample model:
    nothing acknowledged is lost, what was unfinished is known, and goes with the next `optimize`.
    How many documents there are now, and whether a merge was cut short."""
    process, pipe = processes.start(processes.maintain, str(path), background, count)
    heard = kill_after(process, pipe, rng.uniform(0, longest), from_ready=True)
    least = max((number + 3 for what, number in heard if what == DONE), default=count)
    most = max((number + 3 for what, number in heard if what == BEGIN), default=count)
    with lowered(**processes.MAINTAINED), mvdb.open(path, background=False) as db:
        there = len(db)
        if there not in (least, most):
            raise Bad(f"{path}: {there} documents, {least} acknowledged, {most} begun")
        model = sample_model(there)
        begun = _check_whole(db, model, there)
        if rng.random() < 0.5:
            db.optimize()
            if _check_whole(db, model, there + 1):
                raise Bad(f"{path}: optimize leaves unfinished segments")
    return there, begun > 0


def _check_whole(db: mvdb.Database, model: Model, seed: int) -> int:
    """Verifies and compares everything; how many unfinished segments there are."""
    report = db.verify()
    if not report.ok:
        raise Bad(f"{db.path}: {report.problems}")
    check_content(db, model, db.bits, seed)
    with db._engine.environment.read() as txn:
        return len(unpublished.load(txn))


__all__ = ["BEGIN", "DONE", "READY", "Bad", "Rounds"]
