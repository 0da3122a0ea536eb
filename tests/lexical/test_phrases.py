"""Phrases in texts, and where the words of a query stand in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvdb.lexical import tokeniser
from mvdb.lexical.highlights import highlights
from mvdb.lexical.phrases import occurrences
from mvdb.lexical.query_language import parse
from mvdb.lexical.tokeniser import PART, fold, tokens


def phrase(text: str) -> tuple[bytes, ...]:
    (clause,) = parse(f'"{text}"').clauses
    return clause.terms


@pytest.mark.parametrize(
    ("words", "text", "expected"),
    [
        ("too large", "The file is too large; Too  LARGE!", 2),
        ("too large", "too very large", 0),
        ("too large", "large too", 0),
        ("a a", "a a a", 2),
        ("the cafe", "Le Café, the CAFÉ", 1),
        ("E1234", "error E1234 and E12345", 1),
        ("foo bar", "foo.bar", 0),
        ("foo.bar baz", "see foo.bar, baz", 1),
        ("AT&T shares", "at&t shares, AT&T shares", 1),
        ("東京都", "ここは東京都です。京都東京", 1),
        ("well known", "well-known", 0),
    ],
)
def test_occurrences(words: str, text: str, expected: int) -> None:
    assert occurrences(phrase(words), text.encode("utf-8")) == expected


TEXTS = st.text(st.sampled_from("abB1 _.é東京"), max_size=60)


@given(TEXTS, TEXTS.filter(lambda text: any(one.isalnum() for one in text)))
def test_occurrences_are_those_of_a_search_at_each_word(text: str, words: str) -> None:
    wanted = [token.term for token in tokens(words) if token.kind != PART]
    terms = [token.term for token in tokens(text) if token.kind != PART]
    expected = sum(terms[at : at + len(wanted)] == wanted for at in range(len(terms)))
    encoded = [term.encode("utf-8") for term in wanted]
    assert occurrences(encoded, text.encode("utf-8")) == expected


# ---- highlights ----


def marked(text: str, query: str) -> str:
    """The text with its ranges in brackets, each with its weight; the weight of a term is its
    length."""
    at, result = 0, ""
    for first, last, weight in highlights(text, parse(query), len):
        result += f"{text[at:first]}[{text[first:last]}|{weight:g}]"
        at = last
    return result + text[at:]


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("cafe", "Das Café, DAS CAFÉ", "Das [Café|4], DAS [CAFÉ|4]"),
        ("strasse", "in der Straße 1", "in der [Straße|7] 1"),
        ("ete", "l'e\u0301te\u0301 dernier", "l'[e\u0301te\u0301|3] dernier"),
        ('"too large"', "too large is too Large", "[too large|8] is [too Large|8]"),
        ('"too large" file', "large file, too large", "large [file|4], [too large|8]"),
        ("foo.bar", "foo.bar or foo", "[foo.bar|7] or [foo|3]"),
        ("bar", "foo.bar", "foo.[bar|3]"),
        ("+paint* -house", "painted house", "[painted|7] house"),
        ("東京都", "ここは東京都です", "ここは[東京都|6]です"),
        ("E1234", "E1234, E1235", "[E1234|5], E1235"),
        ("fine", "ﬁne ½ ﬁne", "[ﬁne|4] ½ [ﬁne|4]"),
        ("1", "½ cup", "[½|1] cup"),
        ("lang:en absent", "text en", "text en"),
        ("x", "", ""),
    ],
)
def test_ranges(query: str, text: str, expected: str) -> None:
    assert marked(text, query) == expected


@given(st.text(max_size=80), st.text(max_size=20))
def test_ranges_are_apart_and_hold_terms_of_the_query(text: str, query: str) -> None:
    parsed = parse(query)
    wanted = {term.decode("utf-8") for clause in parsed.clauses for term in clause.terms}
    end = 0
    for first, last, weight in highlights(text, parsed, lambda term: 1.0):
        assert end <= first < last <= len(text)
        assert weight >= 1.0
        assert any(term in fold(text[first:last]).lower() for term in wanted)
        end = last


@given(st.text(st.sampled_from("abé ½ß.B1東"), max_size=60))
def test_a_text_names_all_its_own_words(text: str) -> None:
    words = " ".join(f'"{token.term}"' for token in tokens(text) if token.kind != PART)
    found = highlights(text, parse(words), lambda term: 1.0)
    covered = "".join(text[first:last] for first, last, _ in found)
    letters = [one for one in fold(text) if one.isalnum()]
    assert [one for one in fold(covered) if one.isalnum()] == letters


def test_weights_are_asked_once() -> None:
    asked: list[bytes] = []

    def idf(term: bytes) -> float:
        asked.append(term)
        return 2.0

    found = highlights('a b a b "x" a', parse('a "a b" absent'), idf)
    assert [weight for _, _, weight in found] == [4.0, 4.0, 2.0]
    assert sorted(asked) == [b"a", b"b"]


def test_stems_are_marked() -> None:
    pytest.importorskip("Stemmer")
    stem = tokeniser.stemmer("english")
    text = "He painted houses"
    found = highlights(text, parse("paints house"), len, stem)
    assert [(text[first:last], weight) for first, last, weight in found] == [
        ("painted", 5.0),
        ("houses", 4.0),
    ]
