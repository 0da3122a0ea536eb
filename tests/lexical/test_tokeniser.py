"""Texts to terms: one spelling for all forms of a word, identifiers whole and in parts, ranges in
the text; against a second implementation in plain Python."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mvdb import core
from mvdb.errors import InvalidInputError
from mvdb.lexical import tokeniser
from mvdb.lexical.tokeniser import BIGRAM, IDENTIFIER, PART, WORD, fold, fold_with_offsets, tokens
from tests.lexical.plain_words import Reference

ROOT = Path(__file__).resolve().parent.parent.parent


def is_old(character: str) -> bool:
    """Whether each Python that mvdb runs on knows the character: Unicode 3.2."""
    return unicodedata.ucd_3_2_0.category(character) != "Cn"


ANY = st.characters(exclude_categories=["Cs"]).filter(is_old)
KNOWN = st.sampled_from([*"aabsAZ019__..--''/@::,&++## ", "é", "東", "京", "м", "の", "Σ"])
TEXTS = st.text(KNOWN) | st.text(ANY) | st.lists(st.text(KNOWN) | st.text(ANY)).map("".join)


def terms(text: str) -> list[str]:
    return [token.term for token in tokens(text)]


def wholes(text: str) -> list[str]:
    return [token.term for token in tokens(text) if token.kind != PART]


# ---- one spelling ----


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("naïve ÉCOLE Müller", "naive ECOLE Muller"),
        ("e\u0301te\u0301", "ete"),
        ("Straße Øre Ærø Łódź œuvre", "Strasse Ore Aero Lodz oeuvre"),
        ("Σίσυφος МИР Ёлка", "σισυφοσ мир елка"),
        ("\uff21\uff22\uff11 \uff76\uff9e \ufb01ne x² CO₂ \u2163", "AB1 ガ fine x2 CO2 IV"),
        ("2½", "2 1/2"),
        ("١٢٣ ४५", "123 45"),
        ("rock’n’roll co‑op", "rock'n'roll co-op"),  # noqa: RUF001
        ("Java™ ACME®", "Java  ACME "),
        ("soft\u00adware zero\u200bwidth", "software zero width"),
        ("مُحَمَّد שָׁלוֹם", "محمد שלום"),
        ("हिन्दी ガギグ 한국어", "हिन्दी ガギグ 한국어"),
        ("a\ud800b", "a b"),
        ("HTTP_Server", "HTTP_Server"),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(TEXTS)
def test_composed_and_decomposed_texts_have_the_same_terms(text: str) -> None:
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    assert terms(forms[0]) == terms(forms[1])


@given(st.text())
@example("\uff76\uff9e")
@example("ガ\u3099가\u11a8ß½\ud800\u0301é")
def test_offsets_lead_back_to_the_text(text: str) -> None:
    folded, offsets = fold_with_offsets(text)
    assert folded == fold(text)
    assert len(offsets) == len(folded) + 1
    assert offsets[-1] == len(text)
    assert list(offsets) == sorted(offsets)
    for at, character in enumerate(folded):
        if text[offsets[at]].isascii():
            assert character == text[offsets[at]]


# ---- terms ----


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat, THE end.", ["the", "cat", "the", "end"]),
        (
            "parse_http2Response",
            ["parse_http2response", "parse", "http2response", "http2", "http", "response"],
        ),
        ("E1234", ["e1234", "1234"]),
        ("foo.bar", ["foo.bar", "foo", "bar"]),
        ("C++", ["c++", "c"]),
        ("INV-2026-00691", ["inv-2026-00691", "inv", "2026", "00691"]),
        ("1.2.3", ["1.2.3", "1", "2", "3"]),
        ("me@example.org", ["me@example.org", "me", "example", "org"]),
        ("/usr/lib/x.so", ["usr/lib/x.so", "usr", "lib", "x", "so"]),
        ("os.path.join_all", ["os.path.join_all", "os", "path", "join_all", "join", "all"]),
        ("東京都に", ["東京", "京都", "都に"]),
        ("東", ["東"]),
        ("서울 กรุง", ["서울", "กร", "รุ", "ุง"]),
        ("x" * 70, ["x" * 64]),
        ("x" * 64 + ".b", ["x" * 64, "b"]),
        ("x" * 63 + ".b", ["x" * 63 + ".", "x" * 63, "b"]),
        ("", []),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (WORD, ["cat", "NASA", "PDFs", "well-known", "dog's", "and/or", "e.g", "Мир", "हिन्दी"]),
        (
            IDENTIFIER,
            [
                "E1234",
                "2026",
                "a_b",
                "iPhone",
                "HTTPServer",
                "C#",
                "foo.bar",
                "AT&T",
                "a::b",
                "a/b/c",
            ],
        ),
        (BIGRAM, ["東", "東京"]),
    ],
)
def test_kinds(kind: int, texts: list[str]) -> None:
    for text in texts:
        first, *parts = tokens(text)
        assert (text, first.kind) == (text, kind)
        assert all(part.kind == PART for part in parts)


def test_nul_bytes_and_surrogates_part_words() -> None:
    assert terms("a\0b\ud800c\udfffd") == ["a", "b", "c", "d"]


@given(TEXTS)
@example("aB1_c.dE'f, 1,2 A&B:2 x::y " + "q." * 50 + "p" * 80)
def test_tokens_are_those_of_a_plain_implementation(text: str) -> None:
    folded = fold(text)
    assert [tuple(token) for token in tokens(text)] == Reference(folded).tokens()


@given(TEXTS)
def test_ranges_name_the_term(text: str) -> None:
    folded = fold(text)
    for term, _, first, last in tokens(text):
        stands = folded[first:last].encode("utf-8").lower()
        assert stands.startswith(term.encode("utf-8"))
        assert len(stands) == len(term.encode("utf-8")) or len(stands) > core.MAX_TERM


@given(st.binary())
def test_any_bytes_have_tokens_inside(text: bytes) -> None:
    for term, _, first, last in core.tokenise(text):
        assert 0 < len(term) <= core.MAX_TERM
        assert text[first:last].lower().startswith(term)
        term.decode("utf-8")


@pytest.mark.parametrize("text", ["a", "aB1_", "a.", "é", "東", "7,", "a" * 1000 + " "])
def test_a_megabyte_takes_linear_room(text: str) -> None:
    """Each byte is in a bounded number of tokens: of a whole and of four levels of parts."""
    whole = text * (1_000_000 // len(text.encode("utf-8")))
    found = core.tokenise(whole.encode("utf-8"))
    assert 0 < len(found) <= 5 * len(whole)


@given(TEXTS, TEXTS)
def test_words_do_not_depend_on_their_neighbours(one: str, other: str) -> None:
    assert terms(f"{one} {other}") == terms(one) + terms(other)


# ---- the table of classes ----


@pytest.mark.skipif(unicodedata.unidata_version != "14.0.0", reason="needs Unicode 14.0")
def test_the_table_is_what_its_script_writes() -> None:
    script = ROOT / "csrc" / "lexical" / "make_character_classes.py"
    subprocess.run([sys.executable, str(script), "--check"], check=True)


# ---- stems ----


def stem(language: str) -> Callable[[list[bytes]], list[bytes]]:
    pytest.importorskip("Stemmer")
    return tokeniser.stemmer(language)


def test_stems_of_words_alone() -> None:
    given = [b"houses", b"painted", b"e1234s", b"foo.bars", b"", "äpfel".encode()]
    assert stem("english")(given) == [b"hous", b"paint", *given[2:]]
    assert stem("german")([b"h\xc3\xa4user"]) == [b"haus"]


def test_an_unknown_language_is_named_with_the_known_ones() -> None:
    pytest.importorskip("Stemmer")
    with pytest.raises(InvalidInputError, match=r"'klingon': .*english"):
        tokeniser.stemmer("klingon")


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "Stemmer", None)
    assert "mvdb-engine[stem]" in (tokeniser.stemmer_fault("english") or "")
    with pytest.raises(InvalidInputError, match=r"mvdb-engine\[stem\]"):
        tokeniser.stemmer("english")
