"""A history of seven steps that a child process performs while its system calls fail.

``python -m tests.faults.steps FILE`` prints one JSON line per event; what it finds wrong by itself
it prints as {"wrong": ...}.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import mvdb
from mvdb.limits import Limits
from tests.support.model import Model, check_content, make_entry
from tests.support.opening import opened

DIM = 16
BITS = 8
LIMITS = Limits(train_documents=50, extended_at_once=0)
UPDATED = {"updated": True, "n": 7}


def _insert(model: Model, names: list[int], version: int) -> Model:
    return {**model, **{name: make_entry(name, version, DIM) for name in names}}


def states() -> list[Model]:
    """The content after each step, from before the first on."""
    result: list[Model] = [_insert({}, list(range(30)), 1)]
    result.append(_insert(result[-1], [100], 2))
    replaced = _insert(result[-1], [1, 2, 3, 200], 3)
    result.append({name: entry for name, entry in replaced.items() if name not in (5, 6)})
    result.append(_insert(result[-1], list(range(300, 400)), 4))  # training
    updated = {name: replace(result[-1][name], metadata=UPDATED) for name in (7, 350)}
    result.append({**result[-1], **updated})
    result.append({name: entry for name, entry in result[-1].items() if name != 300})  # optimize
    result.append(result[-1])  # compact
    result.append(result[-1])  # backup
    return result


def write(target: mvdb.Database | mvdb.Transaction, model: Model, names: list[int]) -> None:
    """Upserts documents of a state."""
    entries = [model[name] for name in names]
    target.upsert(
        names,
        [entry.vectors for entry in entries],
        texts=[entry.text for entry in entries],
        metadata=[entry.metadata for entry in entries],
    )


def steps(copy: Path) -> list[Callable[[mvdb.Database], None]]:
    """What leads from each state to the next."""
    content = states()

    def exchange(db: mvdb.Database) -> None:
        with db.transaction() as txn:
            write(txn, content[2], [1, 2, 3, 200])
            txn.search(np.ones((1, DIM), np.float32), 2)
            txn.delete([5, 6])

    def optimize(db: mvdb.Database) -> None:
        db.delete(300)
        db.optimize()

    return [
        lambda db: write(db, content[1], [100]),
        exchange,
        lambda db: write(db, content[3], list(range(300, 400))),
        lambda db: db.update([7, 350], metadata=[UPDATED, UPDATED]),
        optimize,
        lambda db: db.compact(),
        lambda db: db.backup(copy),
    ]


def prepare(path: Path) -> None:
    """The file before the first step."""
    with opened(path, LIMITS, dim=DIM, bits=BITS) as db:
        write(db, states()[0], list(range(30)))


def say(**event: object) -> None:
    """One line to the parent."""
    os.write(1, json.dumps(event).encode() + b"\n")


def same(db: mvdb.Database, model: Model) -> bool:
    """Whether the database has this content."""
    try:
        check_content(db, model, BITS)
    except AssertionError:
        return False
    return True


def after_failure(
    db: mvdb.Database, number: int, error: Exception, before: Model, after: Model
) -> None:
    """What is promised when a step has failed: reads go on, in the state before (or, for a failure
    behind the commit, after) it; then either writes go on, or the handle refuses them. When it was
    a copy that could not be written, the handle may go on in any case."""
    seen = before if same(db, before) else after
    if not same(db, seen):
        say(wrong=f"after {error!r} the content is that of no state")
    try:
        db.upsert("probe", np.ones((1, DIM), np.float32))
        db.delete("probe")
        writes = "go on"
    except mvdb.WriteFailedError:
        writes = "refused"
    copying = number > 5
    if isinstance(error, mvdb.WriteFailedError) and writes != "refused" and not copying:
        say(wrong="WriteFailedError, but the handle takes further writes")
    if isinstance(error, mvdb.StorageFullError) and writes != "go on":
        say(wrong="StorageFullError, but the handle refuses further writes")
    if not same(db, seen):
        say(wrong="the probe has changed the content")
    say(
        failed=type(error).__name__,
        step=number,
        ours=isinstance(error, mvdb.Error),
        writes=writes,
        message=str(error)[-80:],
    )


def main(path: Path) -> None:
    """All steps; ends at the first that fails."""
    content = states()
    mvdb.open(path).close()  # now it has a clean mark, to be taken off by the first write
    db = opened(path, LIMITS)
    for number, step in enumerate(steps(path.with_name("copy")), 1):
        say(begin=number)
        try:
            step(db)
        except (mvdb.Error, OSError) as error:
            after_failure(db, number, error, content[number - 1], content[number])
            break
        say(done=number)
    db.close()
    say(closed=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
