"""The language of `text`: what each form means, that any text means something, and that with
`strict` a malformed one is refused with its position."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import mvdb
from mvdb.errors import InvalidInputError, QueryError
from mvdb.filters import language
from mvdb.lexical.query_language import MAX_CHARACTERS, MAX_CLAUSES, MAX_TERMS, Clause, parse
from mvdb.lexical.tokeniser import PART, tokens


def shown(text: str, strict: bool = False) -> list[str]:
    """Clauses as +word(its parts), "a phrase", prefix*, each with ! behind exact evidence."""
    result = []
    for clause in parse(text, strict).clauses:
        first, *rest = (term.decode("utf-8") for term in clause.terms)
        if clause.kind == "phrase":
            word = f'"{" ".join([first, *rest])}"'
        else:
            word = first + ("*" if clause.kind == "prefix" else "")
            word += f"({' '.join(rest)})" if rest else ""
        result.append(clause.sign + word + ("!" if clause.is_exact else ""))
    return result


def as_plain_words(text: str) -> list[str]:
    return [token.term for token in tokens(text) if token.kind != PART]


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("", []),
        ("  \t\n", []),
        ("house", ["house"]),
        ("The Élan of a", ["the", "elan", "of", "a"]),
        ("error E1234", ["error", "e1234(1234)!"]),
        ("foo.bar C++", ["foo.bar(foo bar)!", "c++(c)!"]),
        ("well-known", ["well-known(well known)"]),
        ('"a phrase"', ['"a phrase"!']),
        ('"E1234"', ['"e1234"!']),
        ("“typeset phrase” „auch so“", ['"typeset phrase"!', '"auch so"!']),
        ('"one""two"three', ['"one"!', '"two"!', "three"]),
        ('"foo.bar baz"', ['"foo.bar baz"!']),
        ("+must -not may", ["+must", "-not", "may"]),
        ('+"a b" -"c d" x', ['+"a b"!', '-"c d"!', "x"]),
        ("+foo#bar x", ['+"foo bar"', "x"]),
        ("-東京都 x", ['-"東京 京都"', "x"]),
        ("pre* +must* -not* parse_*", ["pre*", "+must*", "-not*", "parse_*!"]),
        ("foo.* std::*", ["foo.*", "std::*"]),
        ("猫", ["猫*"]),
        ("東京都", ["東京", "京都"]),
        ("a-b a+b", ["a-b(a b)", "a", "b"]),
        ("12:30 std::vector", ["12:30(12 30)!", "std::vector(std vector)!"]),
        ("http://localhost C:\\notes", ["http", "localhost", "c", "notes"]),
        ("--flag ++x", ["flag", "x"]),
        ('3.5" disk 6\'2"', ["3.5(3 5)!", "disk", "6'2(6)!"]),
        ("the the", ["the", "the"]),
        ("a\0b\ud800c", ["a", "b", "c"]),
    ],
)
def test_forms(text: str, clauses: list[str]) -> None:
    assert shown(text) == clauses
    assert shown(text, strict=True) == clauses


@pytest.mark.parametrize(
    ("text", "path", "sign", "values"),
    [
        ("lang:en", "lang", "", ("en",)),
        ("author.name:Ann", "author.name", "", ("Ann",)),
        ("-lang:de", "lang", "-", ("de",)),
        ("+lang:de", "lang", "+", ("de",)),
        ('title:"Moby Dick"', "title", "", ("Moby Dick",)),
        ('year:"2021"', "year", "", ("2021",)),
        ("year:2021", "year", "", ("2021", 2021)),
        ("code:00691", "code", "", ("00691",)),
        ("size:-1.5", "size", "", ("-1.5", -1.5)),
        ("draft:true", "draft", "", ("true", True)),
        ("by:null", "by", "", ("null", None)),
        ("path:/usr/lib", "path", "", ("/usr/lib",)),
        ("big:" + "9" * 30, "big", "", ("9" * 30,)),
    ],
)
def test_fields(text: str, path: str, sign: str, values: tuple[object, ...]) -> None:
    query = parse(f"{text} word", strict=True)
    (found,) = query.fields
    assert (found.path, found.sign, found.values) == (path, sign, values)
    assert [type(value) for value in found.values] == [type(value) for value in values]
    assert [clause.terms for clause in query.clauses] == [(b"word",)]
    assert query.filter is not None
    language.parse(query.filter)


def test_a_field_knows_its_words() -> None:
    (found,) = parse("error:E1234").fields
    assert [clause.terms for clause in found.words] == [(b"error",), (b"e1234", b"1234")]


def test_fields_are_a_filter() -> None:
    given = parse("lang:en year:2021 -draft:true word").filter
    assert given == {
        "$and": [
            {"lang": {"$in": ["en"]}},
            {"year": {"$in": ["2021", 2021]}},
            {"draft": {"$nin": ["true", True]}},
        ]
    }
    assert parse("word").filter is None


@pytest.mark.parametrize(
    ("text", "position", "what", "clauses"),
    [
        ('foo "bar +baz', 4, "second quotation mark", ["foo", "bar", "baz"]),
        ('"', 0, "second quotation mark", []),
        ('+"a b', 1, "second quotation mark", ["a", "b"]),
        ('title:"a b', 6, "second quotation mark", ["title", "a", "b"]),
        ('x ""', 2, "phrase without words", ["x"]),
        ('x "..."', 2, "phrase without words", ["x"]),
        ("Paris - Texas", 6, "behind -", ["paris", "texas"]),
        ("x +", 2, "behind +", ["x"]),
        ("x -!!", 3, "behind -", ["x"]),
        ("fo*o", 2, "begin of one word", ["fo", "o"]),
        ("*", 0, "begin of one word", []),
        ("**bold**", 0, "begin of one word", ["bold"]),
        ("note: this", 5, "value is needed behind note:", ["note", "this"]),
        ('x note:""', 7, "value is needed behind note:", ["x", "note"]),
        ("-only", 0, "must not be there", ["only"]),
        ('-"a b" -c*', 0, "must not be there", ["a!", "b!", "c*"]),
    ],
)
def test_malformed_texts(text: str, position: int, what: str, clauses: list[str]) -> None:
    assert shown(text) == clauses
    with pytest.raises(QueryError) as caught:
        parse(text, strict=True)
    assert f"character {position}: " in str(caught.value)
    assert what in str(caught.value)
    assert isinstance(caught.value, mvdb.InvalidInputError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("text", [None, b"x", 1, ["x"]])
def test_other_types_are_refused(text: object) -> None:
    with pytest.raises(InvalidInputError, match="text: a string is needed"):
        parse(text)  # type: ignore[arg-type]


# ---- bounds ----


def different_terms(clauses: tuple[Clause, ...]) -> set[bytes]:
    return {term for clause in clauses for term in clause.terms}


@pytest.mark.parametrize(
    "text",
    [
        " ".join(f"word{i}" for i in range(130_000)),
        "the " * 250_000,
        "x" * 1_000_000,
        "a," * 500_000,
        '"' * 1_000_001,
        "+" * 1_000_000,
        "- " * 500_000,
        "a:b " * 250_000,
        "*" * 1_000_000,
        "東" * 340_000,
        "a.b_c" * 200_000,
        "\0" * 1_000_000,
    ],
    ids=lambda text: ascii(text[:8]),
)
def test_a_megabyte_is_cut(text: str) -> None:
    query = parse(text)
    assert len(different_terms(query.clauses)) <= MAX_TERMS
    assert len(query.clauses) <= MAX_CLAUSES
    assert len(query.fields) <= MAX_TERMS
    with pytest.raises(QueryError, match=r"text: character \d+: at most"):
        parse(text, strict=True)


def test_the_first_terms_are_kept() -> None:
    words = [f"w{'abcdefghij'[i // 100]}{'abcdefghij'[i // 10 % 10]}" * 2 for i in range(400)]
    words = list(dict.fromkeys(words)) + [f"{'x' * (i + 1)}" for i in range(60)] * 5
    query = parse(" ".join(words + [f"y{'z' * i}" for i in range(300)]))
    kept = [clause.terms[0].decode() for clause in query.clauses]
    assert kept == (words + [f"y{'z' * i}"[:64] for i in range(300)])[: len(kept)]
    assert len(set(kept)) <= MAX_TERMS


def test_a_text_at_the_bound_is_whole() -> None:
    text = "ab " * (MAX_CLAUSES - 1) + "z"
    assert len(parse(text, strict=True).clauses) == MAX_CLAUSES
    with pytest.raises(QueryError, match=f"{MAX_CLAUSES} words"):
        parse(text + " z", strict=True)
    assert parse(" " * (MAX_CHARACTERS - 1) + "z", strict=True).clauses
    with pytest.raises(QueryError, match=f"character {MAX_CHARACTERS}"):
        parse(" " * MAX_CHARACTERS + "z", strict=True)


# ---- any text ----

PIECES = st.sampled_from(
    ['"', "“", "+", "-", "*", ":", " ", "a", "b1", "C++", "x.y", "lang:", "東京", "猫", "\0", "é"]
)


@given(st.text() | st.lists(PIECES).map("".join))
@example('+-"*:"')
def test_every_text_has_a_meaning_and_strict_changes_none(text: str) -> None:
    query = parse(text)
    for clause in query.clauses:
        assert clause.terms
        assert all(0 < len(term) <= 64 and term.decode("utf-8") for term in clause.terms)
    if query.filter is not None:
        language.parse(query.filter)
    with contextlib.suppress(QueryError):
        assert parse(text, strict=True) == query


@given(st.text(st.sampled_from("aB1_ .,éпx'#&")))
def test_texts_without_operators_are_the_tokeniser_s_words(text: str) -> None:
    assert [c.terms[0].decode("utf-8") for c in parse(text).clauses] == as_plain_words(text)
