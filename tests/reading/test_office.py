"""What is taken from office documents, books, PDF and odd pages; the documents are made by the
libraries python-docx and python-pptx, or by hand."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import docx
import pptx
import pytest
from pptx.util import Inches

from mvdb.reading import pdf
from mvdb.reading.formats import read_bytes
from mvdb.reading.result import Reading
from mvdb.reading.unreadable import Unreadable
from tests.reading import hostile_archives, hostile_pdfs


@pytest.fixture(autouse=True)
def _no_process_stays() -> Iterator[None]:
    yield
    pdf.end_process()


def saved(document: Any) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def told(reading: Reading) -> list[tuple[str, tuple[str, ...], int]]:
    return [(block.text, block.trail, block.line) for block in reading.blocks]


def test_a_word_document() -> None:
    document = docx.Document()
    document.core_properties.title = "The report"
    document.core_properties.author = "Ada"
    document.add_heading("Results", 1)
    paragraph = document.add_paragraph("One")
    paragraph.add_run(" two").bold = True
    paragraph.add_run("\tthree\nfour")
    document.add_heading("Detail", 2)
    table = document.add_table(rows=2, cols=2)
    for number, cell in enumerate(table._cells):
        cell.text = f"cell {number}"
    table.cell(1, 1).add_table(1, 1).cell(0, 0).text = "inner"
    document.add_paragraph("")
    document.add_paragraph("The end")
    reading = read_bytes("a.docx", saved(document))
    trail = ("Results", "Detail")
    assert told(reading) == [
        ("Results", ("Results",), 1),
        ("One two\tthree\nfour", ("Results",), 2),
        ("Detail", trail, 3),
        ("cell 0 | cell 1", trail, 4),
        ("cell 2 | cell 3 | inner", trail, 5),
        ("The end", trail, 7),
    ]
    assert (reading.title, reading.metadata["author"]) == ("The report", "Ada")


def test_word_text_that_a_library_passes_over() -> None:
    """Controls for content, boxes of text; nothing deleted, no box twice."""
    body = (
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>in a control</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        "<w:p><w:r><w:t>kept</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>"
        "<w:p><w:r><mc:AlternateContent xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006'>"
        "<mc:Choice><w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p></w:txbxContent></mc:Choice>"
        "<mc:Fallback><w:p><w:r><w:t>box</w:t></w:r></w:p></mc:Fallback>"
        "</mc:AlternateContent></w:r></w:p>"
    )
    parts = hostile_archives.docx_parts()
    xml = parts["word/document.xml"].replace(b"<w:body>", b"<w:body>" + body.encode())
    blocks = read_bytes("a.docx", hostile_archives.packed({**parts, "word/document.xml": xml}))
    texts = [text for text, _, _ in told(blocks)]
    assert texts[:4] == ["in a control", "kept", "box", "A heading"]


def test_slides() -> None:
    presentation = pptx.Presentation()
    presentation.core_properties.title = "Talk"
    for number in (1, 2):
        slide = presentation.slides.add_slide(presentation.slide_layouts[5])
        slide.shapes.title.text = f"Title {number}"
        box = slide.shapes.add_textbox(0, 0, Inches(1), Inches(1))
        box.text_frame.text = "first\nsecond"
        table = slide.shapes.add_table(1, 2, 0, 0, Inches(1), Inches(1)).table
        table.cell(0, 0).text, table.cell(0, 1).text = "left", "right"
        slide.notes_slide.notes_text_frame.text = f"note {number}"
    reading = read_bytes("a.pptx", saved(presentation))
    assert told(reading) == [
        (text, (f"Title {number}",), number)
        for number in (1, 2)
        for text in (f"Title {number}", "first\nsecond", "left | right", f"note {number}")
    ]
    assert reading.title == "Talk"


def test_a_book_and_an_open_document() -> None:
    book = read_bytes("a.epub", hostile_archives.packed(hostile_archives.epub_parts()))
    assert told(book) == [("One", ("One",), 1), ("Words of a book.", ("One",), 1)]
    text = read_bytes("a.odt", hostile_archives.packed(hostile_archives.odt_parts()))
    assert told(text) == [("A heading", ("A heading",), 1), ("Words.", ("A heading",), 2)]


def test_pages() -> None:
    reading = read_bytes("a.pdf", hostile_pdfs.pages(hostile_pdfs.stream(hostile_pdfs.TEXT)))
    assert told(reading) == [("The words of a page", (), 1)]


def test_a_document_without_end_is_read_as_far_as_the_time_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pages read in time stay; the note says how many are left out. The next file is read."""
    many = hostile_pdfs.pages(hostile_pdfs.stream(hostile_pdfs.TEXT * 1_000), b"3 0 R " * 20_000)
    reading = read_bytes("a.pdf", many)
    pages = {line for _, _, line in told(reading)}
    assert 0 < len(pages) < 20_000
    assert reading.note == f"{20_000 - len(pages):,} of 20,000 pages are left out: " + (
        "reading takes too long"
    )
    assert told(read_bytes("a.pdf", hostile_pdfs.valid()))


def test_a_page_of_html_in_one_line_of_tags_keeps_its_text() -> None:
    """Such a line has few spaces, as minified code has."""
    row = '<tr><td><a href="http://example.org/a/b/c"><img src="x.png"/></a></td></tr>'
    page = f"<html><body><table>{row * 100}<tr><td>The words</td></tr></table></body></html>"
    assert [text for text, _, _ in told(read_bytes("a.html", page.encode()))] == ["The words"]


def test_what_archives_refuse() -> None:
    parts = hostile_archives.docx_parts()
    for change, kind in (
        ({"word/document.xml": b" " * (65 << 20)}, "too large"),
        ({"word/document.xml": b"<a " + b"b=''" * 10 + b"/>"}, "damaged"),
        ({str(number): b"" for number in range(10_001)}, "too large"),
    ):
        with pytest.raises(Unreadable) as caught:
            read_bytes("a.docx", hostile_archives.packed({**parts, **change}))
        assert caught.value.kind == kind
