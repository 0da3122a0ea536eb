"""Documents as users hand them in, made canonical once: ids, vectors, texts, metadata, learned
sparse vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mvdb.documents import ids as id_keys
from mvdb.documents import metadata as metadata_json
from mvdb.documents import sparse_vectors, tenants
from mvdb.documents.sparse_vectors import SparseMapping, SparseVector
from mvdb.documents.texts import Stored
from mvdb.errors import InvalidInputError, shown
from mvdb.ingest.vectors import DocumentVectors, listed
from mvdb.types import Id

Texts = str | Sequence[str | None] | None
TenantInput = str | Sequence[str] | None
MetadataInput = Mapping[str, Any] | Sequence[Mapping[str, Any] | None] | None
SparseInput = SparseMapping | Sequence[SparseMapping | None] | None
Owned = tuple[str | None, bytes]
"""The name of a tenant, None where tenants are not separated, and the key of an id."""


@dataclass(frozen=True)
class Documents:
    """The documents of one insert, a list of each of their parts. Ids are checked; texts and
    metadata by `stored`, sparse vectors by `weights`, vectors (None: the texts are to be encoded)
    as they are used. keys: of the ids, without their tenants. tenants: None where tenants are not
    separated."""

    names: list[Id]
    keys: list[bytes]
    vectors: DocumentVectors | None
    texts: list[Any] | None
    metadata: list[Any] | None
    tenants: list[str] | None
    sparse: list[Any] | None

    @classmethod
    def of(
        cls,
        ids: Id | Sequence[Id],
        embeddings: Any = None,
        texts: Texts = None,
        metadata: MetadataInput = None,
        tenant: TenantInput = None,
        sparse: SparseInput = None,
        *,
        dim: int,
        separates: bool = False,
    ) -> Documents:
        """separates: whether the database separates tenants. Raises InvalidInputError for a
        malformed id or tenant, and for arguments of different numbers of documents."""
        names = id_keys.as_list(ids)
        keys = [id_keys.encode(name) for name in names]
        count, single = len(names), id_keys.is_single(ids)
        if embeddings is not None:
            embeddings = DocumentVectors.of(embeddings, count, dim, single=single)
        return cls(
            [id_keys.plain(name) for name in names],
            keys,
            embeddings,
            _one_each("texts", [texts] if isinstance(texts, str) else texts, count),
            _one_each("metadata", [metadata] if isinstance(metadata, Mapping) else metadata, count),
            _tenants(tenant, count, separates=separates),
            _one_each("sparse", [sparse] if isinstance(sparse, Mapping) else sparse, count),
        )

    def __len__(self) -> int:
        return len(self.names)

    def take(self, chosen: Sequence[int]) -> Documents:
        """These documents (at least one, ascending), without copies of vectors."""
        if len(chosen) == len(self):
            return self
        return Documents(
            [self.names[i] for i in chosen],
            [self.keys[i] for i in chosen],
            None if self.vectors is None else self.vectors.take(chosen),
            None if self.texts is None else [self.texts[i] for i in chosen],
            None if self.metadata is None else [self.metadata[i] for i in chosen],
            None if self.tenants is None else [self.tenants[i] for i in chosen],
            None if self.sparse is None else [self.sparse[i] for i in chosen],
        )

    def owned_keys(self) -> list[Owned]:
        """The tenant and the key of each document: no two documents of a database share them."""
        if self.tenants is None:
            return [(None, key) for key in self.keys]
        return list(zip(self.tenants, self.keys, strict=True))

    def check_distinct(self) -> None:
        """InvalidInputError for an id that is there twice, of one tenant."""
        owned = self.owned_keys()
        if len(set(owned)) == len(owned):
            return
        seen: set[Owned] = set()
        for name, one in zip(self.names, owned, strict=True):
            if one in seen:
                raise InvalidInputError(f"id {name!r} is given twice in one call")
            seen.add(one)

    def stored(self) -> list[Stored]:
        """Texts as UTF-8 and metadata as JSON; InvalidInputError names the entry at fault."""
        texts = self.texts or [None] * len(self)
        entries = self.metadata or [None] * len(self)
        return list(
            zip(
                map(_text, texts, range(len(self))),
                map(_json, entries, range(len(self))),
                strict=True,
            )
        )

    def weights(self) -> list[SparseVector | None]:
        """Sparse vectors, None for one without weights; InvalidInputError names the document and
        the term at fault."""
        if self.sparse is None:
            return [None] * len(self)
        found = []
        for name, given in zip(self.names, self.sparse, strict=True):
            vector = None
            if given is not None:
                vector = sparse_vectors.checked(given, f"sparse: document {shown(name)}")
            found.append(vector or None)
        return found

    def written(self) -> list[str]:
        """The texts, for an encoder; InvalidInputError names a document without one. After
        `stored`, which checks them."""
        for name, text in zip(self.names, self.texts or [None] * len(self), strict=True):
            if text is None:
                raise InvalidInputError(
                    f"document {name!r}: neither embeddings nor a text were given"
                )
        return self.texts or []


@dataclass(frozen=True)
class MetadataUpdates:
    """New metadata of some documents, ids and metadata checked. raw: as JSON; None: none."""

    names: list[Id]
    keys: list[bytes]
    raw: list[bytes | None]

    @classmethod
    def of(cls, ids: Id | Sequence[Id], metadata: MetadataInput) -> MetadataUpdates:
        """A mapping is for all ids. Raises InvalidInputError for a malformed id or entry, for one
        given twice, and for another number of entries than of ids."""
        for_all = isinstance(metadata, Mapping)
        documents = Documents.of(ids, metadata=None if for_all else metadata, dim=0)
        documents.check_distinct()
        if for_all:
            raw = [_json(metadata, 0)] * len(documents)
        else:
            raw = [one for _, one in documents.stored()]
        return cls(documents.names, documents.keys, raw)

    def merged(self, present: Sequence[bytes | None], first: int) -> list[bytes | None]:
        """The present metadata of the documents from position `first` on, their keys replaced by
        the new ones. Raises InvalidInputError when a result is too large."""
        result = []
        for position, old in enumerate(present, first):
            new = self.raw[position]
            result.append(old if new is None else _merged(old, new, position))
        return result


def _merged(old: bytes | None, new: bytes, position: int) -> bytes | None:
    present = {} if old is None else metadata_json.loads(old)
    return _json({**present, **metadata_json.loads(new)}, position)


def _one_each(what: str, value: Any, count: int) -> list[Any] | None:
    if value is None:
        return None
    entries = listed(what, value)
    if len(entries) != count:
        raise InvalidInputError(f"{what} of {len(entries)} documents for {count} ids")
    return entries


def _tenants(value: Any, count: int, *, separates: bool) -> list[str] | None:
    """The tenant of each document; one name is for all."""
    if value is None or isinstance(value, str):
        name = tenants.agreed(value, separates=separates)
        return None if name is None else [name] * count
    tenants.refuse_name(separates=separates)
    entries = _one_each("tenant", value, count) or []
    return [tenants.check_name(entry, f"tenant[{i}]") for i, entry in enumerate(entries)]


def _text(text: Any, position: int) -> bytes | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise InvalidInputError(f"texts[{position}]: a str is needed, not {type(text).__name__}")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInputError(f"texts[{position}]: not valid Unicode (lone surrogate)") from None


def _json(entry: Any, position: int) -> bytes | None:
    if entry is None or isinstance(entry, metadata_json.Written):
        return entry
    if isinstance(entry, Mapping):
        entry = dict(entry)
    try:
        return metadata_json.written(entry, f"metadata[{position}]")
    except (ValueError, TypeError) as error:
        raise InvalidInputError(str(error)) from None
