"""Text made to harm: deep nesting, endless lines, many of everything, every encoding."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from encodings.aliases import aliases

from tests.reading.hostile_archives import SECRET_FILE

Named = tuple[str, str, bytes]
"""Name, ending and bytes of a file."""

SENTENCE = "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich. Съешь же ещё. 古池や蛙。\n"


def _filled(unit: str, large: int) -> bytes:
    """`unit` so often that `large` bytes are full."""
    raw = unit.encode()
    return raw * (large // len(raw))


def _nested(before: str, behind: str, large: int) -> bytes:
    times = large // len((before + behind).encode())
    return before.encode() * times + b"x" + behind.encode() * times


def markup(large: int) -> Iterator[Named]:
    """HTML and XML."""
    for ending in ("html", "xml", "svg", "xhtml"):
        yield "deep", ending, _nested("<div>", "</div>", large)
        yield "deep inline", ending, _nested("<b>", "</b>", large)
        yield "laughs", ending, _laughs()
        outside = f'<!DOCTYPE a [<!ENTITY e SYSTEM "{SECRET_FILE}">]><a>&e;</a>'
        yield "external", ending, outside.encode()
    for unit in ("<a ", "<a href='", "<p>", "<br>", "<li>x", "<table><tr><td>", "</div>", "<!--"):
        yield f"many {unit.strip('<> ')}", "html", _filled(unit, large)
    for unit in ("&", "&amp;", "<", "<![CDATA[", "<?", "<td>x", "<option>", "<h1>x</h1>", "<p>x "):
        yield f"more {ord(unit[1:2] or 'x')}", "html", _filled(unit, large)
    yield "pre", "html", b"<pre>" + _filled("x y\n", large)
    many = " ".join(f"a{number}=b" for number in range(large // 10))
    yield "attributes", "html", f"<p {many}>x".encode()
    yield (
        "title",
        "html",
        b"<h1>"
        + _filled("word ", large // 2)
        + b"</h1>"
        + _filled("<p>one two three four five", large // 2),
    )
    yield "meta", "html", b"<meta " * 600 + b"charset=" + b"x" * 100
    yield "charset", "html", b"<meta charset=unicode_escape>" + b"\\N{x}" * (large // 5)


def _laughs() -> bytes:
    lines = ['<!ENTITY e0 "lol">']
    lines += [f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12)]
    return f"<?xml version='1.0'?><!DOCTYPE a [{''.join(lines)}]><a>&e11;</a>".encode()


def marks(large: int) -> Iterator[Named]:
    """Markdown, reStructuredText and the like."""
    for unit in ("> ", "- ", "* > ", "[", "![", "`", "*a ", "_", "<", "\\", "|", "1. ", "  - x\n"):
        yield f"marks {ord(unit[0])} {len(unit)}", "md", _filled(unit, large)
    for unit in (
        "# a\n",
        "> a\n\n",
        "```\n",
        "|a|b|\n|-|-|\n",
        "[a]: b\n",
        "a\n=\n",
        "- a\n",
        "\n",
    ):
        yield f"lines {ord(unit[0])} {len(unit)}", "md", _filled(unit, large)
    yield "list in list", "md", b"".join(b" " * n + b"- x\n" for n in range(int(large**0.5)))
    quotes = b"".join(b">" * n + b" x\n" for n in range(int(large**0.5)))
    yield "quote in quote", "md", quotes
    yield "table", "md", b"|a" * 2_000 + b"|\n" + b"|-" * 2_000 + b"|\n" + _filled("|x\n", large)
    heading = b"# " + _filled("word ", large // 2)
    yield "long heading", "md", heading + b"\n\n" + _filled("one two three\n\n", large // 2)
    yield "front matter", "md", b"---\n" + _filled("a:\n", large) + b"---\nx\n"
    yield "deep front matter", "md", b"---\na: " + b"[" * 50_000 + b"\n---\nx\n"
    laughs = "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    yield "laughs", "md", f"---\na0: &a0 lol\n{laughs}---\nx\n".encode()
    yield "front matter of toml", "md", b"+++\na = " + b"[" * 50_000 + b"\n+++\nx\n"
    yield (
        "odd front matter",
        "md",
        b"---\n2020-13-45: .nan\n? [a, b]\n: !!python/name:os.system\n---\n",
    )
    for unit in ("=\na\n=\n\n", "a\n==\n\n", ".. x::\n\n", "===\n"):
        yield f"rules {len(unit)}", "rst", _filled(unit, large)
    yield "sections", "tex", _filled("\\section{a}\n", large)
    yield "open section", "tex", b"\\section{" + b"{[" * (large // 2)
    yield "brackets", "tex", _filled("\\section[", large)
    yield "stars", "org", _filled("* a\n", large)
    yield "times", "srt", _filled("00:00:01,0 --> 00:00:02,0\n<i>{\\an8}\n\n", large)
    yield "open tags", "srt", b"00:00:01,0 --> 00:00:02,0\n" + _filled("<i", large)
    yield "open braces", "srt", b"00:00:01,0 --> 00:00:02,0\n" + _filled("{\\", large)
    yield "digits", "srt", b"1" * large


def code(large: int) -> Iterator[Named]:
    """Source code."""
    shapes = {
        "statements": _filled("a\n", large),
        "parentheses": b"(" * large,
        "minus": b"-" * (large // 10) + b"1",
        "not": b"x = " + b"not " * (large // 10) + b"1",
        "attributes": b"a" + b".b" * (large // 10),
        "calls": b"a" + b"()" * (large // 10),
        "sum": b"a" + b"+a" * (large // 10),
        "power": b"a" + b"**a" * (large // 10),
        "lambdas": b"lambda:" * (large // 20) + b"0",
        "comparisons": b"a" + b"<a" * (large // 10),
        "if": b"".join(b" " * n + b"if a:\n" for n in range(99)) + b" " * 99 + b"a\n",
        "else": b"if a:\n b\n" + b"elif a:\n b\n" * (large // 100),
        "long name": b"def " + b"a" * (large // 2) + b"():\n" + _filled(" x = 1\n\n", large // 2),
        "decorators": b"@a\n" * (large // 10) + b"def f(): pass\n",
        "strings": b"f'" + b"{f'" * 200,
        "comments": b"# a\n" * (large // 4) + b"def f(): pass\n",
        "functions": b"#\ndef f(): pass\n" * (large // 20),
        "number": b"x = " + b"9" * (large // 10),
        "null": b"x = '\\N{' + '}'\0",
    }
    for name, content in shapes.items():
        yield f"python {name}", "py", content
    line = "a" * 398 + "\n\n"
    for name, unit in {
        "line": line,
        "open": "func (" * 60 + "\n\n",
        "a(": "a(\n",
        "a": "a\n\n",
    }.items():
        yield f"code {name}", "c", _filled(unit, large)
    yield "comment", "sql", b"-- " + _filled("word ", large)


def data(large: int) -> Iterator[Named]:
    """JSON, YAML, tables, notebooks."""
    for ending in ("json", "ipynb", "yaml", "toml", "csv"):
        yield "deep lists", ending, _nested("[", "]", large)
        yield "deep objects", ending, _nested('{"a":', "}", large)
        yield "one line", ending, b"[" + _filled('"word", ', large) + b"1]"
    cell = {"cell_type": "markdown", "source": ["# one\n", "word"]}
    wrong = (None, 1, "x", [], {}, [1], {"a": 1}, ["x", None], [[["x"]]], 1e999, True, "\ud800")
    for number, value in enumerate(wrong):
        kinds = [value, {"cell_type": value, "source": value}, {**cell, "source": value}]
        kinds += [{**cell, "cell_type": value}, {"cell_type": "code", "source": value}]
        notebook = {"cells": kinds, "metadata": value, "nbformat": value}
        yield f"wrong {number}", "ipynb", json.dumps(notebook).encode()
        yield f"cells {number}", "ipynb", json.dumps({"cells": value}).encode()
        yield f"all {number}", "ipynb", json.dumps(value).encode()
    small = json.dumps({"cells": [cell] * (large // 70)})
    yield "many cells", "ipynb", small.encode()
    source = {"cell_type": "code", "source": "\n" * (large // 4)}
    yield "blank cell", "ipynb", json.dumps({"cells": [source]}).encode()
    yield "long integer", "ipynb", b'{"cells": [' + b"9" * (large // 2) + b"]}"
    yield "surrogates", "ipynb", json.dumps({"cells": [{**cell, "source": "a \ud800 b"}]}).encode()


def mails(large: int) -> Iterator[Named]:
    """Mails."""
    head = "Subject: x\nContent-Type: multipart/mixed; boundary=b{}\n\n--b{}\n"
    nested = "".join(head.format(n, n) for n in range(10_000))
    yield "nested", "eml", f"{nested}\n\nwords".encode()
    messages = "Content-Type: message/rfc822\n\n" * 10_000
    yield "mail in mail", "eml", f"{messages}Subject: x\n\nwords".encode()
    part = "--b\nContent-Type: text/plain\n\nwords\n"
    yield "parts", "eml", b"Content-Type: multipart/mixed; boundary=b\n\n" + _filled(part, large)
    alike = b"Content-Type: multipart/alternative; boundary=b\n\n"
    yield "alternatives", "eml", alike + _filled(part.replace("plain", "html"), large)
    yield "no end of a header", "eml", b"Subject: " + _filled("=?utf-8?q?a?= ", large)
    yield "folded", "eml", b"Subject: x\n" + _filled(" word\n", large) + b"\n\nwords"
    yield "headers", "eml", _filled("X: y\n", large) + b"\n\nwords"
    yield "receivers", "eml", b"To: " + _filled("a@b.c, ", large) + b"\n\nwords"
    yield "odd receivers", "eml", b"To: " + _filled('"(<@', large) + b"\n\nwords"
    yield "comments", "eml", b"To: " + b"(" * (large // 10) + b"\n\nwords"
    yield (
        "parameters",
        "eml",
        b"Content-Type: text/plain" + _filled("; a*0=b", large) + b"\n\nwords",
    )
    for name in ("x-unknown", "unicode_escape", "idna", "undefined", "hex", "utf-7", "\udcff"):
        kind = f"Content-Type: text/plain; charset={name}\n\n+2AA- \\ud800 \xff words\n"
        yield f"charset {name!a}", "eml", kind.encode("utf-8", "surrogateescape")
    coded = base64.b64encode(_filled("word ", large // 2))
    head = b"Content-Transfer-Encoding: base64\n\n"
    yield "base64", "eml", head + coded
    yield "not base64", "eml", head + b"\xff=!" * (large // 10)
    yield "uuencoded", "eml", b"Content-Transfer-Encoding: x-uuencode\n\nbegin 6 x\n" + b"M" * 5_000
    yield (
        "not ascii",
        "eml",
        "Subject: \xff\xfe \u2028 x\nDate: \xe9\n\nwords".encode("latin-1", "replace"),
    )
    html = b"Content-Type: text/html\n\n"
    yield "html", "eml", html + _filled("<div>", large)
    yield "other", "eml", b"Content-Type: text/calendar\n\nwords"


def lines(large: int) -> Iterator[Named]:
    """Plain text of odd shapes."""
    shapes = {
        "one word": b"a" * large,
        "words": _filled("word ", large),
        "words of 199": _filled("a" * 199 + " ", large),
        "short": _filled("a\n\n", large),
        "blank": b"\n" * large,
        "spaces": b" " * large,
        "spaces and a word": b" " * large + b"x",
        "spaced words": _filled("a" + " " * 1000, large),
        "full stops": b"." * large,
        "stops": _filled(". ", large),
        "quoted stops": b"." + b'"' * large,
        "tabs": b"\t" * large + b"x\n" + b"\t" * large,
        "returns": b"\r" * large,
        "feeds": b"\f" * (large // 200) + b"x" * large,
        "marks": b"a" + _filled("\u0301", large),
        "joined": _filled("\U0001f468\u200d", large),
        "chinese": _filled("没有空格的很长的一行", large),
        "separators": _filled("a\u2028b\u2029c\x85d\x0be\n", large),
        "arabic": _filled("\u202eabc \u0660 ", large),
        "list": _filled("\n- x", large),
        "shebang": b"#!" + b"x\n" * (large // 2),
    }
    for name, content in shapes.items():
        yield name, "txt", content
    for number, content in enumerate(
        (b"", b"a", b"\n", b"\0", b"\xff", b"#", b"<", b"{", b"\xef\xbb\xbf")
    ):
        for ending in ("txt", "md", "html", "py", "json", "ipynb", "eml", "pdf", "docx", "epub"):
            yield f"one {number}", ending, content


def encodings() -> Iterator[Named]:
    """A sentence in each encoding of Python, with and without its name."""
    for name in sorted({*aliases.values(), "idna", "punycode", "undefined", "unicode_escape"}):
        try:
            text = (SENTENCE * 40).encode(name, "replace")
        except (LookupError, UnicodeError, TypeError):
            text = SENTENCE.encode() * 40
        yield name, "txt", text
        yield name, "html", f"<meta charset={name}>".encode() + text
        yield name, "py", f"# coding: {name}\n".encode() + text
    yield "surrogates", "py", b"# coding: utf-7\n" + b"x +2AA- y 3AA- " * 100
    for mark in (b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"\xef\xbb\xbf"):
        yield f"mark {mark.hex()}", "txt", mark + b"odd \xd8\0\xd8\0\xff"
        yield f"mark alone {mark.hex()}", "md", mark
    yield "wide", "txt", SENTENCE.encode("utf-16-le") * 40
