"""`mvdb mcp`: a database as tools of the Model Context Protocol, for local assistants.

Answers are short enough for the window of a model: texts are cut, and numbers of hits bounded.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Callable, Mapping
from typing import Any

import mvdb
from mvdb.extras import major_minor, remedy
from mvdb.serving.error_codes import message_of

MOST_HITS = 50
MOST_IDS = 20
HIT_CHARACTERS = 2_000
"""Of a hit's text. The whole text is given by `get`."""
GET_CHARACTERS = 20_000
"""Of the text of one document in one answer of `get`."""


class ReadingTools:
    """The tools that read; the docstrings are what an assistant is told."""

    def __init__(self, db: mvdb.Database, tenant: str | None = None) -> None:
        self._db = db
        self._tenant = tenant

    def search(
        self, query: str, k: int = 5, filter: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Finds the documents that answer a question best, by meaning and by words. query: a
        question, or words, with "a phrase", +must, -not, prefix*. k: number of documents, up to
        50. filter: condition on the metadata, such as {"year": {"$gte": 2020}, "lang": "en"}.
        relevance: from .5 on a document probably answers. A text that is cut is whole in get."""
        _check("k", k, MOST_HITS)
        with self._db.snapshot() as snapshot:
            return [
                _hit(hit) for hit in snapshot.search(query, k, filter=filter, tenant=self._tenant)
            ]

    def get(self, ids: list[str | int], begin: int = 0) -> list[dict[str, Any] | None]:
        """Documents by their ids, up to 20; null for an unknown id. begin: the first character of
        the texts; an answer has 20,000 of them, and `more` tells whether others follow."""
        _check("ids", len(ids), MOST_IDS)
        if begin < 0:
            raise mvdb.InvalidInputError(f"begin: {begin} is negative")
        return [
            None if one is None else _document(one, begin, GET_CHARACTERS)
            for one in self._db.get(ids, tenant=self._tenant)
        ]

    def similar(self, id: str | int, k: int = 5) -> list[dict[str, Any]]:
        """The documents most like one that is known by its id. k: their number, up to 50."""
        _check("k", k, MOST_HITS)
        with self._db.snapshot() as snapshot:
            return [_hit(hit) for hit in snapshot.more_like(id, k, tenant=self._tenant)]

    def facets(self, field: str, limit: int = 20) -> list[dict[str, Any]]:
        """The values of a metadata field, each with the number of documents that have it, the most
        frequent first: what filters of a search can ask for. field: its path, such as author.name.
        limit: number of values, up to 50."""
        _check("limit", limit, MOST_HITS)
        values = self._db.facets(field, tenant=self._tenant, limit=limit)
        return [{"value": value, "count": number} for value, number in values]


class WritingTools:
    """The tools that change the database."""

    def __init__(self, db: mvdb.Database, tenant: str | None = None) -> None:
        self._db = db
        self._tenant = tenant

    def store(self, id: str | int, text: str, metadata: dict[str, Any] | None = None) -> str:
        """Stores a document; one of the same id is replaced. metadata: a JSON object, for filters
        and facets."""
        self._db.upsert(id, texts=text, metadata=metadata, tenant=self._tenant)
        return "stored"

    def delete(self, ids: list[str | int]) -> int:
        """Deletes documents by their ids, for good. Returns how many there were."""
        _check("ids", len(ids), MOST_IDS)
        return self._db.delete(ids, tenant=self._tenant)


def _check(name: str, number: int, most: int) -> None:
    if not 1 <= number <= most:
        raise mvdb.InvalidInputError(f"{name}: {number}; 1 to {most} are possible")


def _hit(hit: mvdb.Hit) -> dict[str, Any]:
    found = {"id": hit.id, "score": round(hit.score, 4), "relevance": hit.relevance}
    return {**found, **_text(hit.text, 0, HIT_CHARACTERS), "metadata": _plain(hit.metadata)}


def _document(one: mvdb.Document, begin: int, most: int) -> dict[str, Any]:
    return {"id": one.id, **_text(one.text, begin, most), "metadata": _plain(one.metadata)}


def _text(text: str | None, begin: int, most: int) -> dict[str, Any]:
    """A part of a text, and whether others follow it."""
    if text is None:
        return {"text": None, "more": False}
    return {"text": text[begin : begin + most], "more": len(text) > begin + most}


def _plain(metadata: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if metadata is None else dict(metadata)


def run_tools(db: mvdb.Database, about: str | None, tenant: str | None) -> None:
    """Serves the tools on standard input and output until the input ends: those that write too,
    if the database is open for writing. about: what the documents are, for the assistant. tenant:
    whose documents, where tenants are separated.

    Raises ImportError without the package mcp, or with a version of it before 2."""
    _require_mcp()
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp.types import ToolAnnotations

    server = MCPServer(
        "mvdb",
        instructions=about or f"Search in the documents of {db.path.name}.",
        version=mvdb.__version__,
        log_level="WARNING",
    )

    def add(tool: Callable[..., Any], *, reads: bool, destroys: bool = False) -> None:
        hints = ToolAnnotations(
            read_only_hint=reads, destructive_hint=destroys, open_world_hint=False
        )
        server.add_tool(_telling(tool, ToolError), annotations=hints)

    reading, writing = ReadingTools(db, tenant), WritingTools(db, tenant)
    for tool in (reading.search, reading.get, reading.similar, reading.facets):
        add(tool, reads=True)
    if not db.readonly:
        add(writing.store, reads=False, destroys=True)
        add(writing.delete, reads=False, destroys=True)
    server.run("stdio")


def _telling(tool: Callable[..., Any], fault: type[Exception]) -> Callable[..., Any]:
    """The tool with errors whose message reaches the assistant, which can then do better."""

    @functools.wraps(tool)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return tool(*args, **kwargs)
        except mvdb.Error as error:
            raise fault(message_of(error)) from error

    return call


def _require_mcp() -> None:
    install = remedy("mcp")
    try:
        version = importlib.metadata.version("mcp")
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(f"mvdb mcp needs the package mcp, not installed: {install}") from None
    if major_minor(version) < (2, 0):
        raise ImportError(f"mvdb mcp needs mcp 2 or newer, not {version}: {install}")
