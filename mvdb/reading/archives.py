"""Documents that are zip archives of XML: what is unpacked and parsed is bounded beforehand."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from mvdb.reading.blocks import Block
from mvdb.reading.unreadable import Unreadable, told

MOST_UNPACKED = 64 << 20
"""Bytes that are unpacked of one archive: its XML, not its pictures. A book has about 1 MiB."""
MOST_TEXT = 16 << 20
"""Characters of text, as many as the largest file that is indexed by default may have."""
MOST_MEMBERS = 10_000
MOST_NODES = 2_000_000
"""Elements and attributes of one member: libxml2 takes 120 to 220 bytes for each."""

_OF_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    EOFError,
    OSError,
    UnicodeError,
    ValueError,
)
"""What zipfile raises for an archive that is none, or none any more."""


class Archive:
    """An open archive, of whose members MOST_UNPACKED bytes may be read."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._left = MOST_UNPACKED

    def __contains__(self, name: str) -> bool:
        return name in self._archive.NameToInfo

    def read(self, name: str) -> bytes:
        """A member; Unreadable if it is not there or too large. No more is read than it states."""
        try:
            info = self._archive.getinfo(name)
        except KeyError:
            raise Unreadable(f"it has no {told(name)}", "damaged") from None
        self._left -= info.file_size
        if self._left < 0:
            raise Unreadable(f"unpacks to more than {MOST_UNPACKED >> 20} MiB of text", "too large")
        if info.flag_bits & 1:
            raise Unreadable("asks for a password", "denied")
        try:
            with self._archive.open(info) as file:
                return file.read(info.file_size)
        except _OF_DAMAGE as error:
            raise Unreadable(f"not a whole archive: {told(error)}", "damaged") from error

    def xml(self, name: str) -> Any:
        """The root of a member that is XML. Entities stay as they are: none is fetched."""
        from lxml import etree

        data = self.read(name)
        if data.count(b"<") + data.count(b"=") > MOST_NODES:
            raise Unreadable(f"more than {MOST_NODES:,} elements and attributes", "too large")
        parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
        try:
            return etree.fromstring(data, parser)
        except etree.XMLSyntaxError as error:
            raise Unreadable(f"damaged XML: {told(error)}", "damaged") from error


def within_bounds(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks; Unreadable where they come to more than MOST_TEXT characters."""
    characters = 0
    for block in blocks:
        characters += len(block.text)
        if characters > MOST_TEXT:
            raise Unreadable(f"more than {MOST_TEXT >> 20} Mi characters of text", "too large")
        yield block


@contextmanager
def opened(data: bytes) -> Iterator[Archive]:
    """The archive; Unreadable if it is none, or has too many members."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _OF_DAMAGE as error:
        raise Unreadable(f"not a whole archive: {told(error)}", "damaged") from error
    with archive:
        if len(archive.filelist) > MOST_MEMBERS:
            raise Unreadable(f"an archive of more than {MOST_MEMBERS:,} parts", "too large")
        yield Archive(archive)
