"""Options of `mvdb.open`: its arguments, checked."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

from mvdb.arguments import file_path, flag, one_of, whole_number
from mvdb.errors import DimensionMismatch, InvalidInputError
from mvdb.ingest.text_encoder import TextEncoder
from mvdb.search import prefetch as prefetching
from mvdb.state.lexical_identity import OFF, Lexical, LexicalIdentity, check_lexical
from mvdb.state.settings import DEFAULT_BITS, Settings, check_bits, check_dim
from mvdb.write import memory_budget

DURABILITIES = ("full", "relaxed")


@dataclass(frozen=True)
class Options:
    """The arguments of `mvdb.open`; `dim`, `bits`, `tenants` and `lexical` are None where the file
    decides."""

    path: str
    dim: int | None
    bits: int | None
    tenants: bool | None
    readonly: bool
    create: bool
    encoder: TextEncoder
    lexical: Lexical | None
    durability: str
    map_size: int | None
    prefetch: str
    background: bool
    memory: int

    def check_stored(self, stored: Settings, name: str | None = None) -> None:
        """Raises DimensionMismatch or InvalidInputError when dim or bits of the file, or of its
        collection `name`, differ from the options."""
        kind = "file" if name is None else "collection"
        where = self.path if name is None else f"{self.path}, collection {name!r}"
        if self.dim not in (None, stored.dim):
            raise DimensionMismatch(
                f"{where}: the {kind} has dim {stored.dim}, not {self.dim}; leave dim out, or "
                f"create another {kind}"
            )
        if self.bits not in (None, stored.bits):
            raise InvalidInputError(
                f"{where}: the {kind} has bits={stored.bits}, which is fixed, not bits="
                f"{self.bits}; leave bits out, or create another {kind}"
            )
        if self.tenants not in (None, stored.tenants):
            raise InvalidInputError(
                f"tenants: {where} has tenants={stored.tenants}, which is fixed; leave tenants "
                f"out, or create another {kind}"
            )

    def check_lexical(self, stored: LexicalIdentity) -> None:
        """Raises InvalidInputError when the file's lexical index is not as the options say."""
        if self.lexical is not None and not stored.fits(self.lexical):
            index = f"a lexical index: {stored.shown}" if stored.on else "no lexical index"
            raise InvalidInputError(
                f"lexical: {self.path} has {index}; leave lexical out, or change the file with "
                "optimize(lexical=...)"
            )

    def lexical_for_new_file(self) -> LexicalIdentity:
        """How a new file indexes words; by default it does."""
        return OFF.with_(self.lexical or Lexical(True), 0)

    def for_new_file(self, name: str | None = None) -> Settings:
        """What a new file, or a new collection `name`, is made with; InvalidInputError when `dim`
        was not given."""
        if self.dim is None:
            what = "a database" if name is None else f"the collection {name!r}, which is not there"
            raise InvalidInputError(f"dim is needed to create {what}, for example dim=128")
        bits = int(DEFAULT_BITS) if self.bits is None else self.bits
        return Settings(self.dim, bits, bool(self.tenants))


def for_collection(file: Options, dim: Any, bits: Any, encoder: Any) -> Options:
    """The options of a collection of a file that is open with these; raises as `check`."""
    options = replace(
        file,
        dim=None if dim is None else check_dim(dim),
        bits=None if bits is DEFAULT_BITS else check_bits(bits),
        encoder=file.encoder.replaced_by(encoder),
        tenants=None,
    )
    return replace(options, dim=_agreed_dim(options))


def check(
    path: Any,
    *,
    dim: Any,
    bits: Any,
    tenants: Any,
    readonly: Any,
    create: Any,
    encoder: Any,
    lexical: Any,
    durability: Any,
    map_size: Any,
    allow_encoder_mismatch: Any,
    prefetch: Any,
    background: Any,
    memory: Any,
) -> Options:
    """The options; InvalidInputError names the argument that cannot be. Raises DimensionMismatch
    when dim is not the encoder's."""
    allow = flag("allow_encoder_mismatch", allow_encoder_mismatch)
    options = Options(
        path=file_path("path", path),
        dim=None if dim is None else check_dim(dim),
        bits=None if bits is DEFAULT_BITS else check_bits(bits),
        tenants=None if tenants is None else flag("tenants", tenants),
        readonly=flag("readonly", readonly),
        create=flag("create", create),
        encoder=TextEncoder(encoder, allow_mismatch=allow),
        lexical=check_lexical(lexical),
        durability=one_of("durability", durability, DURABILITIES),
        map_size=None if map_size is None else _bytes("map_size", map_size, 1),
        prefetch=one_of("prefetch", prefetch, prefetching.MODES),
        background=flag("background", background),
        memory=memory_budget.DEFAULT
        if memory is None
        else _bytes("memory", memory, memory_budget.LEAST),
    )
    options = replace(options, dim=_agreed_dim(options))
    if options.create and not options.readonly and not os.path.exists(options.path):
        options.for_new_file()
    return options


def _bytes(name: str, value: Any, least: int) -> int:
    return whole_number(name, value, least, what="a number of bytes")


def _agreed_dim(options: Options) -> int | None:
    encoder, dim = options.encoder.identity, options.dim
    if encoder is not None and dim not in (None, encoder.dim):
        raise DimensionMismatch(
            f"encoder {encoder.name!r} gives vectors of dim {encoder.dim}, dim={dim} was asked "
            "for; leave dim out, or give another encoder"
        )
    return dim if encoder is None else encoder.dim
