"""The level of relevance of a collection: one value of the table `meta`.

value   level f64 · documents u64, live when it was measured
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from mvdb.errors import CorruptionError
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction, WriteTransaction
from mvdb.storage.format import Kind, Record

TABLE = "meta"
KEY = b"relevance"
GROWTH = 2
"""Ratio of documents, either way, from which a level is measured again."""
LEAST_DOCUMENTS = 64
"""Documents from which a level is measured without being asked for: as many as pseudo-queries. The
median of fewer is less sure, and in a small collection few documents have another like them."""
_LAYOUT = Record("dQ")  # on disk: frozen


@dataclass(frozen=True)
class RelevanceLevel:
    """`level`: score per token of an answer (mvdb/search/relevance.py), above 0, at most 1.
    `documents`: live ones when it was measured."""

    level: float
    documents: int

    def fits(self, documents: int) -> bool:
        """Whether a collection of so many documents needs no new measurement."""
        return self.documents < GROWTH * documents and documents < GROWTH * self.documents


def load(txn: ReadTransaction) -> RelevanceLevel | None:
    """The level in the file."""
    value = txn.get(TABLE, KEY)
    return None if value is None else _decoded(txn.scope, bytes(value))


@lru_cache(maxsize=64)
def _decoded(scope: bytes, value: bytes) -> RelevanceLevel:
    """Kept for the next search: the same bytes have the same level."""
    body = envelope.unseal(Kind.META, scope + KEY, value, "relevance")
    level, documents = _LAYOUT.unpack(body, "relevance")
    if not 0 < level <= 1:
        raise CorruptionError(f"relevance: a level of {level} is impossible")
    return RelevanceLevel(level, documents)


def is_due(txn: ReadTransaction, documents: int, least: int) -> bool:
    """Whether a collection of so many live documents is to be measured, with `least` or more."""
    if documents < least:
        return False
    stored = load(txn)
    return stored is None or not stored.fits(documents)


def store(txn: WriteTransaction, level: RelevanceLevel) -> None:
    """Writes the level."""
    body = _LAYOUT.pack(level.level, level.documents)
    txn.put(TABLE, KEY, envelope.seal(Kind.META, KEY, body))
