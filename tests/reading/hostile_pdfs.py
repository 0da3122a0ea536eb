"""PDF documents made to harm: cycles, streams that expand hugely, operands without end."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

_FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
TEXT = b"BT /F1 12 Tf 72 700 Td (The words of a page) Tj ET\n"


def pdf(objects: Sequence[bytes], root: int = 1) -> bytes:
    """A document of these objects, numbered from 1, with a table of their places."""
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"trailer\n<< /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    return bytes(out + trailer % (len(objects) + 1, root, start))


def stream(content: bytes, extra: bytes = b"/Filter /FlateDecode", *, times: int = 1) -> bytes:
    """A stream object, compressed `times` times."""
    for _ in range(times):
        content = zlib.compress(content, 9)
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), extra, content)


def pages(contents: bytes, kids: bytes = b"3 0 R", more: Sequence[bytes] = ()) -> bytes:
    """A document whose page 3 shows the stream in object 4; object 5 is its font."""
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> /XObject << /X 6 0 R >> >> >>"
    )
    tree = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, kids.count(b"R"))
    return pdf([b"<< /Type /Catalog /Pages 2 0 R >>", tree, page, contents, _FONT, *more])


def valid() -> bytes:
    """A small document."""
    return pages(stream(TEXT * 3))


def pdf_bombs(large: int) -> Iterator[tuple[str, bytes]]:
    """Name and bytes; large: the size that stands for "huge", in bytes."""
    yield "valid", valid()
    yield "cyclic pages", pages(stream(TEXT), b"2 0 R")
    yield "the page again", pages(stream(TEXT), b"3 0 R " * 50_000)
    yield "text again", pages(stream(TEXT * (large // 400)), b"3 0 R " * 5_000)
    yield "much text", pages(stream(TEXT * (large // len(TEXT))))
    yield "huge stream", pages(stream(b" " * (100 * large)))
    yield (
        "filters in filters",
        pages(
            stream(bytes(50 * large), b"/Filter [/FlateDecode /FlateDecode /FlateDecode]", times=3)
        ),
    )
    yield "numbers", pages(stream(b"1 " * (3 * large)))
    yield "open arrays", pages(stream(b"[" * large))
    yield "open dictionaries", pages(stream(b"<<" * large))
    yield "open string", pages(stream(b"BT (" + b"(" * large))
    yield "deep objects", pdf([b"[" * (large // 10)], 1)
    yield "deep catalog", pdf([b"<< /Type /Catalog /Pages %s" % (b"<< /A " * (large // 20))])
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >>"
    itself = stream(b"/X Do " * 100, form + b" /Filter /FlateDecode")
    yield "form of itself", pages(stream(b"/X Do"), more=[itself])
    chain = [
        stream(
            b"/X Do " * 20,
            b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Filter /FlateDecode "
            b"/Resources << /XObject << /X %d 0 R >> >>" % (number + 1),
        )
        for number in range(6, 14)
    ]
    yield "forms of forms", pages(stream(b"/X Do"), more=[*chain, stream(TEXT)])
    tree = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    tree += [
        b"<< /Type /Pages /Count 1 /Kids [%s] >>" % (b"%d 0 R " % (number + 1) * 10)
        for number in range(2, 12)
    ]
    yield "tree of ten to the ten", pdf([*tree, b"<< /Type /Page >>"])
    yield "wrong types", pdf([b"<< /Type /Catalog /Pages [1 2 (x)] >>"])
    kinds = (b"null", b"true", b"-1", b"(x)", b"[ ]", b"<< >>", b"99 0 R", b"1e400")
    for kind in kinds:
        yield f"contents {kind.decode()}", pages(kind)
    yield "no end", valid()[:-60]
    yield "wrong start", valid().replace(b"startxref\n", b"startxref\n9")
    yield "loop of tables", valid().replace(b"/Root", b"/Prev 9 /Root")
    yield "blank lines", b"%PDF-1.4\n" + b"\n" * large + b"startxref\n0\n%%EOF"
    yield (
        "tables without end",
        b"%PDF-1.4\nxref\n0 999999999\n" + b"0000000000 65535 f \n" * (large // 20),
    )
    yield "objects without a table", b"%PDF-1.4\n" + b"1 0 obj\n<<>>\nendobj\n" * (large // 20)
    yield "names", pages(stream(b"/" + b"#41" * (large // 3)))
    cmap = b"1 begincodespacerange <0000> <ffff> endcodespacerange\n" + (
        b"1 beginbfrange <0000> <ffff> <0041> endbfrange\n" * (large // 100)
    )
    font = b"<< /Type /Font /Subtype /Type0 /BaseFont /A /Encoding /Identity-H /ToUnicode 6 0 R >>"
    mapped = pages(stream(TEXT), more=[stream(cmap)])
    yield "map of characters", mapped.replace(_FONT, font)
    yield "encrypted", valid().replace(b"/Root", b"/Encrypt << /Filter /Standard >> /Root")
    yield "long number", valid().replace(b"/Count 1 ", b"/Count " + b"9" * 10_000 + b" ")
