"""Documents of word processors and slides in the form of Office Open XML: .docx, .pptx.

Read from their XML (ECMA-376), by local names: the strict form has other namespaces than the
transitional one. Line numbers count paragraphs, those of a presentation slides."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any

from mvdb.reading.archives import Archive, opened, within_bounds
from mvdb.reading.blocks import Block, Headings, bounded_title
from mvdb.reading.json_values import properties
from mvdb.reading.result import Reading
from mvdb.reading.unreadable import Unreadable

_STYLE = re.compile(r"(?:heading|title)\s*(\d?)", re.IGNORECASE)
_MARKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_TITLES = frozenset({"title", "ctrTitle"})
_OF_A_SLIDE = frozenset({"dt", "ftr", "sldNum"})
"""Kinds of placeholders that say the same on every slide: date, footer, number."""


_PROPERTIES = {
    "creator": "author",
    "subject": "subject",
    "keywords": "keywords",
    "created": "created",
    "modified": "modified",
}


def read_docx(data: bytes) -> Reading:
    """A Word document: paragraphs and rows of tables, below its headings."""
    with opened(data) as archive:
        name = _main(archive)
        root = archive.xml(name)
        linked = _linked(archive, name)
        styles = [target for kind, target in linked.values() if kind == "styles"]
        names = _style_names(archive.xml(styles[0])) if styles and styles[0] in archive else {}
        metadata, title = _described(archive)
    return Reading(within_bounds(_docx_blocks(root, names)), metadata=metadata, title=title)


def _docx_blocks(root: Any, names: dict[str, str]) -> Iterator[Block]:
    headings = Headings()
    for number, (text, style, is_row) in enumerate(_paragraphs(root), 1):
        found = None if is_row else _STYLE.fullmatch(names.get(style, style))
        if text and found:
            headings.enter(int(found[1] or 0), text)
        if text:
            yield Block(text, number, number, headings.trail, verbatim=is_row)


def _paragraphs(root: Any) -> Iterator[tuple[str, str, bool]]:
    """Text and style of the paragraphs outside of tables, and text of the tables' rows.

    A paragraph may hold others, in a box of text: they come before it. A table within a cell is a
    part of its text."""
    from lxml import etree

    open_texts: list[list[str]] = []  # of paragraphs that have not ended
    styles: list[str] = []
    cells: list[str] = []  # of the outermost row
    rows = hidden = 0
    for event, node in etree.iterwalk(root, events=("start", "end")):
        name = _local(node)
        if event == "start":
            hidden += name == "Fallback"  # of older programs: says again what stands beside it
            rows += name == "tr"
            if name == "p":
                open_texts.append([])
                styles.append("")
            elif name == "pStyle" and styles:
                styles[-1] = _value(node, "val")
            elif open_texts and not hidden:
                open_texts[-1].append((node.text or "") if name == "t" else _MARKS.get(name, ""))
            continue
        hidden -= name == "Fallback"
        if name == "p":
            text, style = "".join(open_texts.pop()).strip(), styles.pop()
            if rows and text:
                cells.append(text)
            elif not rows and not hidden:
                yield text, style, False
        elif name == "tr":
            rows -= 1
            if not rows:
                yield " | ".join(cells), "", True
                cells = []


def _style_names(root: Any) -> dict[str, str]:
    """The names of the styles by their ids: the id of a heading is a word of any language."""
    return {
        _value(style, "styleId"): _value(name, "val")
        for style in root.iter("{*}style")
        for name in style.iterchildren("{*}name")
    }


def read_pptx(data: bytes) -> Reading:
    """Slides, with their tables and notes; the number of a slide is its line."""
    with opened(data) as archive:
        metadata, title = _described(archive)
    return Reading(within_bounds(_pptx_blocks(data)), metadata=metadata, title=title)


def _described(archive: Archive) -> tuple[dict[str, Any], str]:
    """The core properties of a document, and its title."""
    found: dict[str, str] = {}
    for kind, name in _linked(archive, "").values():
        if kind == "core-properties" and name in archive:
            found = {_local(node): node.text or "" for node in archive.xml(name).iterchildren()}
    own = {name: found.get(key, "").strip() for key, name in _PROPERTIES.items()}
    return properties(own), bounded_title(found.get("title", ""))


def _pptx_blocks(data: bytes) -> Iterator[Block]:
    with opened(data) as archive:
        name = _main(archive)
        linked = _linked(archive, name)
        slides = [
            linked.get(_value(entry, "id", "rel"), ("", "")) for entry in _slides(archive, name)
        ]
        # A slide that is listed twice is read once.
        for number, (_, place) in enumerate(dict.fromkeys(slides), 1):
            if place not in archive:
                continue
            title, texts = _texts(archive.xml(place))
            for kind, notes in _linked(archive, place).values():
                if kind == "notesSlide" and notes in archive:
                    texts += _texts(archive.xml(notes))[1]
            trail = (bounded_title(title),) if title else ()
            for text in (title, *texts):
                if text:
                    yield Block(text, number, number, trail)


def _slides(archive: Archive, name: str) -> list[Any]:
    return list(archive.xml(name).iter("{*}sldId"))


def _texts(root: Any) -> tuple[str, list[str]]:
    """The title of a slide, and the texts of its other shapes and of its tables' rows."""
    title, texts = "", []
    for node in root.iter("{*}sp", "{*}tr"):
        if _local(node) == "tr":
            texts.append(" | ".join(filter(None, map(_shape_text, node.iterchildren("{*}tc")))))
            continue
        holders = [_value(one, "type") for one in node.iter("{*}ph")]
        text = _shape_text(node)
        if _TITLES.intersection(holders) and not title:
            title = " ".join(text.split())
        elif not _OF_A_SLIDE.intersection(holders):
            texts.append(text)
    return title, texts


def _shape_text(shape: Any) -> str:
    paragraphs = (
        "".join(
            (node.text or "") if _local(node) == "t" else "\n"
            for node in paragraph.iter("{*}t", "{*}br")
        )
        for paragraph in shape.iter("{*}p")
    )
    return "\n".join(paragraphs).strip()


def _main(archive: Archive) -> str:
    """The name of the member with the document itself."""
    for kind, target in _linked(archive, "").values():
        if kind == "officeDocument":
            return target
    raise Unreadable("it names no document", "damaged")


def _linked(archive: Archive, name: str) -> dict[str, tuple[str, str]]:
    """Kind and name of the members that a member (the empty name: the whole) refers to, by id."""
    folder, file = posixpath.split(name)
    place = posixpath.join(folder, "_rels", f"{file}.rels")
    if place not in archive:
        return {}
    return {
        entry.get("Id", ""): (
            entry.get("Type", "").rpartition("/")[2],
            posixpath.normpath(posixpath.join("/", folder, entry.get("Target", "")))[1:],
        )
        for entry in archive.xml(place).iter("{*}Relationship")
        if entry.get("TargetMode") != "External"
    }


def _local(node: Any) -> str:
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""


def _value(node: Any, name: str, space: str = "") -> str:
    """The attribute of a local name, of a namespace whose name has `space` if that is given."""
    for key, value in node.attrib.items():
        if key.rpartition("}")[2] == name and space in key.rpartition("}")[0]:
            return str(value)
    return ""
