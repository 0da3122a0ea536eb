"""Every public call of mvdb, found by looking, with arguments it takes; and how it may end.

No exception but those of mvdb, TypeError and ValueError leaves a call, except what the caller's own
objects raise, ImportError for a package that is not there, and MemoryError.
"""

from __future__ import annotations

import inspect
import traceback
import types
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import mvdb
from mvdb.limits import Limits
from mvdb.storage.failures import UnexpectedStorageError
from tests.corrupt.specimens import DIM
from tests.helpers import fill
from tests.helpers import matrix as matrix_of
from tests.support.opening import opened

PROMISED = (mvdb.Error, TypeError, ValueError, ImportError, MemoryError)

HANDLES = (mvdb.Database, mvdb.Snapshot, mvdb.Transaction)
VALUES = tuple(
    one
    for name in mvdb.__all__
    if isinstance(one := getattr(mvdb, name), type) and not issubclass(one, (Exception, *HANDLES))
)
ERRORS = tuple(
    one
    for name in mvdb.__all__
    if isinstance(one := getattr(mvdb, name), type) and issubclass(one, Exception)
)
FUNCTIONS = tuple(name for name in mvdb.__all__ if inspect.isfunction(getattr(mvdb, name)))


def matrix(seed: int, tokens: int = 3) -> Any:
    """Token vectors of the walk's dimensions."""
    return matrix_of(seed, tokens, DIM)


class NoTexts:
    """An encoder that is not asked."""

    dim, name = DIM, "an encoder"

    def encode_documents(self, texts: Any) -> Any:
        raise AssertionError("no text was given")

    encode_queries = encode_documents


class OneMatrix(NoTexts):
    """An encoder with the same vectors for all texts."""

    def encode_documents(self, texts: Any) -> Any:
        return [matrix(1) for _ in texts]


_QUERY = matrix(1)
_LEAVING = {"kind": None, "error": None, "trace": None}
_SEARCH: dict[str, Any] = {
    "query": _QUERY,
    "k": 2,
    "filter": {"n": {"$lt": 9}},
    "ids": [0, 1, 2],
    "tenant": None,
    "nprobe": 4,
    "candidates": 100,
    "exact": False,
    "text": None,
    "sparse": None,
    "mode": "auto",
    "strict": False,
    "lexical_weight": 0.5,
    "fusion": "relative",
    "min_score": -100.0,
    "min_relevance": 0.0,
    "offset": 1,
    "group_by": "even",
    "group_size": 2,
    "diversity": 0.5,
    "fields": ["text", "metadata.n"],
}
_HOOKS: dict[str, Any] = {"progress": lambda done, total: None, "cancel": lambda: False}
_WRITE: dict[str, Any] = {
    "ids": ["new"],
    "embeddings": [matrix(7)],
    "texts": ["a text"],
    "metadata": [{"n": 1}],
    "tenant": None,
    "sparse": [{"term": 1.0, 7: 2.5}],
}
_UPDATE: dict[str, Any] = {
    "ids": [2],
    "metadata": [{"n": 2, "new": True}],
    "merge": True,
    "tenant": None,
}
_READING: dict[str, dict[str, Any]] = {
    "__bool__": {},
    "__contains__": {"id": 1},
    "__enter__": {},
    "__exit__": _LEAVING,
    "__len__": {},
    "__reduce__": {},
    "collections": {},
    "explain": {"query": _QUERY, "id": 1, "text": "text", "tenant": None},
    "count": {"filter": {"n": {"$lt": 9}}, "tenant": None},
    "documents": {
        "filter": {"n": {"$lt": 9}},
        "tenant": None,
        "order_by": "n",
        "descending": True,
        "after": 3,
        "limit": 2,
    },
    "facets": {"field": "n", "filter": {"n": {"$lt": 9}}, "tenant": None, "limit": 3},
    "get": {"ids": [1, 2, "none"], "tenant": None},
    "ids": {"filter": {"n": {"$lt": 9}}, "tenant": None},
    "more_like": {
        **{name: value for name, value in _SEARCH.items() if name != "query"},
        "id": 1,
    },
    "profile": _SEARCH,
    "rerank": {"query": _QUERY, "ids": [0, 1], "k": 1, "tenant": None},
    "search": {**_SEARCH, "sparse": {"term": 1.0, 7: 2.5}},
    "search_batch": {
        **{name: value for name, value in _SEARCH.items() if name != "query"},
        "queries": [_QUERY, _QUERY],
        "threads": 2,
        **_HOOKS,
    },
    "tenants": {},
    "vectors": {"ids": [1, 2], "tenant": None},
}
HANDLE_CALLS: dict[type, dict[str, dict[str, Any]]] = {
    mvdb.Database: {
        **_READING,
        "__repr__": {},
        "backup": {"path": "copy.mvdb", **_HOOKS},
        "close": {},
        "collection": {"name": "mail", "dim": DIM, "bits": 2, "encoder": None},
        "compact": {"path": "compacted.mvdb", **_HOOKS},
        "delete": {"ids": [4], "filter": None, "tenant": None},
        "delete_tenant": {"name": "a tenant"},
        "drop_collection": {"name": "mail"},
        "encode": {"texts": ["words"], "encoder": OneMatrix()},
        "insert": _WRITE,
        "insert_batches": {
            "batches": [(["a", "b"], [matrix(1), matrix(2)])],
            "tenant": None,
            "commit_every": 1,
            "progress": lambda progress: None,
            "total": 2,
            "cancel": lambda: False,
        },
        "optimize": {"progress": lambda step: None, "lexical": True, "cancel": lambda: False},
        "path": {},
        "readonly": {},
        "snapshot": {},
        "stats": {},
        "transaction": {"timeout": 1.0},
        "update": _UPDATE,
        "upsert": _WRITE,
        "verify": {"deep": True, **_HOOKS},
    },
    mvdb.Snapshot: {**_READING, "close": {}, "collection": {"name": "mail"}},
    mvdb.Transaction: {
        **_READING,
        "collection": {"name": "mail"},
        "collects_for_training": {},
        "commit": {},
        "delete": {"ids": [4], "filter": None, "tenant": None},
        "delete_tenant": {"name": "a tenant"},
        "insert": _WRITE,
        "rollback": {},
        "update": _UPDATE,
        "upsert": _WRITE,
    },
}
FUNCTION_CALLS: dict[str, dict[str, Any]] = {
    "open": {
        "path": "opened.mvdb",
        "dim": DIM,
        "bits": 4,
        "tenants": False,
        "readonly": False,
        "create": True,
        "encoder": None,
        "lexical": True,
        "durability": "relaxed",
        "map_size": 1 << 24,
        "allow_encoder_mismatch": False,
        "prefetch": "hint",
        "background": False,
        "memory": 64 << 20,
    },
    "from_encoder": {"model": NoTexts(), "path": "opened.mvdb", "name": "an encoder"},
    "repair": {"src": "source.mvdb", "dst": "repaired.mvdb", **_HOOKS},
}


