"""What is taken from files of each kind, and which files are taken at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mvdb.reading import formats
from mvdb.reading.blocks import Block
from mvdb.reading.code import read_code
from mvdb.reading.decoding import decode
from mvdb.reading.files import read_file
from mvdb.reading.finding import find_files
from mvdb.reading.formats import read_bytes, register_reader
from mvdb.reading.html import read_html
from mvdb.reading.markdown import read_markdown
from mvdb.reading.python_source import docstrings, read_python
from mvdb.reading.rst import read_rst
from mvdb.reading.unreadable import Unreadable

MOST = 1 << 20


def test_markdown_headings_of_both_kinds() -> None:
    text = "Title\n=====\n\nIntro.\n\nPart\n----\nText\nof it.\n\n### Deep ###\nMore.\n\n# New\n"
    assert [(b.text, b.line, b.end_line, b.trail) for b in read_markdown(text)] == [
        ("Title", 1, 2, ("Title",)),
        ("Intro.", 4, 4, ("Title",)),
        ("Part", 6, 7, ("Title", "Part")),
        ("Text\nof it.", 8, 9, ("Title", "Part")),
        ("### Deep ###", 11, 11, ("Title", "Part", "Deep")),
        ("More.", 12, 12, ("Title", "Part", "Deep")),
        ("# New", 14, 14, ("New",)),
    ]


def test_markdown_code_is_no_heading() -> None:
    text = "# A\n\n```sh\n# not a heading\n\nls\n```\n\n~~~\n# nor this, and never closed\n"
    blocks = list(read_markdown(text))
    assert {b.trail for b in blocks} == {("A",)}
    assert blocks[1].text == "```sh\n# not a heading\n\nls\n```"
    assert blocks[1].verbatim


def test_markdown_rules_lists_tags_and_front_matter() -> None:
    text = "---\ntitle: x\n---\n\n#hashtag\n\n- item\n---\n\n> # quoted\n\n[name]: <address>\n"
    assert [(b.text, b.line, b.trail) for b in read_bytes("a.md", text.encode()).blocks] == [
        ("#hashtag", 5, ()),
        ("- item\n---", 7, ()),
        ("> # quoted", 10, ()),
        ("[name]: <address>", 12, ()),
    ]


def test_markdown_headings_of_two_lines_as_commonmark_has_them() -> None:
    text = "Two\nlines\n---\n\nText.\n"
    assert [(b.text, b.line, b.end_line, b.trail) for b in read_markdown(text)] == [
        ("Two\nlines", 1, 3, ("Two lines",)),
        ("Text.", 5, 5, ("Two lines",)),
    ]


def test_markdown_code_and_tables_keep_their_lines() -> None:
    text = "- item\n\n  ```py\n  x = 1\n\n  ```\n- more\n\n| A |\n|---|\n| 1 |\n\nEnd.\n"
    found = [(b.text, b.line, b.end_line) for b in read_markdown(text) if b.verbatim]
    assert found == [("  ```py\n  x = 1\n\n  ```", 3, 6), ("| A |\n|---|\n| 1 |", 9, 11)]
    (block,) = read_markdown("    a\n\n    b\n")
    assert (block.text, block.verbatim) == ("    a\n\n    b", True)


@pytest.mark.parametrize("text", ["", "\n", "---\n", "---\na: b\n---", "---\na: b\n---\n", "#\n"])
def test_markdown_without_text(text: str) -> None:
    blocks = read_bytes("a.md", text.encode()).blocks
    assert [b.text for b in blocks if b.text != "---"] == []


def test_rst_levels_follow_the_order_of_styles() -> None:
    text = (
        "=====\nTitle\n=====\n\nIntro.\n\nPart\n====\n\nText.\n\nDeep\n----\nMore.\n\nOther\n====\n"
    )
    assert [(b.text, b.line, b.trail) for b in read_rst(text)] == [
        ("Title", 1, ("Title",)),
        ("Intro.", 5, ("Title",)),
        ("Part", 7, ("Title", "Part")),
        ("Text.", 10, ("Title", "Part")),
        ("Deep", 12, ("Title", "Part", "Deep")),
        ("More.", 14, ("Title", "Part", "Deep")),
        ("Other", 16, ("Title", "Other")),
    ]


def test_rst_tables_and_transitions_are_no_titles() -> None:
    text = "Words before.\n\n----\n\n==== ====\nA    B\n==== ====\n1    2\n==== ====\n"
    text += "\nlast line\nof two\n---\n"
    assert {b.trail for b in read_rst(text)} == {()}


def test_html_is_stripped_to_its_text() -> None:
    text = (
        "<html><head><title>Site &amp; page</title><style>p {}</style>\n"
        "<script>if (a < b) { '<p>no</p>' }</script></head><body>\n"
        "<h1>Big</h1>\n<p>One <b>bold</b>er\n   word.<br>Next line.\n"
        "<h2>Small</h2><ul><li>first<li><p>second</p></ul>\n<pre>  kept\n   as is</pre>\n"
        "<table><tr><td>a<td>b<tr><td>c</table> tail &lt;tag&gt;"
    )
    blocks = list(read_html(text).blocks)
    assert [(b.text, b.trail[1:]) for b in blocks] == [
        ("Big", ("Big",)),
        ("One bolder word.\nNext line.", ("Big",)),
        ("Small", ("Big", "Small")),
        ("- first", ("Big", "Small")),
        ("second", ("Big", "Small")),
        ("  kept\n   as is", ("Big", "Small")),
        ("a b\nc", ("Big", "Small")),
        ("tail <tag>", ("Big", "Small")),
    ]
    assert {b.trail[0] for b in blocks} == {"Site & page"}
    assert [(b.line, b.end_line) for b in blocks][:3] == [(3, 3), (4, 5), (6, 6)]


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("<div>one<hr>two<p>three</p>four</div>", ["one", "two", "three", "four"]),
        ("<p>one<!-- not this --> two<svg><title>nor this</title></svg>", ["one two"]),
        ("<noscript><p>no</p></noscript><p>yes", ["yes"]),
        ("<script/>kept", ["kept"]),
        ("<pre><code>a\n  b</code></pre>c", ["a\n  b", "c"]),
    ],
)
def test_html_blocks_end_where_a_reader_sees_them_end(text: str, blocks: list[str]) -> None:
    assert [b.text for b in read_html(text).blocks] == blocks


@pytest.mark.parametrize(
    "text",
    [
        "<",
        "<!",
        "<!--",
        "<p",
        "</",
        "<script>never closed",
        "&#xffffffff;",
        "<![CDATA[",
        "<?",
        "\0",
    ],
)
def test_broken_html_is_read_anyway(text: str) -> None:
    list(read_html("<p>fine</p>" + text).blocks)


def test_the_title_of_a_page_is_not_said_twice() -> None:
    assert [b.trail for b in read_html("<title>A</title><h1>A</h1><p>x").blocks] == [("A",), ("A",)]


PYTHON = '''#!/usr/bin/env python
"""What the module does."""
import sys

if sys.platform == "win32":
    def found(): "Only there."

class Shape(Base, metaclass=Meta):
    """A shape.

    With corners.
    """

    def area(self, unit: str = "m", *, exact=False) -> float:
        """Its area."""
        def inner():
            """Not this."""

    async def wait(self): "Waits."

def bare(): return 1
'''


def test_python_gives_docstrings_with_signatures() -> None:
    found = [(d.name, d.signature, d.text, d.line) for d in docstrings(PYTHON)]
    area = "def area(self, unit: str='m', *, exact=False) -> float:"
    assert found == [
        ((), "", "What the module does.", 2),
        (("found",), "def found():", "Only there.", 6),
        (("Shape",), "class Shape(Base):", "A shape.\n\nWith corners.", 8),
        (("Shape", "area"), area, "Its area.", 14),
        (("Shape", "wait"), "async def wait(self):", "Waits.", 19),
    ]


def test_python_is_read_whole_below_the_names_of_its_definitions() -> None:
    blocks = list(read_python(PYTHON))
    lines = PYTHON.split("\n")
    for block in blocks:
        assert block.verbatim
        assert block.text.split("\n") == [
            line.rstrip() for line in lines[block.line - 1 : block.end_line]
        ]
    kept = {number for block in blocks for number in range(block.line, block.end_line + 1)}
    assert all(number in kept for number, line in enumerate(lines, 1) if line.strip())
    trails = {line: b.trail for b in blocks for line in b.text.split("\n")}
    assert trails['    def area(self, unit: str = "m", *, exact=False) -> float:'] == (
        "Shape",
        "area",
    )
    assert trails['            """Not this."""'] == ("Shape", "area")
    assert trails["def bare(): return 1"] == ("bare",)
    assert trails["class Shape(Base, metaclass=Meta):"] == ("Shape",)


@pytest.mark.parametrize("text", ["print 'two'\n", "x = '\0'\n", "(" * 5000, "é" * 3 + " ?"])
def test_what_is_no_python_is_read_as_code(text: str) -> None:
    assert [b.text for b in read_python(text)] == [text.rstrip("\n")]


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (b"\xef\xbb\xbfA", "A", "utf-8-sig"),
        ("Äß".encode("utf-16"), "Äß", "utf-16"),
        ("Äß".encode("utf-32"), "Äß", "utf-32"),
        ("Ä€".encode(), "Ä€", "utf-8"),
        (b"a\r\nb\rc\n", "a\nb\nc\n", "utf-8"),
        (b"a\x0cb", "a\x0cb", "utf-8"),
        (b"", "", "utf-8"),
        ('<meta charset="shift_jis"><p>東京'.encode("shift_jis"), None, "shift_jis"),
        ("# -*- coding: koi8-r -*-\n# Привет".encode("koi8-r"), None, "koi8-r"),
        ("#!/bin/x\n# vim: fileencoding=latin-1\n# é".encode("latin-1"), None, "iso8859-1"),
        ('<?xml version="1.0" encoding="ISO-8859-2"?>Łódź'.encode("iso8859-2"), None, "iso8859-2"),
        (b'<meta charset="nonsense"><p>x', '<meta charset="nonsense"><p>x', "utf-8"),
        (b'<meta charset="punycode"><p>x-', '<meta charset="punycode"><p>x-', "utf-8"),
    ],
)
def test_marks_and_declarations_of_encodings(data: bytes, text: str | None, encoding: str) -> None:
    found = decode(data)
    assert found.encoding == encoding
    assert not found.is_guess
    assert found.text == (data.decode(encoding) if text is None else text)


def test_an_encoding_that_nothing_tells_is_guessed_and_said() -> None:
    text = "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 3
    found = decode(text.encode("cp1251"))
    assert found == (text, "cp1251", True)
    assert read_bytes("a.txt", text.encode("cp1251")).note == "read as cp1251, a guess"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x7fELF\0\0", "binary"),
        (b"\xff\xfe\xff", "not valid UTF-16"),
        (bytes(range(1, 256)), "binary"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        decode(data)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_bytes(b"a" * (MOST + 1))
    with pytest.raises(Unreadable, match="larger than 1 MiB"):
        read_file(path, MOST)
    os.symlink("nowhere", tmp_path / "dangling.txt")
    with pytest.raises(Unreadable, match="a link to nothing"):
        read_file(tmp_path / "dangling.txt", MOST)
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(Unreadable, match="not a regular file"):
        read_file(tmp_path / "pipe.txt", MOST)


def made(folder: Path, *names: str, text: str = "x\n") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def found_in(folder: Path, **options: bool) -> list[str]:
    """The files that are found in a folder, which refuses nothing but links."""

    def refused(path: Path, reason: str, kind: str) -> None:
        assert kind == "link", f"{path}: {reason}"

    return sorted(
        path.relative_to(folder).as_posix() for path in find_files(folder, refused, **options)
    )


def test_which_files_are_found(tmp_path: Path) -> None:
    wanted = ["README", "a.md", "b/B.TXT", "b/c/x.html", "b/y.c", "image.png"]
    tools = ["b/__pycache__/a.py", "node_modules/x/index.js", "env/lib/a.py", "env/pyvenv.cfg"]
    made(tmp_path, *wanted, *tools, ".hidden.md", ".git/a.md")
    os.symlink(tmp_path, tmp_path / "loop")
    assert found_in(tmp_path) == wanted
    assert found_in(tmp_path, ignore=False) == sorted(wanted + tools)
    assert found_in(tmp_path, hidden=True) == sorted([*wanted, ".hidden.md"])
    assert list(find_files(tmp_path / "README", lambda *_: None)) == [tmp_path / "README"]
    assert [b.text for b in read_bytes("README", b"# x").blocks] == ["# x"]


def test_ignore_files_have_the_rules_of_git(tmp_path: Path) -> None:
    """The nearest file decides, its last matching line; those above count within the repository."""
    made(tmp_path, "repo/.git/HEAD", "repo/a/x.log", "repo/a/keep.log", "repo/a/b/x.txt")
    made(tmp_path, "repo/a/build/x.txt", "repo/a/y.txt", "repo/z.tmp", "repo/a/secret.txt")
    (tmp_path / ".gitignore").write_text("y.txt\n")  # outside of the repository
    (tmp_path / "repo/.gitignore").write_text("*.log\n!keep.log\nbuild/\n/z.tmp\nx.txt\n[\n")
    (tmp_path / "repo/a/b/.gitignore").write_text("!x.txt\n")
    (tmp_path / "repo/a/.ignore").write_text("secret*\n")
    assert found_in(tmp_path / "repo") == ["a/b/x.txt", "a/keep.log", "a/y.txt"]
    assert found_in(tmp_path / "repo/a") == ["b/x.txt", "keep.log", "y.txt"]
    build = ["x.txt"]  # named itself, it is wanted; other rules of the repository count below it
    (tmp_path / "repo/a/build/y.log").write_text("x")
    (tmp_path / "repo/a/.gitignore").write_text("*.log\n/build\n")
    (tmp_path / "repo/.gitignore").write_text("build/\n")
    assert found_in(tmp_path / "repo/a/build") == build
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "repo/a/build/.gitignore")
    assert found_in(tmp_path / "repo/a/build") == build


def test_a_link_to_a_file_is_taken_once(tmp_path: Path) -> None:
    made(tmp_path, "outside.txt", "a/real.txt")
    for name, target in [("1", "real.txt"), ("2", "../outside.txt"), ("3", "../outside.txt")]:
        os.symlink(target, tmp_path / "a" / name)
    assert found_in(tmp_path / "a") == ["2", "real.txt"]


C = """\
/* What the file is for. */
#include <stdio.h>

