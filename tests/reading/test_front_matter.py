"""What documents say of themselves, as metadata: JSON, bounded, and not part of the passages."""

from __future__ import annotations

import io
import sys
import time
import zipfile
from itertools import pairwise

import pytest

from mvdb.documents.metadata import validate_metadata
from mvdb.reading import Reading, cut, read
from mvdb.reading.pdf import end_process


def shown(reading: Reading) -> list[tuple[str, int]]:
    return [(block.text, block.line) for block in reading.blocks]


def test_yaml_becomes_metadata_and_lines_keep_their_numbers() -> None:
    text = (
        "---\ntitle: Bread\ndate: 2026-01-02\nat: 2026-01-02T03:04:05+01:00\ntags: [a, 'b']\n"
        "draft: false\nauthor: {name: Ann, 7: x, null: y}\nclock: 12:30\nversion: 1.20\n"
        "none:\nkinds: !!set {one, two}\n---\n\nFlour.\n"
    )
    document = read(text, name="a.md")
    assert document.metadata == {
        "title": "Bread",
        "date": "2026-01-02",
        "at": "2026-01-02T03:04:05+01:00",
        "tags": ["a", "b"],
        "draft": False,
        "author": {"name": "Ann", "7": "x", "null": "y"},
        "clock": "12:30",
        "version": 1.2,
        "none": None,
        "kinds": document.metadata["kinds"],
    }
    assert sorted(document.metadata["kinds"]) == ["one", "two"]
    assert (document.title, document.note) == ("Bread", "")
    assert shown(document) == [("Flour.", 14)]
    assert [(p.line, p.text) for p in cut(document.blocks)] == [(14, "Flour.")]


def test_toml_becomes_metadata() -> None:
    text = '+++\ntitle = "Bread"\ndate = 2026-01-02T03:04:05Z\n[extra]\nn = 3\n+++\n# Other\n'
    document = read(text, name="a.md")
    assert document.metadata == {
        "title": "Bread",
        "date": "2026-01-02T03:04:05+00:00",
        "extra": {"n": 3},
    }
    assert document.title == "Bread"
    assert shown(document) == [("# Other", 7)]


@pytest.mark.parametrize("name", ["a.md", "a.html", "a.txt", "a.rst", "a.org", "a.adoc", "a.mdx"])
def test_front_matter_is_found_where_people_write_it(name: str) -> None:
    document = read("---\nk: v\n---\nText.\n", name=name)
    assert document.metadata == {"k": "v"}
    assert shown(document) == [("Text.", 4)]


@pytest.mark.parametrize("name", ["a.yaml", "a.py", "a.c", "a.log"])
def test_a_document_of_yaml_or_code_has_none(name: str) -> None:
    assert read("---\nk: v\n---\nText.\n", name=name).metadata == {}


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ("---\na: [1\n---\n", "front matter is read as text: expected"),
        ("---\na: .nan\n---\n", "the number nan, which JSON has not"),
        ("---\na: .inf\n---\n", "the number inf"),
        ("+++\na = nan\n+++\n", "the number nan"),
        ("---\na: 99999999999999999999\n---\n", "an integer of more than 64 bits"),
        ("---\na: !!binary aGVsbG8=\n---\n", "a value of type bytes"),
        ("---\na: !!python/object:os.system x\n---\n", "could not determine a constructor"),
        ('---\na: "\\ud800"\n---\n', "a lone surrogate"),
        ("---\na: &a [*a]\n---\n", "contains itself"),
        ("---\na: " + "[" * 500 + "]" * 500 + "\n---\n", "nested more than 32 deep"),
        ("---\na: 2026-13-45\n---\n", "month must be in"),
        ("+++\na = \n+++\n", "Invalid value"),
        ("+++\n" + "a." * 100 + "a = 1\n+++\n", "more than 64 dots"),
        ("+++\na = " + "[" * 1_500 + "\n+++\n", "front matter is read as text"),
        ("---\na:\n" + "- 0\n" * 10_001 + "---\n", "more than 10,000 values"),
    ],
)
def test_malformed_front_matter_is_text_with_a_note(head: str, why: str) -> None:
    document = read(head + "Text.\n", name="a.md")
    assert document.metadata == {}
    assert why in document.note
    words = " ".join(block.text for block in document.blocks)
    assert words.endswith("Text.")
    assert head.split("\n")[1].strip()[:20] in words


