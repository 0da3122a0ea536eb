"""Reading without a query: documents by id, lists of them, counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from types import TracebackType
from typing import NoReturn, TypeVar

from mvdb import arguments, core
from mvdb.api import hit_contents
from mvdb.api.engine import Engine
from mvdb.api.listing import IDS_PER_PAGE, Listing, Pages
from mvdb.documents import id_table, neighbours, tenants
from mvdb.documents import ids as id_keys
from mvdb.documents.tenants import Tenant
from mvdb.errors import InvalidInputError, NotFoundError
from mvdb.filters import language
from mvdb.search.allowed import matching, matching_rows
from mvdb.search.facets import facets
from mvdb.search.options import Filter
from mvdb.state.state import DocumentRow, State
from mvdb.storage.environment import ReadTransaction
from mvdb.types import Document, FacetValue, Id

Self = TypeVar("Self", bound="DocumentReader")


class DocumentReader(ABC):
    """Reading of documents in databases, snapshots and transactions, which are context managers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.dim = engine.settings.dim

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave(failed=kind is not None)

    @abstractmethod
    def _leave(self, *, failed: bool) -> None:
        """The end of a ``with`` block, left by an exception or not."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[tuple[ReadTransaction, State]]:
        """A transaction and the state that it sees."""

    def _reading_later(self) -> AbstractContextManager[tuple[ReadTransaction, State]]:
        """The same as `_reading` for hits, which may outlive what gave them."""
        return self._reading()

    def __reduce__(self) -> NoReturn:
        """Refuses pickling and copying: locks and threads belong to their process."""
        kind, path = type(self).__name__, self._engine.path
        raise TypeError(
            f"{path}: a {kind} cannot be pickled or copied; share it among threads, and in another "
            f"process open the file anew: mvdb.open({str(path)!r})"
        )

    def _named(self, tenant: str | None) -> str | None:
        """The tenant that a call names; InvalidInputError when there has to be one, or none."""
        return tenants.agreed(tenant, separates=self._engine.settings.tenants)

    def get(self, ids: Id | Sequence[Id], *, tenant: str | None = None) -> list[Document | None]:
        """The documents with these ids, in their order; None for an unknown id. tenant: whose
        documents; needed where tenants are separated, as in all calls (docs/howto-tenants.md)."""
        return self._documents(self._reading(), id_keys.as_list(ids), self._named(tenant))

    def _documents(
        self,
        reading: AbstractContextManager[tuple[ReadTransaction, State]],
        names: list[Id],
        owner: str | None,
    ) -> list[Document | None]:
        result: list[Document | None] = [None] * len(names)
        with reading as (txn, state):
            key_of = tenants.find(txn, owner).key
            wanted: dict[DocumentRow, list[int]] = {}
            for position, name in enumerate(names):
                document = state.find(txn, key_of(name))
                if document is not None:
                    wanted.setdefault(document, []).append(position)
            for document, stored in hit_contents.in_blocks(txn, state, wanted):
                n_tokens = state.segments[document.segment].n_tokens(document.row)
                for position in wanted[document]:
                    text, fields = hit_contents.decoded(stored)
                    name = id_keys.plain(names[position])
                    result[position] = Document(name, text, fields, n_tokens)
        return result

    def _around(self, owner: str | None, passage: Id, before: int, after: int) -> list[Document]:
        """See `Hit.context`."""

        def get(ids: list[Id]) -> list[Document | None]:
            return self._documents(self._reading_later(), ids, owner)

        return neighbours.around(get, passage, before, after)

    def vectors(self, ids: Id | Sequence[Id], *, tenant: str | None = None) -> list[core.Floats]:
        """The stored vectors (n, dim) of these documents, reconstructed as float32.

        Raises NotFoundError for an unknown id."""
        owner = self._named(tenant)
        with self._reading() as (txn, state):
            owned = tenants.find(txn, owner)
            documents = [existing(txn, state, name, owned) for name in id_keys.as_list(ids)]
            return [state.segments[index].vectors(txn, row) for index, row in documents]

    def __len__(self) -> int:
        with self._reading() as (_, state):
            return state.manifest.live_documents

    def __bool__(self) -> bool:
        return True  # `if db:` asks whether there is one, not whether it holds documents

    def __contains__(self, id: object) -> bool:
        self._named(None)
        try:
            key = id_keys.encode(id)  # type: ignore[arg-type]
        except InvalidInputError:
            return False
        with self._reading() as (txn, _):
            return id_table.get(txn, key) is not None

    def collections(self) -> list[str]:
        """Names of the file's collections, in the order of their code points. Raises
        InvalidInputError in one of the collections."""
        registry = self._engine.registry
        with self._reading() as (txn, _):
            return sorted(registry.catalog(txn).numbers)

    def ids(self, filter: Filter | None = None, *, tenant: str | None = None) -> Iterator[Id]:
        """All ids in order, or those of the documents that a filter matches: integers, then
        strings. Commits during the iteration may or may not be seen; iterate over a `snapshot()`
        for a fixed state.

        Raises FilterError for a malformed filter."""
        owner = self._named(tenant)
        if filter is None:
            return self._all_ids(owner)
        return Pages(Listing.checked(filter, tenant=owner), self._reading).ids()

    def _all_ids(self, tenant: str | None) -> Iterator[Id]:
        after: bytes | None = None
        while True:
            with self._reading() as (txn, _):
                prefix = tenants.find(txn, tenant).prefix
                entries = islice(id_table.entries(txn, after, prefix), IDS_PER_PAGE)
                chunk = [key for key, _number in entries]
            yield from map(id_keys.decode, chunk)
            if len(chunk) < IDS_PER_PAGE:
                return
            after = chunk[-1]

    def documents(
        self,
        filter: Filter | None = None,
        *,
        tenant: str | None = None,
        order_by: str | None = None,
        descending: bool = False,
        after: Id | Document | None = None,
        limit: int | None = None,
    ) -> Iterator[Document]:
        """The documents that a filter matches, all without one, as an iterator that reads them page
        by page: texts and metadata of about 8 MiB are held, whatever the collection.

        Args:
            filter: condition on the metadata (docs/howto-filters.md).
            tenant: whose documents, where tenants are separated (docs/howto-tenants.md).
            order_by: the path of a metadata field. Values of all types have one order: null, false,
                true, numbers, strings; documents of one value follow each other by id. A document
                of several values stands at the least of them, or at the greatest if `descending`.
                Documents without a value come last. A page then holds, in addition, a byte for
                each document, some 20 for each value of the field, and the ids of up to 65,536
                documents that share a value. None: by id, integers before strings.
            descending: by falling values; only with `order_by`.
            after: the last document of the page before, or its id: the iteration begins behind it.
                In the order of ids it need not exist any more, nor if the `Document` is given; its
                place follows from its id and metadata.
            limit: documents at most; None: all.

        Commits during the iteration may or may not be seen; iterate over a `snapshot()` for a fixed
        state.

        Raises:
            InvalidInputError, FilterError: for a malformed argument, at the call.
            NotFoundError: with `order_by`, no document has the id `after`; at the first step.
            CorruptionError: when needed bytes are damaged.
        """
        listing = Listing.checked(
            filter,
            tenant=self._named(tenant),
            order_by=order_by,
            descending=descending,
            after=after,
            limit=limit,
        )
        return Pages(listing, self._reading).documents()

    def count(self, filter: Filter | None = None, *, tenant: str | None = None) -> int:
        """The number of documents that a filter matches; of all documents without one. Reads the
        columns that the filter names, no documents.

        Raises FilterError for a malformed filter."""
        owner, node = self._named(tenant), None if filter is None else language.parse(filter)
        with self._reading() as (txn, state):
            if node is None and owner is None:
                return state.manifest.live_documents
            among = state.documents_of(txn, tenants.find(txn, owner))
            return matching(txn, state, node, among).total

    def facets(
        self,
        field: str,
        *,
        filter: Filter | None = None,
        tenant: str | None = None,
        limit: int | None = 100,
    ) -> list[tuple[FacetValue, int]]:
        """The values of a metadata field, each with the number of documents that have it: the most
        frequent first, ties in the order null, false, true, numbers, strings. Reads the columns of
        the field, no documents; memory grows with the distinct values of the field.

        Args:
            field: the path of the field, as in filters: keys joined with dots. Each element of a
                list is a value; a document counts once for each of its values. Objects are not
                values. 1 and 1.0 are one value. A path that no document has gives an empty list.
            filter: only documents that it matches.
            tenant: whose documents, where tenants are separated.
            limit: values at most; None: all.

        Raises InvalidInputError or FilterError for a malformed argument."""
        path = arguments.field_path("field", field)
        most = None if limit is None else arguments.whole_number("limit", limit, 1)
        owner, node = self._named(tenant), None if filter is None else language.parse(filter)
        with self._reading() as (txn, state):
            masks = matching_rows(txn, state, node, tenants.find(txn, owner))
            return facets(txn, state, masks, path, most)

    def tenants(self) -> dict[str, int]:
        """The names of all tenants in their order, each with the number of its documents. For an
        administrator: it is the one call that shows names, and takes time with the documents of the
        file.

        Raises InvalidInputError in a database that does not separate tenants."""
        tenants.refuse_name(separates=self._engine.settings.tenants)
        with self._reading() as (txn, state):
            counts = state.documents_by_tenant(txn)
            return {name: counts.get(number, 0) for name, number in tenants.entries(txn)}


def existing(txn: ReadTransaction, state: State, id: Id, tenant: Tenant) -> DocumentRow:
    """The document of a tenant with an id; NotFoundError for an unknown id."""
    document = state.find(txn, tenant.key(id))
    if document is None:
        raise NotFoundError(f"no document has the id {id!r}; get() gives None for such ids")
    return document
