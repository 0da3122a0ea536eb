"""Long-lived processes that open damaged files, and a parent who notices when one dies or hangs."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic
from typing import Any

from tests.corrupt import bombs, damage, examine
from tests.corrupt.examine import Answers, Plan
from tests.corrupt.specimens import Specimen
from tests.support.patience import PATIENCE

HANG_SECONDS = 20.0
ADDRESS_SPACE = 3 << 30
"""Bytes of address space a worker may have: an allocation by a hostile size fails there."""
MEMORY = 400 << 20
"""Bytes that a worker's peak may grow by over all its files."""


@dataclass(frozen=True)
class Case:
    """A damaged file: which specimen, how, and with which seed. Repeatable."""

    specimen: str
    kind: str
    seed: int


@dataclass
class Outcome:
    """What happened to all cases."""

    counts: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[Case, str]] = field(default_factory=list)
    answered: list[Case] = field(default_factory=list)
    """Lies under valid checksums that nothing contradicts."""


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _limit() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


class Examiner:
    """What a worker does with a case."""

    def __init__(
        self,
        folder: Path,
        specimens: dict[str, Specimen],
        expected: dict[str, Answers],
        plans: dict[str, Plan],
    ) -> None:
        self._folder = folder
        self._specimens = specimens
        self._expected = expected
        self._plans = plans

    def run(self, case: Case) -> str:
        """ "same", "refused", or what is wrong."""
        specimen = self._specimens[case.specimen]
        plan = self._plans[case.specimen]
        path = self._folder / f"{os.getpid()}.mvdb"
        for old in self._folder.glob(f"{path.name}*"):
            old.unlink()
        if case.kind in bombs.KINDS:
            path.write_bytes(specimen.intact)
            bombs.KINDS[case.kind](path, case.seed)
            if path.read_bytes() == specimen.intact:
                return "same"
        else:
            path.write_bytes(damage.KINDS[case.kind](specimen, case.seed))
        answers = examine.examine(path, plan, readonly=case.seed % 2 == 0)
        if case.kind in ("mutate", "bomb"):
            return examine.judge_resealed(answers, self._expected[case.specimen])
        verdict = examine.judge(answers, self._expected[case.specimen])
        if verdict == "same" and case.seed % 2:
            wrong = examine.write_on(path, plan)
            if wrong and not wrong.startswith(examine.ERROR):
                return wrong
        return verdict


def _work(pipe: Connection, examiner: Examiner) -> None:
    _limit()
    examiner.run(Case(next(iter(examiner._specimens)), "flip", 1))  # warm
    base = _peak()
    while True:
        try:
            case = pipe.recv()
        except EOFError:
            return
        try:
            verdict = examiner.run(case)
        except BaseException:
            verdict = f"FAULT OF THE TEST: {traceback.format_exc()}"
        if _peak() - base > MEMORY:
            verdict = f"{(_peak() - base) >> 20} MiB of memory ({verdict})"
            base = _peak()
        pipe.send(verdict)


class _Worker:
    def __init__(self, context: Any, examiner: Examiner) -> None:
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, examiner), daemon=True)
        self.process.start()
        theirs.close()
        self.case: Case | None = None
        self.since = monotonic()

    def give(self, case: Case) -> None:
        self.case, self.since = case, monotonic()
        self.pipe.send(case)

    def verdict(self) -> str:
        """The verdict that has arrived, or how the process has died."""
        try:
            return str(self.pipe.recv())
        except (EOFError, OSError):
            self.process.join(PATIENCE)
            return f"CRASH, exit code {self.process.exitcode}"

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.pipe.close()
        self.process.kill()
        self.process.join(PATIENCE)


def run(examiner: Examiner, cases: Iterable[Case], workers: int) -> Outcome:
    """Examines all cases."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.corrupt.pool"])
    outcome = Outcome()
    source = iter(cases)
    pool = [_Worker(context, examiner) for _ in range(workers)]
    busy: list[_Worker] = []
    for worker in pool:
        _feed(worker, source, busy)
    while busy:
        ready = wait([worker.pipe for worker in busy], timeout=1.0)
        for worker in list(busy):
            hangs = monotonic() - worker.since > HANG_SECONDS
            if worker.pipe not in ready and not hangs:
                continue
            verdict = worker.verdict() if worker.pipe in ready else "HANG"
            assert worker.case is not None
            _count(outcome, worker.case, verdict)
            busy.remove(worker)
            if verdict.startswith(("CRASH", "HANG")):
                worker.end()
                pool.remove(worker)
                worker = _Worker(context, examiner)
                pool.append(worker)
            _feed(worker, source, busy)
    for worker in pool:
        worker.end()
    return outcome


def _feed(worker: _Worker, source: Any, busy: list[_Worker]) -> None:
    case = next(source, None)
    if case is not None:
        worker.give(case)
        busy.append(worker)


def _count(outcome: Outcome, case: Case, verdict: str) -> None:
    good = verdict in ("same", "refused", "answered")
    outcome.counts[f"{case.specimen}, {case.kind}: {verdict if good else 'BAD'}"] += 1
    if verdict == "answered":
        outcome.answered.append(case)
    if not good:
        outcome.bad.append((case, verdict))