@pytest.mark.parametrize(
    "text",
    [
        "---\nOnly a rule.\n---\nText.",
        "---\nk: v\nnever closed",
        "--- \n",
        "----\nk: v\n----\n",
        "+++",
    ],
)
def test_a_rule_is_no_front_matter_and_gets_no_note(text: str) -> None:
    document = read(text, name="a.txt")
    assert (document.metadata, document.note) == ({}, "")
    assert "\n".join(block.text for block in document.blocks) == text.strip()


LETTERS = list(pairwise("abcdefghi"))
BOMBS = {
    "lists": "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in LETTERS),
    "merges": "".join(f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}\n" for a, b in LETTERS),
    "words": f"w: &w {'x' * 60_000}\nl: [{', '.join(['*w'] * 900)}]\n",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_aliases_do_not_unfold_without_end(kind: str) -> None:
    first = "" if kind == "words" else "a: &a {k: v}\n" if kind == "merges" else "a: &a [x, x]\n"
    start = time.process_time()
    document = read(f"---\n{first}{BOMBS[kind]}---\nText.\n", name="a.md")
    assert time.process_time() - start < 10
    assert document.metadata == {}
    assert "more than" in document.note


def test_an_alias_is_read() -> None:
    text = "---\na: &a {k: [1]}\nb: *a\nc: {<<: *a, z: 2}\n---\n"
    found = read(text, name="a.md").metadata
    assert found == {"a": {"k": [1]}, "b": {"k": [1]}, "c": {"k": [1], "z": 2}}


def test_a_very_long_head_is_text() -> None:
    text = "---\n" + "k: v\n" * 14_000 + "---\nText.\n"
    document = read(text, name="a.txt")
    assert document.metadata == {}
    assert sum(block.text.count("k: v") for block in document.blocks) == 14_000


def test_without_its_library_yaml_stays_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.warns(UserWarning, match=r"front matter is read as text: yaml is not .*\[cli\]"):
        document = read("---\nk: v\n---\nText.\n", name="a.txt")
    assert document.metadata == {}
    assert shown(document)[0][1] == 1


def test_org_keywords_title_and_date() -> None:
    text = (
        "# comment\n#+TITLE: Bread\n#+title: and salt\n#+Date: 2026-01-02\n\n* Flour\n#+NAME: x\n"
    )
    document = read(text, name="a.org")
    assert document.metadata == {"title": "Bread and salt", "date": "2026-01-02"}
    assert document.title == "Bread and salt"
    assert shown(document) == [("* Flour", 6), ("#+NAME: x", 7)]


@pytest.mark.parametrize(
    ("name", "text", "title", "metadata"),
    [
        (
            "a.tex",
            "\\title[s]{Two\n words}\n\\author{Ann}\n\\section{x}",
            "Two words",
            {"author": "Ann"},
        ),
        ("a.tex", "% \\title{no}\n\\section{One}\n", "One", {}),
        (
            "a.html",
            "<head><title>A &amp; B</title><meta name=Author content=Ann><meta name=viewport "
            "content=x></head><h1>Other</h1><p>x",
            "A & B",
            {"author": "Ann"},
        ),
        ("a.html", "<h1>Only <b>this</b></h1><p>x", "Only this", {}),
        (
            "a.html",
            "---\nauthor: Bea\n---\n<head><meta name=author content=Ann></head>",
            "",
            {"author": "Bea"},
        ),
        ("a.md", "![badge](x)\n\n# The title\n\n## Part\n", "The title", {}),
        ("a.md", "no heading", "", {}),
        ("a.rst", "Title\n=====\n", "Title", {}),
        ("a.adoc", "= Title\n\n== Part\n", "Title", {}),
        ("a.c", "int main(void)\n{\n}\n", "", {}),
        (
            "a.ipynb",
            '{"cells": [{"cell_type": "code", "source": "x"}, '
            '{"cell_type": "markdown", "source": "# First"}]}',
            "First",
            {},
        ),
    ],
)
def test_titles_and_metadata(name: str, text: str, title: str, metadata: dict[str, str]) -> None:
    document = read(text, name=name)
    assert (document.title, document.metadata) == (title, metadata)


def test_a_mail() -> None:
    mail = (
        b"From: a@b.c\nTo: d@e.f\nSubject: Hello\nDate: Fri, 02 Jan 2026 03:04:05 +0100\n\nText.\n"
    )
    document = read(mail, name="a.eml")
    assert document.title == "Hello"
    assert document.metadata == {
        "from": "a@b.c",
        "to": "d@e.f",
        "subject": "Hello",
        "date": "2026-01-02T03:04:05+01:00",
    }


def test_office_documents() -> None:
    docx = pytest.importorskip("docx")
    file = io.BytesIO()
    document = docx.Document()
    document.core_properties.title, document.core_properties.author = "Bread", "Ann"
    document.add_paragraph("Flour.")
    document.save(file)
    found = read(file.getvalue(), name="a.docx")
    assert (found.title, found.metadata["author"]) == ("Bread", "Ann")
    assert found.metadata["created"].startswith("20")
    assert [block.text for block in found.blocks] == ["Flour."]


def test_books_and_open_documents() -> None:
    dublin = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
    about = "<dc:title>Bread</dc:title><dc:creator>Ann</dc:creator><dc:creator>Bea</dc:creator>"
    book = {
        "META-INF/container.xml": '<c><rootfile full-path="b.opf"/></c>',
        "b.opf": f"<p><metadata {dublin}>{about}</metadata>"
        '<item id="1" href="1.html"/><itemref idref="1"/></p>',
        "1.html": "<p>Flour.</p>",
    }
    text = 'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
    writer = {
        "content.xml": f"<a {text}><text:p>Flour.</text:p></a>",
        "meta.xml": f"<m {dublin}>{about}</m>",
    }
    for name, members in (("a.epub", book), ("a.odt", writer)):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for member, content in members.items():
                archive.writestr(member, content)
        found = read(file.getvalue(), name=name)
        assert (found.title, found.metadata) == ("Bread", {"author": "Ann, Bea"})
        assert [block.text for block in found.blocks] == ["Flour."]


def test_pdf() -> None:
    pypdf = pytest.importorskip("pypdf")
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(200, 200)
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    fonts = DictionaryObject({NameObject("/F1"): font})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    stream = DecodedStreamObject()
    stream.set_data(b"BT /F1 12 Tf 10 100 Td (Flour.) Tj ET")
    page[NameObject("/Contents")] = writer._add_object(stream)
    writer.add_metadata(
        {"/Title": "Bread", "/Author": "Ann", "/CreationDate": "D:20260102030405Z", "/ModDate": "x"}
    )
    file = io.BytesIO()
    writer.write(file)
    found = read(file.getvalue(), name="a.pdf")
    end_process()
    assert (found.title, found.metadata["author"]) == ("Bread", "Ann")
    assert found.metadata["created"].startswith("2026-01-02T03:04:05")
    assert [block.text for block in found.blocks] == ["Flour."]


@pytest.mark.parametrize("text", ["---\na: {b: [1, 2026-01-01, x]}\n---\n", "+++\na = 1\n+++\n"])
def test_metadata_can_be_stored(text: str) -> None:
    validate_metadata(read(text, name="a.md").metadata)


def test_a_heading_without_end_is_shortened_in_the_trail() -> None:
    document = read("# " + "long " * 100_000 + "\n\nText.\n", name="a.md")
    assert len(document.title) <= 300
    assert all(len("".join(p.trail)) <= 300 for p in cut(document.blocks))
