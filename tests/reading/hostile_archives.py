"""Office documents and books made to harm: cut off, flipped, bombs, entities, deep nesting."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from random import Random

_CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="{}"/></rootfiles></container>'
)
_PACKAGE = (
    '<package xmlns="http://www.idpf.org/2007/opf"><manifest>{}</manifest>'
    "<spine>{}</spine></package>"
)
_OPEN = (
    '<o:document-content xmlns:o="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:t="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><o:body>{}</o:body>'
    "</o:document-content>"
)
SECRET = "the-content-of-a-file-outside"
"""Stands in a file that external entities name; no passage may have it."""
SECRET_FILE = "secret-outside.txt"

Parts = dict[str, bytes]


def docx_parts() -> Parts:
    """The members of a valid Word document."""
    import docx

    document = docx.Document()
    document.add_heading("A heading", 1)
    document.add_paragraph("A paragraph of some words.")
    table = document.add_table(rows=2, cols=2)
    table.cell(0, 0).text = "a cell"
    return _parts(document)


def pptx_parts() -> Parts:
    """The members of a valid presentation."""
    import pptx

    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "A title"
    slide.placeholders[1].text = "The words of a slide."
    return _parts(presentation)


def odt_parts(body: str = "<t:h t:outline-level='1'>A heading</t:h><t:p>Words.</t:p>") -> Parts:
    """The members of an OpenDocument text."""
    return {
        "mimetype": b"application/vnd.oasis.opendocument.text",
        "content.xml": _OPEN.format(body).encode(),
    }


def epub_parts(chapters: int = 1, chapter: str = "<h1>One</h1><p>Words of a book.</p>") -> Parts:
    """The members of a book; every chapter is the same file."""
    items = '<item id="a" href="a%20b.xhtml"/>'
    return {
        "META-INF/container.xml": _CONTAINER.format("OPS/book.opf").encode(),
        "OPS/book.opf": _PACKAGE.format(items, '<itemref idref="a"/>' * chapters).encode(),
        "OPS/a b.xhtml": f"<html><body>{chapter}</body></html>".encode(),
    }


def _parts(document: object) -> Parts:
    file = io.BytesIO()
    document.save(file)  # type: ignore[attr-defined]
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


VALID: dict[str, tuple[Callable[[], Parts], str]] = {
    "docx": (docx_parts, "word/document.xml"),
    "pptx": (pptx_parts, "ppt/slides/slide1.xml"),
    "odt": (odt_parts, "content.xml"),
    "epub": (epub_parts, "OPS/a b.xhtml"),
}
"""For each ending: a valid document, and its member with the text."""


def packed(parts: Parts) -> bytes:
    """The members in an archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def _inside(xml: bytes, more: bytes) -> bytes:
    """`more` within the element that holds the text, before all else."""
    for mark in (b"<w:body>", b"<p:spTree>", b"<o:body>", b"<body>"):
        if mark in xml:
            return xml.replace(mark, mark + more, 1)
    raise ValueError("no place for it")


def _headless(xml: bytes) -> bytes:
    return xml[xml.index(b"?>") + 2 :] if xml.startswith(b"<?xml") else xml


_PARAGRAPH = {
    "docx": b"<w:p><w:r><w:t>%s</w:t></w:r></w:p>",
    "pptx": (
        b'<p:sp><p:nvSpPr><p:cNvPr id="9" name="n"/><p:cNvSpPr/><p:nvPr/></p:nvSpPr><p:spPr/>'
        b"<p:txBody><a:bodyPr/><a:p><a:r><a:t>%s</a:t></a:r></a:p></p:txBody></p:sp>"
    ),
    "odt": b"<t:p>%s</t:p>",
    "epub": b"<p>%s</p>",
}


