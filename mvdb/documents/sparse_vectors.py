"""Learned sparse vectors (SPLADE, arXiv 2107.05720, and kin): a weight for each of some terms.

A term is a str, taken as it is, or an int, its number in the vocabulary of a model. The two are
kept apart: 1 is not "1". The key of a str is its UTF-8 bytes; that of an int is a byte 0xFF, which
UTF-8 never has, and the number, u32 big-endian. On disk: frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mvdb import core
from mvdb.arguments import number
from mvdb.errors import InvalidInputError, shown

SparseMapping = Mapping[str, float] | Mapping[int, float]

MAX_TERMS = 65_536
"""Terms of a document."""
MAX_QUERY_TERMS = 4_096
"""Terms of a query: the core takes 1.4 KB for each."""
_INTEGER = b"\xff"
_GREATEST_NUMBER = (1 << 32) - 1
_FLOATS = {float, np.float16, np.float32, np.float64}


@dataclass(frozen=True, eq=False)
class SparseVector:
    """names: the keys of its terms, distinct, one behind the other. sizes: bytes of each, u8.
    weights: float32 (terms,), above 0 and at most `core.GREATEST_WEIGHT`."""

    names: bytes
    sizes: bytes
    weights: core.Floats

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def n_bytes(self) -> int:
        """Bytes that it takes in memory."""
        return len(self.names) + 5 * len(self.sizes)

    def terms(self) -> list[bytes]:
        """The keys of its terms."""
        keys, at = [], 0
        for size in self.sizes:
            keys.append(self.names[at : at + size])
            at += size
        return keys


def checked(value: Any, where: str, most: int = MAX_TERMS) -> SparseVector:
    """A mapping of terms to weights as users give it, without its weights of 0. where: the
    beginning of messages. Raises InvalidInputError that names the term at fault."""
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{where}: a mapping of terms to weights, not {shown(value)}")
    if len(value) > most:
        raise InvalidInputError(f"{where}: {len(value)} terms; at most {most} are taken")
    pairs = list(value.items())
    terms = [_key(term, where) for term, _ in pairs]
    weights = [weight for _, weight in pairs]
    if not _FLOATS.issuperset(map(type, weights)):
        weights = [_number(term, weight, where) for term, weight in pairs]
    exact = np.array(weights, np.float64)
    allowed = (exact >= 0) & (exact <= core.GREATEST_WEIGHT)  # not NaN
    if not allowed.all():
        at = int(np.argmin(allowed))
        raise InvalidInputError(
            f"{where}: term {shown(pairs[at][0])}: a weight from 0 to {core.GREATEST_WEIGHT:g} "
            f"is needed, not {shown(weights[at])}"
        )
    if len(set(terms)) < len(terms):
        raise InvalidInputError(f"{where}: a term is given twice")
    single = exact.astype(np.float32)
    kept = single > 0
    if not kept.all():
        terms = [term for term, keep in zip(terms, kept.tolist(), strict=True) if keep]
        single = single[kept]
    return SparseVector(b"".join(terms), bytes(map(len, terms)), single)


def _number(term: Any, weight: Any, where: str) -> float:
    return number(f"{where}: term {shown(term)}", weight)


def _key(term: Any, where: str) -> bytes:
    if type(term) is int and 0 <= term <= _GREATEST_NUMBER:  # most are, and this is quicker
        return _INTEGER + term.to_bytes(4, "big")
    if isinstance(term, str):
        return _text_key(term, where)
    is_whole = isinstance(term, (int, np.integer)) and not isinstance(term, bool)
    if is_whole and 0 <= term <= _GREATEST_NUMBER:
        return _INTEGER + int(term).to_bytes(4, "big")
    raise InvalidInputError(
        f"{where}: a term is a str, or an int from 0 to {_GREATEST_NUMBER}, not {shown(term)}"
    )


def _text_key(term: str, where: str) -> bytes:
    try:
        raw = str.encode(term, "utf-8")
    except UnicodeEncodeError:
        raise InvalidInputError(
            f"{where}: term {shown(term)} is not valid Unicode (lone surrogate)"
        ) from None
    if 1 <= len(raw) <= core.MAX_TERM:
        return raw
    raise InvalidInputError(
        f"{where}: term {shown(term)} has {len(raw)} UTF-8 bytes; 1 to {core.MAX_TERM} are allowed"
    )
