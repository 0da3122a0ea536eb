"""Texts to vectors: the database's encoder, and the check that the vectors came from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mvdb import core
from mvdb.arguments import whole_number
from mvdb.errors import EncoderMismatchError, InvalidInputError, shown
from mvdb.ingest.encoded_texts import EncodedTexts
from mvdb.ingest.vectors import listed
from mvdb.state.encoder_identity import EncoderIdentity


def identity(encoder: Any) -> EncoderIdentity:
    """The identity of an object of the encoder protocol."""
    missing = [
        name
        for name in ("encode_documents", "encode_queries", "dim", "name")
        if not hasattr(encoder, name)
    ]
    if missing:
        raise InvalidInputError(
            f"encoder: {type(encoder).__name__} has no {', '.join(missing)}; see mvdb.encoders"
        )
    dim = whole_number("encoder.dim", encoder.dim, 1, core.MAX_DIM)
    return EncoderIdentity(
        _text("encoder.name", encoder.name),
        dim,
        *(_optional_text(encoder, member) for member in ("pooling", "revision", "prefix")),
    )


def _optional_text(encoder: Any, member: str) -> str | None:
    value = getattr(encoder, member, None)
    return None if value is None else _text(f"encoder.{member}", value)


def _text(what: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidInputError(f"{what}: a str is needed, not {shown(value)}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInputError(f"{what}: {shown(value)} is not valid Unicode") from None
    return str(value)


class TextEncoder:
    """An encoder as one database uses it; without one, texts cannot become vectors."""

    def __init__(self, encoder: Any, *, allow_mismatch: bool) -> None:
        self.encoder = encoder
        self.identity = None if encoder is None else identity(encoder)
        self._allow_mismatch = allow_mismatch

    def replaced_by(self, encoder: Any) -> TextEncoder:
        """Another encoder, with the same permission to differ from the stored one."""
        return TextEncoder(encoder, allow_mismatch=self._allow_mismatch)

    def mismatch(self, stored: EncoderIdentity | None) -> str | None:
        """Why this encoder's vectors do not go with the stored ones, or None."""
        if self.identity is None or stored is None or self.identity.agrees(stored):
            return None
        return (
            f"the vectors in the file come from encoder {stored}, this handle has {self.identity}"
        )

    def check(self, identity: EncoderIdentity, stored: EncoderIdentity | None) -> None:
        """Raises EncoderMismatchError when vectors of the encoder `identity` do not go with the
        stored ones, and the handle does not allow it."""
        if stored is None or self._allow_mismatch or identity.agrees(stored):
            return
        raise EncoderMismatchError(
            f"the vectors in the file come from encoder {stored}, these from {identity}; open with "
            "the same encoder, or with allow_encoder_mismatch=True"
        )

    def _needed(self, purpose: str) -> tuple[Any, EncoderIdentity]:
        if self.identity is None:
            raise InvalidInputError(
                f"{purpose} needs an encoder: give one to mvdb.open(encoder=...), or give vectors"
            )
        return self.encoder, self.identity

    def documents(self, texts: Sequence[str]) -> EncodedTexts:
        """Vectors of documents; before they are stored, `check`."""
        encoder, identity = self._needed("inserting texts alone")
        matrices = encoder.encode_documents(list(texts)) if texts else []
        return EncodedTexts(_one_each(matrices, len(texts), "encode_documents"), identity)

    def given_documents(self, texts: Any) -> EncodedTexts:
        """Vectors of texts as a user hands them in."""
        if isinstance(texts, str):
            raise InvalidInputError("texts: a sequence of texts is needed, not one str")
        texts = listed("texts", texts, "text")
        for place, text in enumerate(texts):
            _text(f"texts[{place}]", text)
        return self.documents(texts)

    def queries(self, texts: Sequence[str], stored: EncoderIdentity | None) -> list[Any]:
        """Vectors of queries."""
        encoder, identity = self._needed("a query in words")
        self.check(identity, stored)
        return _one_each(encoder.encode_queries(list(texts)), len(texts), "encode_queries")


def _one_each(matrices: Any, count: int, method: str) -> list[Any]:
    try:
        result = list(matrices)
    except (TypeError, OverflowError) as error:
        raise InvalidInputError(
            f"encoder: {method} gave {type(matrices).__name__}, not a sequence of matrices "
            f"({error})"
        ) from error
    if len(result) != count:
        raise InvalidInputError(
            f"encoder: {method} gave {len(result)} matrices for {count} texts; one each is needed"
        )
    return result
