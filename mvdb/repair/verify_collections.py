"""Verification of a file with its collections. Never writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mvdb.errors import CorruptionError, FormatError
from mvdb.hooks import Hooks
from mvdb.repair.verify import MAX_PROBLEMS, Checker, check_small_tables
from mvdb.state import manifest, settings
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


def check_file(txn: ReadTransaction, stored: Settings, hooks: Hooks, *, deep: bool) -> Report:
    """Verifies the unnamed collection, whose settings are given, and all others. The problems of
    each of the others begin with its name. hooks: are told of documents."""
    try:
        numbers, fault = catalog.load(txn).numbers, None
    except (CorruptionError, FormatError) as error:
        numbers, fault = {}, f"{error}; the collections were not checked"
    views = {name: ReadView(txn, number) for name, number in numbers.items()}
    counts = {name: _stored_documents(view) for name, view in views.items()}
    before = _stored_documents(txn)
    total = before + sum(counts.values())
    own = Checker(txn, stored, hooks.of_part(0, total), deep=deep).run()
    problems, blocks = list(own.problems), Counter(own.blocks)
    documents, tokens = own.documents, own.tokens
    if fault is not None:
        return Report((*problems, fault), dict(blocks), documents, tokens)
    for name, view in views.items():
        of_part = hooks.of_part(before, total)
        before += counts[name]
        try:
            report = Checker(view, settings.load(view), of_part, deep=deep).run()
        except (CorruptionError, FormatError) as error:
            problems.append(f"collection {name!r}: {error}")
            continue
        problems += (f"collection {name!r}: {problem}" for problem in report.problems)
        blocks.update({**report.blocks, "collections": 1})
        documents += report.documents
        tokens += report.tokens
    problems += _orphans(txn, set(numbers.values()))
    return Report(tuple(problems[:MAX_PROBLEMS]), dict(blocks), documents, tokens)


def _stored_documents(txn: ReadTransaction) -> int:
    """Documents of all segments; 0 without a readable manifest, which `Checker` reports."""
    try:
        return sum(info.n_documents for info in manifest.load(txn).segments)
    except (CorruptionError, FormatError):
        return 0


def _orphans(txn: ReadTransaction, known: set[int]) -> Iterator[str]:
    for table in TABLES:
        for number in txn.collection_numbers(table):
            if number not in known:
                yield f"{table}: values of collection number {number}, which is not there (orphans)"