def archive_bombs(large: int) -> Iterator[tuple[str, str, bytes]]:
    """Name, ending and bytes of archives that unpack to too much, or nest too deep.

    large: the size that stands for "huge", in bytes; the members are up to a hundred times it."""
    for ending, (make, member) in VALID.items():
        parts = make()
        xml = parts[member]

        def with_text(text: bytes, parts: Parts = parts, member: str = member) -> bytes:
            return packed({**parts, member: text})

        paragraph = _PARAGRAPH[ending]
        yield "huge member", ending, with_text(b" " * (100 * large))
        yield (
            "huge text",
            ending,
            with_text(_inside(xml, paragraph % (b"word " * (3 * large // 5)))),
        )
        small = paragraph % b"a"
        yield "many paragraphs", ending, with_text(_inside(xml, small * (large // len(small))))
        deep = b"<b>" * (large // 8) + b"</b>" * (large // 8)
        yield "deep XML", ending, with_text(_inside(xml, paragraph % deep))
        entities = b"".join(
            b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10 if n else b"lol" * 10)
            for n in range(12)
        )
        laughs = b"<!DOCTYPE x [%s]>" % entities + _headless(_inside(xml, paragraph % b"&e11;"))
        yield "entities", ending, with_text(laughs)
        flat = b'<!DOCTYPE x [<!ENTITY e "%s">]>' % (b"x" * (large // 10))
        many = paragraph % (b"&e;" * (large // 30))
        yield "flat entities", ending, with_text(flat + _headless(_inside(xml, many)))
        outside = b'<!DOCTYPE x [<!ENTITY e SYSTEM "%s">]>' % SECRET_FILE.encode()
        external = outside + _headless(_inside(xml, paragraph % b"&e;"))
        yield "external entity", ending, with_text(external)
        attributes = b" ".join(b'a%d="b"' % n for n in range(large // 10))
        yield "attributes", ending, with_text(_inside(xml, b"<b %s/>" % attributes))
        names = {f"{n}": b"" for n in range(large // 200)}
        yield "many members", ending, packed({**parts, **names})
        inner = packed({"x": bytes(100 * large)})
        yield "nested archives", ending, packed({**parts, "media/inner.zip": packed({"y": inner})})
        yield "wrong XML", ending, with_text(b"<a><b></a>")
        yield "no member", ending, packed({name: b for name, b in parts.items() if name != member})
        yield (
            "names",
            ending,
            packed({**parts, "../../escape": b"", "/etc/passwd": b"", "a\\b": b""}),
        )
    yield "chapter again", "epub", packed(epub_parts(large // 30, "<p>word</p>" * 10_000))
    table = "<w:tr>%s</w:tr>" % ("<w:tc><w:p/></w:tc>" * 60)
    xml = docx_parts()["word/document.xml"]
    merged = b"<w:tbl>%s</w:tbl>" % (table * (large // 5_000)).encode()
    yield "wide table", "docx", packed({**docx_parts(), "word/document.xml": _inside(xml, merged)})
    spans = (
        b"<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val='%d'/></w:tcPr><w:p/></w:tc></w:tr></w:tbl>"
    )
    spanned = _inside(xml, spans % 2_000_000_000)
    yield "span of a cell", "docx", packed({**docx_parts(), "word/document.xml": spanned})
    levels = "".join(f"<t:h t:outline-level='{n}'>Heading {n}</t:h>" for n in range(large // 60))
    yield "levels", "odt", packed(odt_parts(levels))
    titled = f"<t:h>{'word ' * (large // 10)}</t:h>" + "<t:p>word word</t:p>" * (large // 50)
    yield "long heading", "odt", packed(odt_parts(titled))


def damaged(data: bytes, random: Random) -> bytes:
    """Bytes cut off, flipped, doubled or zeroed somewhere."""
    at = random.randrange(len(data))
    what = random.randrange(4)
    if what == 0:
        return data[:at]
    if what == 1:
        changed = bytearray(data)
        for _ in range(random.choice((1, 10, 100))):
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
        return bytes(changed)
    behind = min(len(data), at + random.randrange(1, 2_000))
    middle = data[at:behind] * 2 if what == 2 else bytes(behind - at)
    return data[:at] + middle + data[behind:]


def rebuilt(ending: str, random: Random) -> bytes:
    """A valid archive whose members are damaged: the checksums are right."""
    parts = VALID[ending][0]()
    for name in random.sample(list(parts), random.randint(1, min(3, len(parts)))):
        if parts[name]:
            parts[name] = damaged(parts[name], random)
    return packed(parts)
