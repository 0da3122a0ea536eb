"""Runs: the documents that a search found for each query, with their scores. Files of TREC."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from mvdb import Database
from mvdb.errors import InvalidInputError, PathError, shown
from mvdb.evaluation.text_lines import Path, lines, refuse
from mvdb.types import Hit, Id

Run = dict[str, dict[str, float]]
"""Score by document id, best first, by query id."""

_BATCH = 64
"""Queries of one `search_batch`, whose hits are objects: 64,000 of them with k = 1000."""


def search_run(
    db: Database,
    queries: Mapping[str, Any],
    k: int = 1000,
    *,
    progress: Callable[[int, int], object] | None = None,
    **options: Any,
) -> Run:
    """The run of a database: `Database.search_batch` for all queries, on one state.

    Args:
        db: the database. Ids that are integers become the strings that show them, because files of
            judgements know strings alone.
        queries: by id, each as for `Database.search`: a str for a database with an encoder or a
            lexical index, or token vectors (m, dim).
        k: documents of each query, at most.
        progress: called with the queries answered and given.
        options: of `Database.search_batch`.

    Raises InvalidInputError for a database with an integer and a string that are shown alike (1 and
    "1"), and as `search_batch` does."""
    run: Run = {}
    names = _Names()
    remaining = iter(queries.items())
    with db.snapshot() as snapshot:
        while batch := list(islice(remaining, _BATCH)):
            found = snapshot.search_batch([query for _, query in batch], k, fields=(), **options)
            for (name, _), hits in zip(batch, found, strict=True):
                run[name] = names.scores(hits)
            if progress is not None:
                progress(len(run), len(queries))
    return run


class _Names:
    """Document ids as strings, each of which exists once in memory."""

    def __init__(self) -> None:
        self._ids: dict[str, Id] = {}
        self._names: dict[Id, str] = {}

    def scores(self, hits: Sequence[Hit]) -> dict[str, float]:
        return {self._name(hit.id): hit.score for hit in hits}

    def _name(self, id: Id) -> str:
        name = self._names.get(id)
        if name is None:
            name = self._names[id] = str(id)
            if self._ids.setdefault(name, id) != id:
                raise InvalidInputError(
                    f"documents {int(name)} and {name!r}: an integer and a string are one id in "
                    "files of judgements; give one of them another id"
                )
        return name


def read_run(path: Path) -> Run:
    """A run in the form of TREC: lines of query, Q0, document, rank, score and tag. As in trec_eval
    the scores decide the order, not the ranks.

    Raises InvalidInputError, which names the line, for a malformed file, a document that a query
    has twice, and a file without a line; PathError."""
    run: Run = {}
    for number, line in lines(path):
        cells = line.split()
        if len(cells) != 6:
            refuse(path, number, f"not query, Q0, document, rank, score and tag: {shown(line)}")
        query, document = cells[0], cells[2]
        try:
            score = float(cells[4])
        except ValueError:
            score = math.nan
        if not math.isfinite(score):
            refuse(path, number, f"a score is a finite number, not {shown(cells[4])}")
        found = run.setdefault(query, {})
        if document in found:
            refuse(path, number, f"query {query!r} has the document {document!r} twice")
        found[document] = score
    if not run:
        raise InvalidInputError(f"{path}: no line of a run in it")
    return {query: _ordered(found) for query, found in run.items()}


def write_run(path: Path, run: Mapping[str, Mapping[str, float]], tag: str = "mvdb") -> None:
    """Writes a run in the form of TREC, by score descending. A file is complete or not there; what
    is no file, such as a pipe, is written to.

    Raises InvalidInputError for a tag or an id that is empty or has white space, because that
    separates the columns, and for a score that is not finite; PathError."""
    _check_run(run, tag)
    target = os.path.realpath(path)
    is_file = os.path.isfile(target) or not os.path.exists(target)
    partial = f"{target}.{os.getpid()}.partial" if is_file else target
    try:
        with open(partial, "w", encoding="utf-8", newline="\n") as file:
            for query, found in run.items():
                file.writelines(_run_lines(query, found, tag))
        if is_file:
            os.replace(partial, target)
    except BaseException as error:
        if is_file and os.path.exists(partial):
            os.unlink(partial)
        if isinstance(error, OSError):
            raise PathError(f"{os.fspath(path)}: {error.strerror or error}") from error
        raise


def _check_run(run: Mapping[str, Mapping[str, float]], tag: str) -> None:
    _check_word("tag", tag)
    for query, found in run.items():
        _check_word("query", query)
        for document, score in found.items():
            _check_word("document", document)
            if not math.isfinite(score):
                raise InvalidInputError(f"document {document!r}: score {score} is not finite")


def _run_lines(query: str, found: Mapping[str, float], tag: str) -> Iterator[str]:
    for rank, (document, score) in enumerate(_ordered(found).items(), start=1):
        yield f"{query} Q0 {document} {rank} {score!r} {tag}\n"


def _ordered(found: Mapping[str, float]) -> dict[str, float]:
    """By score descending; equal scores stay in their order."""
    return dict(sorted(found.items(), key=lambda one: -one[1]))


def _check_word(what: str, word: str) -> None:
    if len(word.split()) != 1 or word.strip() != word:
        raise InvalidInputError(
            f"{what} {word!r}: the columns of a run are separated by white space, so that no id "
            "may have it"
        )