/* Adds
 * one. */
static int add_one(int value)
{
  int sum = value + 1;

  return sum;
}

struct point { int x, y; };
"""


def test_code_of_any_language_is_read_whole_and_cut_at_definitions() -> None:
    found = [(b.trail, b.line, b.end_line, b.text.split("\n")[0]) for b in read_code(C)]
    assert found == [
        ((), 1, 2, "/* What the file is for. */"),
        (("add_one",), 4, 8, "/* Adds"),
        (("add_one",), 10, 11, "  return sum;"),
        (("point",), 13, 13, "struct point { int x, y; };"),
    ]
    rust = "impl<T> Stack<T> {\n    fn push(&mut self) {}\n}\n\npub fn run_all() {}\n"
    assert [b.trail for b in read_code(rust)][1] == ("run_all",)


@pytest.mark.parametrize("name", ["a.c", "a.h", "a.ts", "a.go", "a.rs", "a.sh", "a.sql", "a.yaml"])
def test_no_line_of_code_is_lost(name: str) -> None:
    text = "a: 1\n  b(2) {\n\n\n}\n# c\n\n\tx = y\nend\n"
    kept = [line for b in read_bytes(name, text.encode()).blocks for line in b.text.split("\n")]
    assert [line for line in kept if line.strip()] == [
        line for line in text.split("\n") if line.strip()
    ]


@pytest.mark.parametrize(
    ("name", "text", "blocks"),
    [
        ("a.tex", "\\section{One}\ntext\n", [("\\section{One}", "One"), ("text", "One")]),
        ("a.org", "* One\n** Two\ntext\n", [("* One", "One"), ("** Two", "Two"), ("text", "Two")]),
        ("a.adoc", "= One\ntext\n", [("= One", "One"), ("text", "One")]),
        (
            "a.srt",
            "1\n00:00:01,000 --> 00:00:02,000\n<i>Hello</i>\nyou\n\n"
            "2\n00:01:01,0 --> 00:01:02,0\n-\n",
            [("Hello you", ""), ("-", "")],
        ),
        (
            "a.ipynb",
            '{"cells": [{"cell_type": "markdown", "source": ["# One\\n", "text"]},'
            ' {"cell_type": "code", "source": "x = 1", "outputs": []}]}',
            [("# One", "One"), ("text", "One"), ("x = 1", "One")],
        ),
        (
            "a.eml",
            "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nFrom: a@b.c\n\nThe text.\n",
            [("Subject: Grüße\nFrom: a@b.c", "Grüße"), ("The text.", "Grüße")],
        ),
    ],
)
def test_formats(name: str, text: str, blocks: list[tuple[str, str]]) -> None:
    found = read_bytes(name, text.encode()).blocks
    assert [(b.text, b.trail[-1] if b.trail else "") for b in found] == blocks


def test_encoded_data_and_minified_lines_are_no_text() -> None:
    minified = "function(a){return a+1};" * 200
    text = f"before\n\n{'QUJD' * 100}\n\n{minified}\n\nafter {'0af9' * 60} it\n"
    assert [(b.text, b.line) for b in read_bytes("a.txt", text.encode()).blocks] == [
        ("before", 1),
        ("after   it", 7),
    ]
    prose = "Eine sehr lange Zeile aus Wörtern. " * 200
    chinese = "没有空格的很长的一行。" * 300
    for line in (prose, chinese):
        assert [b.text for b in read_bytes("a.txt", line.encode()).blocks] == [line.rstrip()]


def test_a_reader_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for table in (formats._OF_TEXT, formats._OF_BYTES):
        for suffix in ("mine", "txt"):
            monkeypatch.setitem(table, suffix, None)  # taken back afterwards
            del table[suffix]
    register_reader(".MINE", lambda data: [Block(data.hex(), 1, 1)], binary=True)
    assert [b.text for b in read_bytes("a.mine", b"\0\1").blocks] == ["0001"]
    register_reader(".mine", lambda text: [Block(text.upper(), 1, 1)])
    assert [b.text for b in read_bytes("a.mine", b"x").blocks] == ["X"]

    def fails(_: str) -> list[Block]:
        raise ZeroDivisionError("oh no")

    register_reader(".txt", fails)
    with pytest.raises(Unreadable, match="ZeroDivisionError: oh no") as caught:
        read_bytes("a.txt", b"x")
    assert caught.value.kind == "failed"
    for wrong in ("txt", ".", ".a.b", ""):
        with pytest.raises(ValueError, match="suffix"):
            register_reader(wrong, fails)
