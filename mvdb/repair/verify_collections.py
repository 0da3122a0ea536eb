"""Verification of a file with its collections. Never writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mvdb.errors import CorruptionError, FormatError
from mvdb.repair.verify import MAX_PROBLEMS, Checker, check_small_tables
from mvdb.state import settings
from mvdb.state.settings import Settings
from mvdb.storage import catalog
from mvdb.storage.environment import ReadTransaction, ReadView
from mvdb.storage.format import TABLES
from mvdb.types import Report


def check_all_small_tables(txn: ReadTransaction) -> None:
    """`check_small_tables` for the unnamed collection and all others."""
    check_small_tables(txn)
    for name, number in catalog.load(txn).numbers.items():
        try:
            check_small_tables(ReadView(txn, number))
        except CorruptionError as error:
            raise CorruptionError(f"collection {name!r}: {error}") from error


def check_file(txn: ReadTransaction, stored: Settings, *, deep: bool) -> Report:
    """Verifies the unnamed collection, whose settings are given, and all others. The problems of
    each of the others begin with its name."""
    own = Checker(txn, stored, deep=deep).run()
    problems, blocks = list(own.problems), Counter(own.blocks)
    documents, tokens = own.documents, own.tokens
    try:
        numbers = catalog.load(txn).numbers
    except (CorruptionError, FormatError) as error:
        problems.append(f"{error}; the collections were not checked")
        return Report(tuple(problems[:MAX_PROBLEMS]), dict(blocks), documents, tokens)
    for name, number in numbers.items():
        view = ReadView(txn, number)
        try:
            report = Checker(view, settings.load(view), deep=deep).run()
        except (CorruptionError, FormatError) as error:
            problems.append(f"collection {name!r}: {error}")
            continue
        problems += (f"collection {name!r}: {problem}" for problem in report.problems)
        blocks.update({**report.blocks, "collections": 1})
        documents += report.documents
        tokens += report.tokens
    problems += _orphans(txn, set(numbers.values()))
    return Report(tuple(problems[:MAX_PROBLEMS]), dict(blocks), documents, tokens)


def _orphans(txn: ReadTransaction, known: set[int]) -> Iterator[str]:
    for table in TABLES:
        for number in txn.collection_numbers(table):
            if number not in known:
                yield f"{table}: values of collection number {number}, which is not there (orphans)"
