"""Reading of documents by id: the part of the reading half that asks no query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from types import TracebackType
from typing import NoReturn, TypeVar

from mvdb import core
from mvdb.api import hit_contents
from mvdb.api.engine import Engine
from mvdb.documents import id_table
from mvdb.documents import ids as id_keys
from mvdb.errors import InvalidInputError, NotFoundError
from mvdb.state.state import DocumentRow, State
from mvdb.storage.environment import ReadTransaction
from mvdb.types import Document, Id

Self = TypeVar("Self", bound="DocumentReader")
IDS_PER_READ = 1024


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

    def __reduce__(self) -> NoReturn:
        """Refuses pickling and copying: locks and threads belong to their process."""
        kind, path = type(self).__name__, self._engine.path
        raise TypeError(
            f"{path}: a {kind} cannot be pickled or copied; share it among threads, and in another "
            f"process open the file anew: mvdb.open({str(path)!r})"
        )

    def get(self, ids: Id | Sequence[Id]) -> list[Document | None]:
        """The documents with these ids, in their order; None for an unknown id."""
        names = id_keys.as_list(ids)
        result: list[Document | None] = [None] * len(names)
        with self._reading() as (txn, state):
            wanted: dict[DocumentRow, list[int]] = {}
            for position, name in enumerate(names):
                document = state.find(txn, id_keys.encode(name))
                if document is not None:
                    wanted.setdefault(document, []).append(position)
            for document, stored in hit_contents.in_blocks(txn, state, wanted):
                n_tokens = state.segments[document.segment].n_tokens(document.row)
                for position in wanted[document]:
                    text, fields = hit_contents.decoded(stored)
                    name = id_keys.plain(names[position])
                    result[position] = Document(name, text, fields, n_tokens)
        return result

    def vectors(self, ids: Id | Sequence[Id]) -> list[core.Floats]:
        """The stored vectors (n, dim) of these documents, reconstructed as float32.

        Raises NotFoundError for an unknown id."""
        with self._reading() as (txn, state):
            documents = [existing(txn, state, name) for name in id_keys.as_list(ids)]
            return [state.segments[index].vectors(txn, row) for index, row in documents]

    def __len__(self) -> int:
        with self._reading() as (_, state):
            return state.manifest.live_documents

    def __bool__(self) -> bool:
        return True  # `if db:` asks whether there is one, not whether it holds documents

    def __contains__(self, id: object) -> bool:
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

    def ids(self) -> Iterator[Id]:
        """All ids in order: integers, then strings. Commits during the iteration may or may not be
        seen; iterate over a `snapshot()` for a fixed state."""
        after: bytes | None = None
        while True:
            with self._reading() as (txn, _):
                entries = islice(id_table.entries(txn, after), IDS_PER_READ)
                chunk = [key for key, _number in entries]
            yield from map(id_keys.decode, chunk)
            if len(chunk) < IDS_PER_READ:
                return
            after = chunk[-1]


def existing(txn: ReadTransaction, state: State, id: Id) -> DocumentRow:
    """The document with an id; NotFoundError for an unknown id."""
    document = state.find(txn, id_keys.encode(id))
    if document is None:
        raise NotFoundError(f"no document has the id {id!r}; get() gives None for such ids")
    return document