def public(kind: type) -> set[str]:
    """What can be called of a class of mvdb, or read like an attribute and computes something."""
    found = set()
    for one in kind.__mro__:
        if not one.__module__.startswith("mvdb"):
            continue
        for name, value in vars(one).items():
            is_called = isinstance(value, (types.FunctionType, property))
            is_special = name.startswith("__") and name not in ("__init__", "__new__")
            if is_called and (is_special or not name.startswith("_")):
                found.add(name)
    return found


def invoke(subject: Any, name: str, arguments: Mapping[str, Any]) -> Any:
    """Calls a method, or reads a property; of an iterator the first entries are asked for."""
    if isinstance(inspect.getattr_static(type(subject), name), property):
        return getattr(subject, name)
    result = getattr(subject, name)(**arguments)
    return list(islice(result, 100)) if isinstance(result, Iterator) else result


def end(result: Any) -> None:
    """Lets go of a handle that a call has given."""
    if isinstance(result, mvdb.Transaction):
        result.rollback()
    elif isinstance(result, (mvdb.Database, mvdb.Snapshot)):
        result.close()


def is_promised(error: BaseException, own: tuple[type[BaseException], ...] = ()) -> bool:
    """Whether the exception may leave a call. ``own``: what the caller's objects raise."""
    if isinstance(error, own):
        return True
    # A path or a text that cannot be encoded is refused as such; liblmdb is used correctly.
    slipped = (UnicodeError, UnexpectedStorageError)
    return isinstance(error, PROMISED) and not isinstance(error, slipped)


def new_database(path: Path) -> mvdb.Database:
    """A database of some documents."""
    db = mvdb.open(path, dim=DIM, durability="relaxed", background=False)
    fill(db, 5)
    fill(db.collection("mail", dim=DIM), 2)
    return db


def subject_of(db: mvdb.Database, kind: type) -> Any:
    """A new handle of this kind; the database itself."""
    if kind is mvdb.Transaction:
        return db.transaction(timeout=5)
    return db.snapshot() if kind is mvdb.Snapshot else db


LAST = ("__exit__", "close", "commit", "rollback")
"""They end their handle, so they come after all others."""


refused: Counter[str] = Counter()
"""Errors that the walks of this process have met, by class: a limit that none of them meets is not
in force."""


def walk(db: mvdb.Database, *, own: tuple[type[BaseException], ...] = ()) -> Iterator[str]:
    """Makes every call on a database, a snapshot and a transaction of it: what should not have left
    them, a line each."""
    for kind, table in reversed(HANDLE_CALLS.items()):  # the last call on a database closes it
        for name in sorted(table, key=lambda name: (name in LAST, name)):
            try:
                subject = subject_of(db, kind)
                try:
                    result = invoke(subject, name, table[name])
                    if result is not subject:  # as __enter__ gives it
                        end(result)
                finally:
                    if subject is not db:
                        end(subject)
            except BaseException as error:
                refused[type(error).__name__] += 1
                if not is_promised(error, own):
                    where = traceback.extract_tb(error.__traceback__)[-1]
                    yield (
                        f"{kind.__name__}.{name}: {type(error).__name__}: {str(error)[:200]} "
                        f"({Path(where.filename).name}:{where.lineno})"
                    )


def walk_file(
    path: str | bytes | Path, limits: Limits | None = None, **options: Any
) -> Iterator[str]:
    """Opens a file and makes every call on it."""
    try:
        db = opened(path, limits or Limits(), background=False, **options)  # type: ignore[arg-type]
    except BaseException as error:
        refused[type(error).__name__] += 1
        if not is_promised(error):
            yield f"open: {type(error).__name__}: {str(error)[:200]}"
        return
    try:
        yield from walk(db)
    finally:
        db.close()
