"""The envelope around every stored value: kind and length of the body, and its checksum.

Layout (16 bytes, little-endian, frozen in `format`): version u8, kind u8, flags u16 (0), body
length u32, XXH3-64 u64. The hash covers the key, the first 8 header bytes and the body, so a value
that was flipped, cut, or stored under another key is found before any result is computed from it.
The exceptions are ``Kind.RECORDS``, ``Kind.LISTS`` and ``Kind.WORDS``: an extent holds many
documents, lists or terms, and a query reads few of them. Its hash covers key and header only; the
segment's directories have the checksums of its documents or blocks.

Functions are pure and thread-safe. Sizes are bytes.
"""

from __future__ import annotations

import xxhash

from mvdb.errors import CorruptionError, FormatError
from mvdb.storage.format import (
    ENVELOPE_HASHED,
    ENVELOPE_HEADER,
    ENVELOPE_VERSION,
    FORMAT_VERSION,
    MAX_BODY_BYTES,
    Buffer,
    Kind,
)

_CHECKED_INSIDE = (Kind.RECORDS, Kind.LISTS, Kind.WORDS, Kind.WEIGHTS)
HEADER_BYTES = ENVELOPE_HEADER.size


def checksum(data: Buffer, seed: int = 0) -> int:
    """XXH3-64 of ``data``: the one hash used in the file, for checksums inside bodies too."""
    return int(xxhash.xxh3_64_intdigest(data, seed))


def _hash(kind: int, key: Buffer, header: Buffer, body: Buffer) -> int:
    digest = xxhash.xxh3_64(key)
    digest.update(header)
    if kind not in _CHECKED_INSIDE:
        digest.update(body)
    return int(digest.intdigest())


def seal(kind: Kind, key: Buffer, body: Buffer) -> bytes:
    """The value to store under ``key``: header followed by ``body``.

    Raises `ValueError` when the body is too large for its length field.
    """
    view = memoryview(body).cast("B")
    if view.nbytes > MAX_BODY_BYTES:
        raise ValueError(f"a body of {view.nbytes} bytes is over the limit of {MAX_BODY_BYTES}")
    head = ENVELOPE_HEADER.pack(ENVELOPE_VERSION, kind, 0, view.nbytes, 0)[:ENVELOPE_HASHED]
    digest = _hash(kind, key, head, view)
    return b"".join((head, digest.to_bytes(8, "little"), view))


def sealed_for(key: Buffer, value: bytes) -> bytes:
    """A sealed value, sealed for another key."""
    head, body = value[:ENVELOPE_HASHED], memoryview(value)[HEADER_BYTES:]
    digest = _hash(value[1], key, head, body)
    return b"".join((head, digest.to_bytes(8, "little"), body))


def unseal(kind: Kind, key: Buffer, value: Buffer, where: str) -> memoryview:
    """The body of ``value``, after checking header, length and hash.

    The view points into ``value`` and lives no longer than it. Raises `CorruptionError` that names
    ``where`` and what was expected and found; `FormatError` for an intact envelope of a version
    this library does not know.
    """
    fields, body = ENVELOPE_HEADER.unpack_head(value, where)
    version, found_kind, flags, length, stored = fields
    # The hash first: a damaged header is reported as damage, not as a newer format.
    actual = _hash(found_kind, key, memoryview(value)[:ENVELOPE_HASHED], body)
    if actual != stored:
        raise CorruptionError(
            f"{where}: checksum mismatch (stored {stored:016x}, computed {actual:016x})"
        )
    _check_header(kind, version, found_kind, flags, length, len(body), where)
    return body


def peek(kind: Kind, key: Buffer, value: Buffer, where: str) -> memoryview:
    """The body of ``value`` after checking the header but not the body's hash.

    For kinds of `_CHECKED_INSIDE` this is all the envelope can prove (the hash of key and header is
    checked); for other kinds use it only on a body that `unseal` has accepted before.
    Same errors as `unseal`.
    """
    if kind not in _CHECKED_INSIDE:
        (version, found_kind, flags, length, _), body = ENVELOPE_HEADER.unpack_head(value, where)
        is_known = (version, found_kind, flags) == (ENVELOPE_VERSION, kind, 0)
        if is_known and len(body) == length:
            return body
    # Checked inside, or damaged: the full check proves the former and words the latter's error.
    return unseal(kind, key, value, where)


def _check_header(
    kind: Kind, version: int, found_kind: int, flags: int, length: int, actual: int, where: str
) -> None:
    if version != ENVELOPE_VERSION or flags:
        raise FormatError(
            f"{where}: written as envelope version {version} (flags {flags:#x}); this mvdb reads "
            f"version {ENVELOPE_VERSION}, file format {FORMAT_VERSION}: use a newer mvdb"
        )
    if found_kind != kind:
        raise CorruptionError(f"{where}: kind {_name(kind)} expected, {_name(found_kind)} found")
    if length != actual:
        raise CorruptionError(f"{where}: body of {length} bytes expected, {actual} found")


def _name(kind: int) -> str:
    try:
        return Kind(kind).name
    except ValueError:
        return f"number {kind}"
