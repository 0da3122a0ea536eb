"""How the words of a file's texts are indexed: one value of the table `meta`, JSON.

A segment is *current* when its number is at least `since`: the segment was begun under this
identity, and its term index, or the lack of one, is as the identity says. A change of the identity
makes all earlier segments out of date; `optimize` rewrites them.

    value   {"tokeniser": str or null, "version": int, "stemmer": str or null, "k1": float,
             "b": float, "since": int}
            without a lexical index from the creation on: no value
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from mvdb.arguments import number
from mvdb.errors import CorruptionError, InvalidInputError, shown
from mvdb.lexical import tokeniser
from mvdb.lexical.term_index import TermIndexWriter
from mvdb.segment.layout import SegmentInfo
from mvdb.segment.word_writer import WordWriter
from mvdb.state.manifest import Manifest
from mvdb.storage import envelope
from mvdb.storage.environment import WriteTransaction
from mvdb.storage.format import Kind
from mvdb.storage.invariants import require
from mvdb.storage.values import Values

TABLE = "meta"
KEY = b"lexical"
K1 = 1.2
B = 0.75
_GREATEST = 1000.0
"""Upper bound of k1. From about 100 on a score grows linearly with the occurrences."""
_LANGUAGE = re.compile("[a-z_]{1,32}")


@dataclass(frozen=True)
class Lexical:
    """The argument `lexical` of a call, checked. stemmer: language or None. k1, b: of BM25; None:
    the default, or those of the file."""

    on: bool
    stemmer: str | None = None
    k1: float | None = None
    b: float | None = None


def check_lexical(lexical: Any) -> Lexical | None:
    """The argument of a call; None when nothing is asked for. InvalidInputError for a malformed
    one, and for a language that cannot be stemmed here."""
    if lexical is None:
        return None
    if isinstance(lexical, bool):
        return Lexical(lexical)
    if isinstance(lexical, str):
        return Lexical(True, _stemmer(lexical))
    if isinstance(lexical, Mapping) and set(lexical) <= {"stemmer", "k1", "b"}:
        stemmer, k1, b = (lexical.get(name) for name in ("stemmer", "k1", "b"))
        return Lexical(
            True,
            None if stemmer is None else _stemmer(stemmer),
            None if k1 is None else _bounded("k1", k1, _GREATEST),
            None if b is None else _bounded("b", b, 1.0),
        )
    raise InvalidInputError(
        'lexical: True, False, a language such as "english", or a mapping of "stemmer", '
        f'"k1" and "b" is needed, not {shown(lexical)}'
    )


def _stemmer(language: Any) -> str:
    if not isinstance(language, str):
        raise InvalidInputError(f"lexical: a language is needed, not {shown(language)}")
    fault = tokeniser.stemmer_fault(language)
    if fault is not None:
        raise InvalidInputError(f"lexical: {fault}")
    return language


def _bounded(name: str, value: Any, greatest: float) -> float:
    result = number(f"lexical: {name}", value)
    if not 0 <= result <= greatest:
        raise InvalidInputError(
            f"lexical: {name}: from 0 to {greatest:g} is needed, not {shown(value)}"
        )
    return result


@dataclass(frozen=True)
class LexicalIdentity:
    """What makes the words of two segments comparable, and the parameters of their scores.

    tokeniser: None without a lexical index. since: number of the first segment of this identity."""

    tokeniser: str | None = None
    version: int = 0
    stemmer: str | None = None
    k1: float = K1
    b: float = B
    since: int = 0

    @property
    def on(self) -> bool:
        """Whether texts are indexed by their words."""
        return self.tokeniser is not None

    @property
    def fault(self) -> str | None:
        """Why this process cannot index texts as the file demands, with the remedy; None if it
        can, or if the file has no lexical index."""
        if not self.on:
            return None
        if (self.tokeniser, self.version) != (tokeniser.NAME, tokeniser.VERSION):
            return (
                f"the words of the file come from tokeniser {self.tokeniser!r}, version "
                f"{self.version}, this mvdb has {tokeniser.NAME!r}, version {tokeniser.VERSION}; "
                "index them anew with optimize(lexical=True), or open the file with that mvdb"
            )
        return None if self.stemmer is None else tokeniser.stemmer_fault(self.stemmer)

    def is_current(self, info: SegmentInfo) -> bool:
        """Whether a segment was begun under this identity."""
        return info.id >= self.since

    def with_(self, asked: Lexical, next_segment: int) -> LexicalIdentity:
        """The identity that a call asks for; `since` is the next segment if the words change."""
        wanted = LexicalIdentity(since=self.since)
        if asked.on:
            wanted = LexicalIdentity(
                tokeniser.NAME,
                tokeniser.VERSION,
                asked.stemmer,
                self.k1 if asked.k1 is None else asked.k1,
                self.b if asked.b is None else asked.b,
                self.since,
            )
        return wanted if wanted._words == self._words else replace(wanted, since=next_segment)

    @property
    def shown(self) -> str:
        """Tokeniser, stemmer and parameters, for messages."""
        return (
            f"{self.tokeniser} {self.version}, stemmer {self.stemmer}, k1 {self.k1:g}, b {self.b:g}"
        )

    @property
    def _words(self) -> tuple[str | None, int, str | None]:
        return self.tokeniser, self.version, self.stemmer

    def fits(self, asked: Lexical) -> bool:
        """Whether the file is as a call asks for."""
        return self.with_(asked, self.since + 1) == self


OFF = LexicalIdentity()


def load_for(txn: Values, current: Manifest) -> LexicalIdentity:
    """The identity of a file; CorruptionError when it contradicts the manifest."""
    identity = load(txn)
    # Else no segment could ever become current.
    fits = identity.since <= current.next_segment
    require(fits, "lexical", f"first segment {identity.since} is beyond the manifest's")
    return identity


def load(txn: Values) -> LexicalIdentity:
    """The identity of a file; OFF without one."""
    value = txn.get(TABLE, KEY)
    if value is None:
        return OFF
    body = envelope.unseal(Kind.META, txn.scope + KEY, value, "lexical")
    try:
        return _identity_of(json.loads(bytes(body)))
    except (ValueError, RecursionError) as error:
        raise CorruptionError(f"lexical: not readable ({error})") from None


def _identity_of(record: Any) -> LexicalIdentity:
    """ValueError for a record that `store` does not write."""
    names = {one.name for one in fields(LexicalIdentity)}
    if not isinstance(record, dict) or record.keys() != names:
        raise ValueError(f"its fields are not {', '.join(sorted(names))}")
    name, stemmer, version, since = (
        record[key] for key in ("tokeniser", "stemmer", "version", "since")
    )
    if not isinstance(name, (str, type(None))):
        raise ValueError("the tokeniser's name is not a text")
    if stemmer is not None and not (isinstance(stemmer, str) and _LANGUAGE.fullmatch(stemmer)):
        raise ValueError("the stemmer is not a language")
    if type(version) is not int or type(since) is not int or version < 0 or since < 0:
        raise ValueError("version or first segment is not a number")
    for key, greatest in (("k1", _GREATEST), ("b", 1.0)):
        value = record[key]
        if type(value) not in (int, float) or not (math.isfinite(value) and 0 <= value <= greatest):
            raise ValueError(f"{key} is not between 0 and {greatest:g}")
    return LexicalIdentity(**record)


def new_words(identity: LexicalIdentity, folder: str, memory: int) -> WordWriter | None:
    """The writer of a new segment's term index, with temporary files in `folder` beyond `memory`
    bytes; None for a file without a lexical index."""
    if not identity.on:
        return None
    fault, stem = identity.fault, None
    if identity.stemmer is not None and fault is None:
        stem = tokeniser.stemmer(identity.stemmer)
    return WordWriter(TermIndexWriter(folder, memory, stem), fault)


def store(txn: WriteTransaction, identity: LexicalIdentity) -> None:
    """Writes the identity."""
    body = json.dumps(asdict(identity), ensure_ascii=False).encode("utf-8")
    txn.put(TABLE, KEY, envelope.seal(Kind.META, KEY, body))
