"""Haystack's document store on a database.

The asynchronous methods call the synchronous ones in threads.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

from haystack import default_from_dict, default_to_dict
from haystack.dataclasses import Document
from haystack.document_stores.types import DuplicatePolicy

import mvdb
from mvdb.encoders import Encoder
from mvdb.errors import InvalidInputError, shown
from mvdb.integrations.haystack.haystack_documents import KEY, document_of, metadata_of, text_of
from mvdb.integrations.haystack.haystack_encoders import serialisable
from mvdb.integrations.haystack.haystack_errors import RefusedDuplicateError, both
from mvdb.integrations.haystack.haystack_filters import translated
from mvdb.integrations.text_database import Location, TextDatabase, checked_mode


class MvdbDocumentStore:
    """A document store (`haystack.document_stores.types.DocumentStore`) in one file. A context
    manager.

    The file is opened at the first use. Documents are encoded as they are written; embeddings that
    they have are kept and given back, and not searched."""

    def __init__(
        self,
        database: Location,
        encoder: Encoder | str | None = None,
        *,
        mode: str = "auto",
        **options: Any,
    ) -> None:
        """Keeps the arguments; `database` opens the file, and creates it if it does not exist.

        Args:
            database: the path of a file, or an open `mvdb.Database` (or a collection of one), which
                brings its own encoder, which `close` leaves open, and with which the store cannot
                be serialised.
            encoder: an encoder of mvdb, or the name of one for `mvdb.encoders.load`. To be
                serialised it is a name, or has `to_dict` and `from_dict` as Haystack's components.
                None: documents cannot be written, and a search is by words alone.
            mode: of searches, as in `mvdb.Database.search`.
            options: others of `mvdb.open`."""
        self._location = database
        self._encoder = encoder
        self._mode = checked_mode(mode)
        self._options = options
        self._texts: TextDatabase | None = None
        self._opening = threading.Lock()

    def _opened(self) -> TextDatabase:
        with self._opening:
            if self._texts is None:
                self._texts = TextDatabase(self._location, self._encoder, self._mode, self._options)
            return self._texts

    @property
    def database(self) -> mvdb.Database:
        """The database, for all that Haystack has no call for. Raises what `mvdb.open` raises."""
        return self._opened().database

    def close(self) -> None:
        """Closes the file, unless an open database was given; the next use opens it again."""
        with self._opening:
            if self._texts is not None:
                self._texts.close()
                self._texts = None

    def __enter__(self) -> MvdbDocumentStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def to_dict(self) -> dict[str, Any]:
        """The arguments, as Haystack serialises them. Raises InvalidInputError for an open database
        and for an encoder that cannot be serialised."""
        if isinstance(self._location, mvdb.Database):
            raise InvalidInputError(
                "to_dict: the store was given an open database; give it the path of the file"
            )
        data: dict[str, Any] = default_to_dict(
            self,
            database=os.fspath(self._location),
            encoder=serialisable(self._encoder),
            mode=self._mode,
            **self._options,
        )
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> MvdbDocumentStore:
        """The store with these arguments."""
        store: MvdbDocumentStore = default_from_dict(cls, data)
        return store

    # ---- writing ----

    def write_documents(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """Writes documents, in one transaction: all or none. Returns the number written.

        policy: for ids that are there or are given twice. FAIL and NONE: RefusedDuplicateError,
        which is both `DuplicateDocumentError` and `mvdb.DuplicateIdError`. SKIP: the first one
        stays. OVERWRITE: the last one stays, and every one counts as written.

        Raises InvalidInputError for anything but documents, and for metadata that mvdb cannot
        store."""
        if not isinstance(documents, list):
            raise InvalidInputError(f"documents: a list is needed, not {shown(documents)}")
        for one in documents:
            if not isinstance(one, Document):
                raise InvalidInputError(f"documents: {shown(one)} is not a haystack Document")
        distinct = {one.id: one for one in documents}
        fails = policy in (DuplicatePolicy.FAIL, DuplicatePolicy.NONE)
        if fails and len(distinct) < len(documents):
            raise RefusedDuplicateError("documents: an id is given twice")
        if policy == DuplicatePolicy.SKIP:
            distinct = {one.id: one for one in reversed(documents)}
        with both(), self.database.transaction() as txn:
            if policy == DuplicatePolicy.SKIP:
                distinct = {id: one for id, one in distinct.items() if id not in txn}
            if distinct:
                (txn.insert if fails else txn.upsert)(
                    list(distinct),
                    texts=[text_of(one) for one in distinct.values()],
                    metadata=[metadata_of(one) for one in distinct.values()],
                )
        return len(documents) if policy == DuplicatePolicy.OVERWRITE else len(distinct)

    def delete_documents(self, document_ids: list[str]) -> None:
        """Deletes the documents of these ids; unknown ones are ignored."""
        if document_ids:
            self.database.delete(list(document_ids))

    def delete_all_documents(self) -> None:
        """Deletes all documents."""
        self.database.delete(filter={})

    def delete_by_filter(self, filters: dict[str, Any]) -> int:
        """Deletes the documents that match; returns their number. Filters without a condition match
        all."""
        with both():
            return self.database.delete(filter=translated(filters) or {})

    def update_by_filter(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """Sets these fields of the metadata of the documents that match; returns their number.
        Filters without a condition match all."""
        if KEY in meta:
            raise InvalidInputError(f"meta: it must not have the name {KEY!r}")
        with both(), self.database.transaction() as txn:
            ids = list(txn.ids(translated(filters)))
            if ids:
                txn.update(ids, metadata=meta, merge=True)
        return len(ids)

    # ---- reading ----

    def count_documents(self) -> int:
        """The number of documents."""
        return len(self.database)

    def count_documents_by_filter(self, filters: dict[str, Any]) -> int:
        """The number of documents that match."""
        with both():
            return self.database.count(translated(filters))

    def filter_documents(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """The documents that match, in the order of their ids. Raises RefusedFilterError, which is
        both `haystack.errors.FilterError` and `mvdb.FilterError`."""
        with both(), self.database.snapshot() as state:
            return [document_of(one) for one in state.documents(translated(filters))]

    def search(
        self,
        query: str,
        filters: dict[str, Any] | None = None,
        top_k: int = 10,
        **options: Any,
    ) -> list[Document]:
        """The best documents for a text, with `mvdb.Hit.score` as their score. options: others of
        `mvdb.Database.search`. Used by `MvdbRetriever`."""
        with both():
            matching = translated(filters)
            hits = self._opened().search(query, top_k, **{"filter": matching, **options})
        return [document_of(hit, hit.score) for hit in hits]

    # ---- the same for asyncio ----

    async def write_documents_async(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """See `write_documents`."""
        return await asyncio.to_thread(self.write_documents, documents, policy)

    async def delete_documents_async(self, document_ids: list[str]) -> None:
        """See `delete_documents`."""
        await asyncio.to_thread(self.delete_documents, document_ids)

    async def delete_all_documents_async(self) -> None:
        """See `delete_all_documents`."""
        await asyncio.to_thread(self.delete_all_documents)

    async def delete_by_filter_async(self, filters: dict[str, Any]) -> int:
        """See `delete_by_filter`."""
        return await asyncio.to_thread(self.delete_by_filter, filters)

    async def update_by_filter_async(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """See `update_by_filter`."""
        return await asyncio.to_thread(self.update_by_filter, filters, meta)

    async def count_documents_async(self) -> int:
        """See `count_documents`."""
        return await asyncio.to_thread(self.count_documents)

    async def count_documents_by_filter_async(self, filters: dict[str, Any]) -> int:
        """See `count_documents_by_filter`."""
        return await asyncio.to_thread(self.count_documents_by_filter, filters)

    async def filter_documents_async(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """See `filter_documents`."""
        return await asyncio.to_thread(self.filter_documents, filters)
