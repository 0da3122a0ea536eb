"""Documents of word processors, slides and books: .docx, .pptx, .odt, .odp, .epub.

Line numbers count paragraphs."""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from mvdb.reading import archives
from mvdb.reading.blocks import Block, Headings, bounded_title
from mvdb.reading.decoding import decode
from mvdb.reading.html import read_html
from mvdb.reading.json_values import properties
from mvdb.reading.result import Reading
from mvdb.reading.unreadable import Unreadable

_OPEN_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_STYLE = re.compile(r"(?:heading|title)\s*(\d?)", re.IGNORECASE)


def read_docx(data: bytes) -> Reading:
    """A Word document: paragraphs and rows of tables, below its headings."""
    import docx

    with archives.opened(data):
        pass
    document = docx.Document(io.BytesIO(data))
    return _described(document.core_properties, _docx_blocks(document))


def _docx_blocks(document: Any) -> Iterator[Block]:
    headings, number = Headings(), 0
    for part in document.iter_inner_content():
        if hasattr(part, "rows"):
            for row in part.rows:
                number += 1
                cells = dict.fromkeys(cell.text.strip() for cell in row.cells)
                text = " | ".join(filter(None, cells))
                if text:
                    yield Block(text, number, number, headings.trail, verbatim=True)
            continue
        number += 1
        text = part.text.strip()
        style = _STYLE.fullmatch((part.style.name if part.style else None) or "")
        if style and text:
            headings.enter(int(style[1] or 0), text)
        if text:
            yield Block(text, number, number, headings.trail)


def read_pptx(data: bytes) -> Reading:
    """Slides, with their notes; the number of a slide is its line."""
    import pptx

    with archives.opened(data):
        pass
    document = pptx.Presentation(io.BytesIO(data))
    return _described(document.core_properties, _pptx_blocks(document))


def _described(core: Any, blocks: Iterator[Block]) -> Reading:
    """Blocks with the core properties that python-docx and python-pptx find."""
    found = {name: getattr(core, name) for name in ("author", "subject", "keywords")}
    found |= {name: getattr(core, name) for name in ("created", "modified")}
    return Reading(blocks, metadata=properties(found), title=bounded_title(core.title or ""))


def _pptx_blocks(document: Any) -> Iterator[Block]:
    for number, slide in enumerate(document.slides, 1):
        title = slide.shapes.title.text_frame.text.strip() if slide.shapes.title else ""
        trail = (bounded_title(title),) if title else ()
        texts = [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame:
            texts.append(slide.notes_slide.notes_text_frame.text)
        for text in texts:
            if text.strip():
                yield Block(text.strip(), number, number, trail)


def read_open_document(data: bytes) -> Reading:
    """An OpenDocument text or presentation."""
    with archives.opened(data) as archive:
        root = _parsed(archives.member(archive, "content.xml"))
        has_meta = "meta.xml" in archive.namelist()
        about = _parsed(archives.member(archive, "meta.xml")) if has_meta else None
    metadata, title = _about(about)
    return Reading(_open_document_blocks(root), metadata=metadata, title=title)


def _about(root: Any) -> tuple[dict[str, Any], str]:
    """Metadata and title that elements of Dublin Core give, as OpenDocument and EPUB have them."""
    found: dict[str, str] = {}
    for node in () if root is None else root.iter("{http://purl.org/dc/elements/1.1/}*"):
        name, text = node.tag.rpartition("}")[2], "".join(node.itertext()).strip()
        name = "author" if name == "creator" else name
        found[name] = f"{found[name]}, {text}" if name in found else text
    title = bounded_title(found.pop("title", ""))
    return properties(found), title


def _open_document_blocks(root: Any) -> Iterator[Block]:
    headings = Headings()
    for number, node in enumerate(root.iter(_OPEN_TEXT + "h", _OPEN_TEXT + "p"), 1):
        text = "".join(node.itertext()).strip()
        if text and node.tag == _OPEN_TEXT + "h":
            level = node.get(_OPEN_TEXT + "outline-level", "1")
            headings.enter(int(level) if level.isdecimal() else 1, text)
        if text:
            yield Block(text, number, number, headings.trail)


def read_epub(data: bytes) -> Reading:
    """A book, chapter by chapter in reading order; the chapter's number is the line."""
    with archives.opened(data) as archive:
        container = _parsed(archives.member(archive, "META-INF/container.xml"))
        package = next((node.get("full-path") for node in _named(container, "rootfile")), None)
        if not package:
            raise Unreadable("its container names no book", "damaged")
        root = _parsed(archives.member(archive, package))
    metadata, title = _about(root)
    return Reading(_chapters(data, package, root), metadata=metadata, title=title)


def _chapters(data: bytes, package: str, root: Any) -> Iterator[Block]:
    with archives.opened(data) as archive:
        places = {item.get("id"): item.get("href", "") for item in _named(root, "item")}
        folder = posixpath.dirname(package)
        for number, entry in enumerate(_named(root, "itemref"), 1):
            place = places.get(entry.get("idref"))
            if not place:
                continue
            name = posixpath.normpath(posixpath.join(folder, unquote(place)))
            for block in read_html(decode(archives.member(archive, name)).text).blocks:
                yield Block(block.text, number, number, block.trail, block.verbatim)


def _named(root: Any, name: str) -> Iterator[Any]:
    """The elements of a local name."""
    return (node for node in root.iter() if str(node.tag).rpartition("}")[2] == name)


def _parsed(data: bytes) -> Any:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise Unreadable(f"damaged XML: {error}", "damaged") from error
