"""The methods that can be called by name: those of a database, with the same parameters.

Names of parameters come from the signatures of the public API, and so do the checks of their
values. JSON has no arrays of numbers of its own: nested lists are made matrices, and results are
made JSON values.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any

import numpy as np

import mvdb
from mvdb.errors import InvalidInputError, shown
from mvdb.serving.error_codes import INVALID_PARAMS
from mvdb.serving.messages import Refusal, Request
from mvdb.serving.watch import Watch

PROTOCOL = 1
DEFAULT_LIMIT = 100
"""Documents of a page, where the call does not say."""
PAGE_BYTES = 8 << 20
"""Texts and metadata of a page, about."""
_ENTRY_BYTES = 64
"""Of a document in a page, without text and metadata."""
_HOOKS = {"progress", "cancel"}

Run = Callable[[mvdb.Database, dict[str, Any], Watch], Any]


class Lane(Enum):
    """Where calls wait for each other. The value names the threads."""

    READ = "reads"
    WRITE = "writes"
    """Changes, in the order of their requests."""
    UPKEEP = "upkeep"
    """Long maintenance, between whose steps changes run."""


THREADS = {Lane.READ: 4, Lane.WRITE: 1, Lane.UPKEEP: 1}
"""Calls of a lane under way at the same time, at most."""


@dataclass(frozen=True)
class Method:
    """A method of the protocol. parameters: whether each is required, by name."""

    lane: Lane
    run: Run
    parameters: Mapping[str, bool] = field(default_factory=dict)

    def check(self, request: Request) -> None:
        """Raises Refusal for parameters that are unknown or missing."""
        unknown = sorted(request.params.keys() - self.parameters.keys())
        missing = [
            name
            for name, is_required in self.parameters.items()
            if is_required and name not in request.params
        ]
        if unknown:
            names, known = ", ".join(map(shown, unknown)), ", ".join(self.parameters) or "none"
            fault = f"{request.method}: unknown params {names}; it takes {known}"
        elif missing:
            fault = f"{request.method}: params lack {', '.join(missing)}"
        else:
            return
        raise Refusal(INVALID_PARAMS, fault, request.id)


def table(encoder: str | None, extra: Mapping[str, Method]) -> dict[str, Method]:
    """All methods by name. encoder: the name of the database's, for `info`; None without one."""
    methods = {name: _reading(name) for name in _READS}
    methods |= {name: _calling(name, Lane.WRITE) for name in _WRITES}
    methods |= {name: _calling(name, Lane.UPKEEP) for name in _UPKEEP}
    methods["stats"] = _calling("stats", Lane.READ)
    methods["documents"] = Method(Lane.READ, _documents, parameters_of(mvdb.Snapshot.documents))
    methods |= extra

    def info(db: mvdb.Database, params: dict[str, Any], watch: Watch) -> dict[str, Any]:
        about = {"protocol": PROTOCOL, "version": mvdb.__version__, "file": str(db.path)}
        about |= {"collection": db.name, "dim": db.dim, "bits": db.bits, "readonly": db.readonly}
        names = {name: list(method.parameters) for name, method in sorted(methods.items())}
        return {**about, "encoder": encoder, "methods": names}

    methods["info"] = Method(Lane.READ, info)
    return methods


_READS = (
    "search", "search_batch", "profile", "more_like", "rerank", "explain",
    "get", "vectors", "count", "facets", "tenants",
)  # fmt: skip
_WRITES = ("insert", "upsert", "update", "delete", "delete_tenant")
_UPKEEP = ("optimize", "compact", "backup", "verify")


def parameters_of(function: Callable[..., Any]) -> dict[str, bool]:
    """Whether each parameter of a method is required, by name; without those for hooks."""
    found: dict[str, bool] = {}
    for one in list(inspect.signature(function).parameters.values())[1:]:
        if one.kind is one.VAR_KEYWORD:  # the options of a search
            options = inspect.signature(mvdb.Snapshot.search).parameters.values()
            found |= {option.name: False for option in options if option.kind is one.KEYWORD_ONLY}
        elif one.name not in _HOOKS:
            found[one.name] = one.default is one.empty
    return found


def _reading(name: str) -> Method:
    """A method of snapshots. Texts of hits are read from the state that was searched."""
    function = getattr(mvdb.Snapshot, name)

    def run(db: mvdb.Database, params: dict[str, Any], watch: Watch) -> Any:
        with db.snapshot() as snapshot:
            call = getattr(snapshot, name)
            return plain(call(**_with_matrices(params), **_hooks(function, watch)))

    return Method(Lane.READ, run, parameters_of(function))


def _calling(name: str, lane: Lane) -> Method:
    """A method of databases."""
    function = getattr(mvdb.Database, name)

    def run(db: mvdb.Database, params: dict[str, Any], watch: Watch) -> Any:
        call = getattr(db, name)
        return plain(call(**_with_matrices(params), **_hooks(function, watch)))

    return Method(lane, run, parameters_of(function))


def _hooks(function: Callable[..., Any], watch: Watch) -> dict[str, Any]:
    """The arguments `progress` and `cancel` of a method that has them."""
    progress = watch.step if function is mvdb.Database.optimize else watch.numbers
    hooks = {"progress": progress, "cancel": watch.cancel}
    return {name: hook for name, hook in hooks.items() if name in _names(function)}


@cache
def _names(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def _documents(db: mvdb.Database, params: dict[str, Any], watch: Watch) -> dict[str, Any]:
    """A page: its documents, and whether there are more behind them."""
    limit = params.get("limit", DEFAULT_LIMIT)
    # One more than asked for tells whether there are more; any other limit is refused below.
    is_count = isinstance(limit, int) and not isinstance(limit, bool) and limit > 0
    limit = limit + 1 if is_count else limit
    found: list[dict[str, Any]] = []
    size = 0
    with db.snapshot() as snapshot:
        for document in snapshot.documents(**{**params, "limit": limit}):
            if len(found) + 1 == limit or size > PAGE_BYTES:
                return {"documents": found, "more": True}
            found.append(document.to_dict())
            size += _ENTRY_BYTES + len(document.text or "")
            size += len(json.dumps(document.metadata, default=dict))
    return {"documents": found, "more": False}


def _with_matrices(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters with arrays for nested lists of numbers."""
    made = dict(params)
    if isinstance(query := made.get("query"), list):
        made["query"] = _matrix("query", query)
    if isinstance(queries := made.get("queries"), list):
        made["queries"] = [
            _matrix(f"queries[{place}]", one) if isinstance(one, list) else one
            for place, one in enumerate(queries)
        ]
    if isinstance(embeddings := made.get("embeddings"), list):
        made["embeddings"] = (
            [_matrix(f"embeddings[{place}]", one) for place, one in enumerate(embeddings)]
            if isinstance(made.get("ids"), list)
            else _matrix("embeddings", embeddings)
        )
    return made


def _matrix(name: str, value: Any) -> Any:
    """Nested lists as an array; its shape and type are checked where it is used."""
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(f"{name}: rows of numbers, all of one length, needed") from error
    return array.astype(np.float32) if array.dtype.kind in "iu" else array


def plain(value: Any) -> Any:
    """A result as JSON values."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value
