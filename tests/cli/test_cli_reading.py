"""What is taken from files of each kind, and which files are taken at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mvdb.cli.reading.files import Unreadable, find_files, read_blocks, read_file
from mvdb.cli.reading.html import read_html
from mvdb.cli.reading.markdown import read_markdown
from mvdb.cli.reading.python_source import docstrings, read_python
from mvdb.cli.reading.rst import read_rst

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
    assert [(b.text, b.line, b.trail) for b in read_markdown(text)] == [
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
    assert [b.text for b in read_markdown(text) if b.text != "---"] == []


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
    blocks = list(read_html(text))
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
    assert [b.text for b in read_html(text)] == blocks


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
    list(read_html("<p>fine</p>" + text))


def test_the_title_of_a_page_is_not_said_twice() -> None:
    assert [b.trail for b in read_html("<title>A</title><h1>A</h1><p>x")] == [("A",), ("A",)]


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
    blocks = {b.text: (b.line, b.end_line) for b in read_python(PYTHON)}
    assert blocks["A shape."] == (9, 9)
    assert blocks["With corners."] == (11, 11)


@pytest.mark.parametrize("text", ["print 'two'\n", "x = '\0'\n", "(" * 5000, "é" * 3 + " ?"])
def test_what_is_no_python_is_read_as_text(text: str) -> None:
    assert [b.text for b in read_python(text)] == [text.rstrip("\n")]


def test_decoding(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for data, text in [
        (b"\xef\xbb\xbfA", "A"),
        ("Äß".encode("utf-16"), "Äß"),
        ("Ä€".encode(), "Ä€"),
        (b"caf\xe9 \x80", "café €"),
        (b"a\r\nb\rc\n", "a\nb\nc\n"),
        (b"a\x0cb", "a\x0cb"),
        (b"", ""),
    ]:
        path.write_bytes(data)
        assert read_file(path, MOST)[0] == text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x7fELF\0\0", "binary"),
        (b"\xff\xfe\xff", "not valid UTF-16"),
        (bytes(range(1, 256)), "binary"),
        (b"a" * (MOST + 1), "larger than 1 MiB"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    with pytest.raises(Unreadable, match=reason):
        read_file(path, MOST)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.symlink("nowhere", tmp_path / "dangling.txt")
    with pytest.raises(Unreadable, match="No such file"):
        read_file(tmp_path / "dangling.txt", MOST)
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(Unreadable, match="not a regular file"):
        read_file(tmp_path / "pipe.txt", MOST)


def test_which_files_are_found(tmp_path: Path) -> None:
    wanted = ["a.md", "b/B.TXT", "b/c/x.html", "b/y.rst", "z.py"]
    others = [".hidden.md", ".git/a.md", "b/__pycache__/a.py", "image.png", "README"]
    for name in wanted + others:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    os.symlink(tmp_path, tmp_path / "loop")
    found = [path.relative_to(tmp_path).as_posix() for path in find_files(tmp_path, _never)]
    assert sorted(found) == wanted
    # Named itself, a file is taken whatever it is called; its suffix still says how it is read.
    assert list(find_files(tmp_path / "README", _never)) == [tmp_path / "README"]
    assert [b.text for b in read_blocks(tmp_path / "README", "# x")] == ["# x"]


def _never(path: Path, reason: str) -> None:
    raise AssertionError(f"{path}: {reason}")
