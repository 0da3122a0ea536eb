"""Everything that can be asked of a file, each answer by itself: what a damaged file must either
answer as the intact one does, or refuse with an error of mvdb."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import mvdb
from tests.support import opening
from tests.support.model import make_query

Answers = dict[str, str]
"""Question -> digest of the answer, or "error: " and the class."""

STEP = 12
"""Documents of a question: of fewer, more can answer beside a damaged one."""
ERROR = "error: "
FOREIGN = "FOREIGN "
"""Begins the answer when something else than an error of mvdb was raised."""


@dataclass(frozen=True)
class Plan:
    """What to ask: all ids of the intact file, and queries."""

    ids: tuple[str | int, ...]
    dim: int


def _digest(value: Any) -> str:
    hasher = hashlib.blake2b(digest_size=12)
    for part in value if isinstance(value, list) else [value]:
        hasher.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        hasher.update(b"\0")
    return hasher.hexdigest()


def _hits(hits: list[mvdb.Hit]) -> list[Any]:
    return [(hit.id, hit.score, hit.text, hit.metadata) for hit in hits]


def _collections(db: mvdb.Database) -> list[mvdb.Database]:
    return [db.collection(name) for name in db.collections()]


def _counts(stats: mvdb.Stats) -> tuple[int, ...]:
    return stats.documents, stats.tokens, stats.segments, stats.centroids


def questions(db: mvdb.Database, plan: Plan) -> dict[str, Callable[[], Any]]:
    """All but `verify`."""
    query, other = make_query(1, plan.dim), make_query(2, plan.dim, 5)
    ids = list(plan.ids)
    asked: dict[str, Callable[[], Any]] = {
        "len": lambda: len(db),
        "ids": lambda: list(db.ids()),
        "contains": lambda: [name in db for name in ids],
        "search": lambda: _hits(db.search(query, 10)),
        "coarse": lambda: _hits(db.search(other, 5, candidates=20)),
        "exact": lambda: _hits(db.search(query, 15, exact=True)),
        "filtered": lambda: _hits(db.search(query, 12, filter={"group": {"$lte": 1}})),
        "nested": lambda: _hits(
            db.search(
                other,
                20,
                filter={
                    "$or": [
                        {"nested.score": {"$gt": 0.5}, "lang": "de"},
                        {"nested.tags": {"$contains": "b"}, "odd": {"$exists": False}},
                    ]
                },
            )
        ),
        "sparse": lambda: _hits(db.search(sparse={"term 2": 1.0, 7: 0.5}, k=40)),
        "both sides": lambda: _hits(db.search(query, 12, sparse={"term 4": 1.0, 9: 0.5})),
        "among": lambda: _hits(db.search(query, 20, ids=ids[::3])),
        "batch": lambda: [_hits(hits) for hits in db.search_batch([query, other], 3, threads=2)],
        "rerank": lambda: _hits(db.rerank(other, ids[::5])),
        "collections": lambda: db.collections(),
        "found in collections": lambda: [_hits(one.search(query, 10)) for one in _collections(db)],
        "all of collections": lambda: [one.get(list(one.ids())) for one in _collections(db)],
        "get": lambda: db.get(ids),
        "count": lambda: db.count({"group": {"$lte": 1}}),
        "facets": lambda: [db.facets(name) for name in ("group", "lang", "nested.tags")],
        "filtered ids": lambda: list(db.ids({"nested.score": {"$gt": 0.5}})),
        "documents": lambda: list(db.documents()),
        "ordered": lambda: list(db.documents({"lang": "de"}, order_by="nested.score")),
        "dim": lambda: (db.dim, db.bits),
        "stats": lambda: _counts(db.stats()),
    }
    for at in range(0, len(ids), STEP):
        some = ids[at : at + STEP]
        asked[f"get {some}"] = lambda some=some: db.get(some)
        asked[f"vectors {some}"] = lambda some=some: db.vectors(some)
    asked["explain"] = lambda: db.explain(query, ids[0]).scores
    return asked


def _answer(ask: Callable[[], Any]) -> str:
    try:
        return _digest(ask())
    except mvdb.Error as error:
        return f"{ERROR}{type(error).__name__}: {error}"
    except Exception as error:
        return f"{FOREIGN}{type(error).__name__}: {error}"


def examine(path: Path, plan: Plan, *, readonly: bool) -> Answers:
    """Opens the file and asks everything, through lists where it has any; "open" alone when it does
    not open."""
    answers: Answers = {}
    opened: list[mvdb.Database] = []

    def open_it() -> None:
        opened.append(opening.opened(path, opening.by_lists(), readonly=readonly, create=False))

    answers["open"] = _answer(open_it)
    if opened:
        with opened[0] as db:
            answers["verify"] = _answer(lambda: db.verify().ok)
            answers.update((name, _answer(ask)) for name, ask in questions(db, plan).items())
    return answers


def write_on(path: Path, plan: Plan) -> str:
    """Writes into a file that has answered as the intact one did: "" if nothing is lost by it, else
    what is wrong."""
    try:
        with mvdb.open(path, create=False) as db:
            before = {name: _digest(db.vectors([name])) for name in plan.ids[:40]}
            db.insert("written later", np.ones((2, plan.dim), np.float32), texts="new")
            db.delete(plan.ids[1])
            report = db.verify()
            after = {name: _digest(db.vectors([name])) for name in before if name in db}
    except mvdb.Error as error:
        return f"{ERROR}{type(error).__name__}: {error}"
    except Exception as error:
        return f"{FOREIGN}{type(error).__name__}: {error}"
    del before[plan.ids[1]]
    if not report.ok or before != after:
        return f"SILENT after writing: {report.problems[:2]}, {len(after)} documents"
    return ""


def judge(answers: Answers, expected: Answers) -> str:
    """ "same", "refused" (some answers were, the others are right), or what is wrong."""
    if answers["open"].startswith(FOREIGN):
        return answers["open"]
    if answers["open"].startswith(ERROR):
        return "refused"
    refused = False
    for name, answer in answers.items():
        if answer.startswith(FOREIGN):
            return f"{name}: {answer}"
        if answer.startswith(ERROR):
            refused = True
        elif name == "verify":
            refused = refused or answer != expected[name]
        elif answer != expected[name]:
            seen = (
                "verify sees it" if answers["verify"] != expected["verify"] else "nothing sees it"
            )
            return f"SILENT: another answer to {name} ({seen})"
    return "refused" if refused else "same"


def judge_resealed(answers: Answers, expected: Answers) -> str:
    """For a file whose checksums were made to fit its lies: "refused" (an error somewhere, or
    `verify` sees it), "answered" (a plausible lie cannot be told from the truth), or the exception
    that is not one of mvdb."""
    for name, answer in answers.items():
        if answer.startswith(FOREIGN):
            return f"{name}: {answer}"
    if any(answer.startswith(ERROR) for answer in answers.values()):
        return "refused"
    return "answered" if answers["verify"] == expected["verify"] else "refused"
