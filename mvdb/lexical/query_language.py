"""The language of `text`: from the characters that a user types to clauses.

    words           documents with some of the words; more and rarer words rank higher
    "a phrase"      these words, one behind the other
    +must  -not     what follows must, or must not, be there: a word, a phrase, a prefix, a field
    prefix*         terms that begin so
    field:value     metadata; field: "a value"; numbers, true, false and null mean themselves too

1. The text is cut at white space and at quotation marks that stand at the begin of a piece. The
   typographic ones count as the plain one.
2. An operator counts at the begin of a piece alone, and not when doubled: well-known, C++, --flag
   are words. A colon counts behind a name of letters, digits, `_`, `-` and `.`, and not before `:`,
   `//` or `\\`: std::vector, 12:30, http://localhost and C:\\notes are words.
3. Pieces become terms as texts do (mvdb/lexical/tokeniser.py). A piece of several words that must
   or must not be there is a phrase. A single character of a script without spaces is a prefix,
   since texts have it in pairs.
4. What is malformed becomes plain words, or QueryError with `strict`. A text that says only what
   must not be there is malformed.

A text beyond one of the bounds MAX_CHARACTERS, MAX_CLAUSES and MAX_TERMS is cut there; with
`strict` it is malformed.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal

from mvdb.core import MAX_TERM
from mvdb.errors import InvalidInputError, QueryError, shown
from mvdb.lexical.tokeniser import BIGRAM, IDENTIFIER, PART, Token, fold, folded_tokens

MAX_CHARACTERS = 1 << 16
"""Characters of a text that are read."""
MAX_CLAUSES = 1024
MAX_TERMS = 256
"""Different terms of all clauses; fields."""
MAX_FIELD_WORDS = 16
"""Clauses that stand for a field as plain words."""

Sign = Literal["", "+", "-"]
Scalar = bool | int | float | str | None

_QUOTES = '"\u201c\u201d\u201e'
_NOT_QUOTES = re.compile(f"[^{_QUOTES}]*")
_SPACE = re.compile(r"\s*")
_PIECE = re.compile(r"\S+")
_FIELD = re.compile(r"([^\W\d][\w-]*(?:\.[\w-]+)*):(?!:|//|\\)")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?[0-9]{1,18}\.[0-9]{1,18}(?:[eE][-+]?[0-9]{1,3})?")
_CONSTANTS: dict[str, Scalar] = {"true": True, "false": False, "null": None}
_PREFIX_TAILS = ("", ".", "-", "'", "/", "@", ":", "::")
"""Behind the last word of a prefix: joints of words that are still to come."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A word with its parts, a phrase or a prefix.

    Attributes:
        kind: "word", "phrase" or "prefix".
        terms: UTF-8, as the tokeniser makes them. Of a word: itself, then its parts; of a phrase:
            its words in order, without parts; of a prefix: its begin.
        sign: "+": must be there; "-": must not; "": counts if it is there.
        is_exact: whether it is exact evidence: an identifier, a number, or in quotation marks.
    """

    kind: Literal["word", "phrase", "prefix"]
    terms: tuple[bytes, ...]
    sign: Sign = ""
    is_exact: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """`field:value`, a condition on metadata.

    Attributes:
        path: of the metadata, in dotted form.
        values: what the field may equal: the text, and the number, bool or null that it spells.
        sign: "-": it must not; else it must.
        words: the clauses of its text as plain words, for a collection without such a field.
    """

    path: str
    values: tuple[Scalar, ...]
    sign: Sign = ""
    words: tuple[Clause, ...] = ()


@dataclass(frozen=True, slots=True)
class TextQuery:
    """A parsed text. Both are in the order of the text; a repeated word is a repeated clause."""

    clauses: tuple[Clause, ...] = ()
    fields: tuple[Field, ...] = ()

    @property
    def filter(self) -> Mapping[str, Any] | None:
        """The conditions of all fields as a filter; None without fields."""
        conditions = [
            {one.path: {"$nin" if one.sign == "-" else "$in": list(one.values)}}
            for one in self.fields
        ]
        return {"$and": conditions} if conditions else None


def parse(text: str, strict: bool = False) -> TextQuery:
    """The clauses of a text; any text has some meaning unless `strict`.

    Raises InvalidInputError if `text` is not a string, and QueryError for a malformed text if
    `strict`; its message names the position in the text.
    """
    if not isinstance(text, str):
        raise InvalidInputError(f"text: a string is needed, not {shown(text)}")
    parser = _Parser(text[:MAX_CHARACTERS], strict)
    if len(text) > MAX_CHARACTERS:
        parser.fault(MAX_CHARACTERS, f"at most {MAX_CHARACTERS} characters are read")
    with contextlib.suppress(_Full):
        parser.run()
    return parser.result()


class _Full(Exception):
    """A bound is reached."""


@dataclass
class _Parser:
    """One parse."""

    text: str
    strict: bool
    clauses: list[Clause] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)
    terms: set[bytes] = field(default_factory=set)

    def fault(self, position: int, what: str) -> None:
        if self.strict:
            raise QueryError(f"text: character {position}: {what}")

    def run(self) -> None:
        at, end = 0, len(self.text)
        while (at := _end_of(_SPACE, self.text, at)) < end:
            at = self._clause(at)

    def result(self) -> TextQuery:
        clauses = tuple(self.clauses)
        excludes = [one for one in clauses if one.sign == "-"]
        if excludes and len(excludes) == len(clauses) and not self.fields:
            self.fault(0, "it says only what must not be there; name something to look for")
            clauses = tuple(word for one in excludes for word in _without_sign(one))
        return TextQuery(clauses, tuple(self.fields))

    # ---- pieces ----

    def _clause(self, begin: int) -> int:
        """Reads the piece at `begin`; its end."""
        text, at = self.text, begin
        sign: Sign = ""
        if text[at] in "+-" and text[at + 1 : at + 2] != text[at]:
            sign = "+" if text[at] == "+" else "-"
            at += 1
            if _end_of(_SPACE, text, at) != at or at == len(text):
                self.fault(begin, f"a word or a phrase is needed behind {text[begin]}")
                return at
        if text[at] in _QUOTES:
            return self._phrase(at, sign)
        name = _FIELD.match(text, at)
        if name is not None:
            end = self._field(name[1], name.end(), sign)
            if end is not None:
                return end
        end = _end_of(_PIECE, text, at)
        piece = text[at:end]
        if "*" in piece:
            self._prefix(piece, at, sign)
        else:
            self._words(piece, at, sign)
        return end

    def _quoted(self, begin: int) -> str | None:
        """What stands in quotation marks from `begin` on; None if the second one is missing."""
        end = _end_of(_NOT_QUOTES, self.text, begin + 1)
        if end == len(self.text):
            self.fault(begin, "the second quotation mark is missing")
            return None
        return self.text[begin + 1 : end]

    def _phrase(self, begin: int, sign: Sign) -> int:
        body = self._quoted(begin)
        if body is None:
            self._plain(begin)
            return len(self.text)
        words = [token for token in _tokens(body) if token.kind != PART]
        if not words:
            self.fault(begin, "a phrase without words")
        else:
            self._add(Clause("phrase", _terms(words), sign, True), begin)
        return begin + len(body) + 2

    def _field(self, path: str, at: int, sign: Sign) -> int | None:
        """Reads the value at `at`; its end, or None where these are words."""
        text = self.text
        if at == len(text) or text[at].isspace():
            self.fault(at, f"a value is needed behind {path}:")
            return None
        if text[at] in _QUOTES:
            value = self._quoted(at)
            if value is None:
                self._plain(at - len(path) - 1)
                return len(text)
            if not value:
                self.fault(at, f"a value is needed behind {path}:")
                return None
            end = at + len(value) + 2
        else:
            end = _end_of(_PIECE, text, at)
            value = text[at:end]
        values = (value,) if text[at] in _QUOTES else _values(value)
        words = tuple(islice(_plain_words(f"{path} {value}"), MAX_FIELD_WORDS))
        if len(self.fields) == MAX_TERMS:
            self._full(at)
        self.fields.append(Field(path, values, sign, words))
        return end

    def _prefix(self, piece: str, begin: int, sign: Sign) -> None:
        folded = fold(piece[:-1])
        words = [token for token in folded_tokens(folded) if token.kind != PART]
        tail = folded[words[-1].last :] if words else "*"
        if "*" in piece[:-1] or len(words) != 1 or words[0].first or tail not in _PREFIX_TAILS:
            self.fault(begin + piece.index("*"), "* stands behind the begin of one word")
            self._words(piece, begin, sign)
            return
        term = (_terms(words)[0] + tail.encode("ascii"))[:MAX_TERM]
        self._add(Clause("prefix", (term,), sign, words[0].kind == IDENTIFIER), begin)

    def _words(self, piece: str, begin: int, sign: Sign) -> None:
        words = list(_plain_words(piece))
        if sign and not words:
            self.fault(begin, f"a word or a phrase is needed behind {sign}")
        if sign and len(words) > 1:
            terms = tuple(word.terms[0] for word in words)
            is_exact = any(word.is_exact for word in words)
            self._add(Clause("phrase", terms, sign, is_exact), begin)
            return
        for word in words:
            self._add(replace(word, sign=sign), begin)

    def _plain(self, begin: int) -> None:
        """Takes all that is left as plain words."""
        for word in _plain_words(self.text[begin:]):
            self._add(word, begin)

    # ---- bounds ----

    def _add(self, clause: Clause, position: int) -> None:
        terms = self.terms.union(clause.terms)
        if len(terms) > MAX_TERMS or len(self.clauses) == MAX_CLAUSES:
            self._full(position)
        self.terms = terms
        self.clauses.append(clause)

    def _full(self, position: int) -> None:
        bounds = f"{MAX_TERMS} different terms, {MAX_CLAUSES} words and {MAX_TERMS} fields"
        self.fault(position, f"at most {bounds} are searched")
        raise _Full


def _without_sign(clause: Clause) -> Iterator[Clause]:
    """A clause as plain words."""
    if clause.kind != "phrase":
        yield replace(clause, sign="")
        return
    for term in clause.terms:
        yield Clause("word", (term,), "", clause.is_exact)


def _end_of(pattern: re.Pattern[str], text: str, begin: int) -> int:
    """The end of what a pattern matches at `begin`."""
    found = pattern.match(text, begin)
    return begin if found is None else found.end()


def _tokens(text: str) -> list[Token]:
    return folded_tokens(fold(text))


def _terms(tokens: list[Token]) -> tuple[bytes, ...]:
    return tuple(token.term.encode("utf-8") for token in tokens)


def _plain_words(text: str) -> Iterator[Clause]:
    """The words of a text, each with its parts."""
    tokens = _tokens(text)
    for at, token in enumerate(tokens):
        if token.kind == PART:
            continue
        end = at + 1
        while end < len(tokens) and tokens[end].kind == PART:
            end += 1
        is_single = token.kind == BIGRAM and token.last - token.first == 1
        kind: Literal["word", "prefix"] = "prefix" if is_single else "word"
        yield Clause(kind, _terms(tokens[at:end]), "", token.kind == IDENTIFIER)


def _values(text: str) -> tuple[Scalar, ...]:
    """The values that a text in a query may mean."""
    if text in _CONSTANTS:
        return (text, _CONSTANTS[text])
    if _INTEGER.fullmatch(text):
        return (text, int(text))
    if _DECIMAL.fullmatch(text) and math.isfinite(float(text)):
        return (text, float(text))
    return (text,)
