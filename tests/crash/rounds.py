"""Start a writer, kill it, look at the file: the rounds that the test and `tests.crash.run`
share."""

from __future__ import annotations

import os
import time
from collections import Counter
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

import mvdb
from mvdb.state import unpublished
from tests.crash import victims
from tests.crash.victims import BEGIN, DONE, FAILED, READY
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
from tests.support.opening import opened
from tests.support.patience import PATIENCE

KILLS_PER_FILE = 12
MOST_STEPS = 20
"""Steps of a writer after which it is killed, at most."""
SHORTEST, LONGEST = 0.0005, 0.05
"""Seconds between the last such step and the kill."""


class Bad(AssertionError):
    """A broken promise, with what is needed to repeat it."""


def kill_after(
    process: BaseProcess, pipe: Connection, operations: int | None, delay: float
) -> list[tuple[int, int]]:
    """SIGKILL `delay` seconds after a process has said that it is ready and has done so many
    operations, or from now (None): progress, not time, so that kills meet operations on slow
    machines too. What it said."""
    heard: list[tuple[int, int]] = []
    while operations is not None and sum(what in (READY, DONE) for what, _ in heard) <= operations:
        if not pipe.poll(PATIENCE):
            raise Bad(f"the process does not get on: {heard[-3:]}")
        try:
            heard.append(victims.receive_one(pipe))
        except EOFError:
            break
    time.sleep(delay)
    process.kill()
    process.join(PATIENCE)
    if process.is_alive():
        raise Bad("the process does not die")
    heard += victims.receive(pipe)
    if any(what == FAILED for what, _ in heard):
        raise Bad(f"the process failed by itself: {heard[-3:]}; its error is on stderr")
    return heard


def landed(heard: list[tuple[int, int]]) -> bool:
    """Whether the kill came after an operation's beginning and before its end."""
    begun = [number for what, number in heard if what == BEGIN]
    return bool(begun) and (DONE, begun[-1]) not in heard


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
        process, pipe = victims.start(
            victims.write_on, self.path, self.config, self.sequence, self.state
        )
        delay = float(np.exp(self.rng.uniform(np.log(SHORTEST), np.log(LONGEST))))
        steps = int(np.exp(self.rng.uniform(0, np.log(MOST_STEPS)))) - 1
        starting = bool(self.rng.random() < 0.1)  # it is killed while it starts and opens
        heard = kill_after(process, pipe, None if starting else steps, delay)
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
        with opened(self.path, victims.limits_of(self.config)) as db:
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
        process, pipe = victims.start(victims.check_here, self.path, self.config, matching[-1])
        process.join(PATIENCE)
        assert victims.receive(pipe) == [(DONE, 0)], "a fresh process finds something else"
        self.counts["fresh process"] += 1

    def _round_with_open_handle(self) -> None:
        """This process has the file open, and a snapshot of it, while the writer is killed; then it
        reads and writes through the same handle."""
        with opened(self.path, victims.limits_of(self.config)) as db:
            before = model_of(self.config, self.state)
            with db.snapshot() as snapshot:
                self._write_and_kill()
                check_content(snapshot, before, self.config.bits)
            self._settle(db, held=True)
            step, self.state = next_step(self.config, self.sequence, self.state)
            perform(db, self.config, step)
            self.sequence += 1
            check_content(db, model_of(self.config, self.state), self.config.bits, self.sequence)
        self.counts["handle open"] += 1

    def _finish(self) -> None:
        if not os.path.exists(self.path):
            return
        with opened(self.path, victims.limits_of(self.config)) as db:
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


def creation_round(folder: Path, number: int, rng: np.random.Generator) -> tuple[int, bool]:
    """Kills a process that creates files: each is there whole or not at all. How many there were,
    and whether the kill landed in a creation."""
    name = f"created-{number}-"
    process, pipe = victims.start(victims.create, str(folder / name))
    heard = kill_after(process, pipe, int(rng.integers(0, 4)), rng.uniform(0, 0.006))
    done, begun = (sum(what == one for what, _ in heard) for one in (DONE, BEGIN))
    paths = [folder / f"{name}{created}" for created in range(begun)]
    there = [path.exists() for path in paths]
    if not all(there[:done]):
        raise Bad(f"{folder / name}: {done} created and acknowledged, there are {there}")
    for path in paths:
        _use_created(path, there=path.exists())
        path.unlink()
    return sum(there), landed(heard)


def _use_created(path: Path, *, there: bool) -> None:
    """The file is empty and sound, and nothing is left beside it after its compaction."""
    with mvdb.open(path, dim=3, bits=2, create=not there) as db:
        if len(db) or not db.verify().ok:
            raise Bad(f"{path}: {len(db)} documents, {db.verify().problems}")
        db.insert("a", np.ones((1, 3), np.float32))
        db.compact()  # also removes what killed processes left beside the file
    left = [name for name in os.listdir(path.parent) if path.name in name]
    if left != [path.name]:
        raise Bad(f"left behind: {left}")


def compaction_round(
    path: Path, model: Model, rng: np.random.Generator, seed: int
) -> tuple[int, bool]:
    """Kills a compaction in place: the content stays. How many compactions had been finished, and
    whether the kill landed in one."""
    process, pipe = victims.start(victims.compact, str(path))
    heard = kill_after(process, pipe, int(rng.integers(0, 4)), rng.uniform(0, 0.03))
    with mvdb.open(path) as db:
        report = db.verify()
        if not report.ok:
            raise Bad(f"{path}: {report.problems}")
        check_content(db, model, db.bits, seed)
    return sum(what == DONE for what, _ in heard), landed(heard)


def backup_round(
    path: Path, model: Model, rng: np.random.Generator, number: int
) -> tuple[int, bool]:
    """Kills a backup: each copy is there whole or not at all. How many there were, and whether the
    kill landed in one."""
    target = path.parent / f"copy-{number}-"
    process, pipe = victims.start(victims.backup, str(path), str(target))
    heard = kill_after(process, pipe, int(rng.integers(0, 4)), rng.uniform(0, 0.02))
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
    return len(copies), landed(heard)


def maintenance_round(
    path: Path, count: int, rng: np.random.Generator, *, background: bool
) -> tuple[int, bool]:
    """Kills a process that writes and maintains a file of `count` documents of the sample model:
    nothing acknowledged is lost, what was unfinished is known, and goes with the next `optimize`.
    How many documents there are now, and whether a merge was cut short."""
    process, pipe = victims.start(victims.maintain, str(path), background, count)
    heard = kill_after(process, pipe, int(rng.integers(0, 21)), rng.uniform(0, 0.1))
    least = max((number + 3 for what, number in heard if what == DONE), default=count)
    most = max((number + 3 for what, number in heard if what == BEGIN), default=count)
    with opened(path, victims.MAINTAINED, background=False) as db:
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
