"""`mvdb index` as a method of ``mvdb serve``: files and folders into the served database."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import mvdb
from mvdb.cli.console import Console
from mvdb.cli.indexing.counts import Counts
from mvdb.cli.indexing.sync import FileSync
from mvdb.cli.indexing.target import Target
from mvdb.encoders import Encoder
from mvdb.serving.methods import Lane, Method
from mvdb.serving.watch import Watch

MOST_BYTES = 16 << 20
"""Of a file, as by default in the command."""
_MOST_REASONS = 100


class _Reasons(Console):
    """Keeps the reasons for which files were skipped, for the answer."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.kept: list[str] = []

    def warn(self, message: str) -> None:
        if len(self.kept) < _MOST_REASONS:
            self.kept.append(message)


def index_method(encoder: Encoder | None, collection: str | None) -> Method:
    """The method `index` with the parameters `sources`, a list of paths, and `prune`. Cancelled,
    it leaves what was stored so far; the next call goes on from there."""

    def run(db: mvdb.Database, params: dict[str, Any], watch: Watch) -> dict[str, Any]:
        sources, prune = _sources(params["sources"]), params.get("prune", False)
        if not isinstance(prune, bool):
            raise mvdb.InvalidInputError("prune: true or false is needed")
        if db.readonly:
            raise mvdb.ReadOnlyError(f"{db.path} is served with --readonly")
        if encoder is None:
            raise mvdb.InvalidInputError("index: the database is served without an encoder")
        counts, reasons = Counts(), _Reasons()

        def update(done: int, total: int | None, note: str) -> None:
            watch.numbers(done, total)
            if watch.cancel.is_set():
                raise mvdb.CancelledError("the call was cancelled; what it has stored stays")

        with closing(Target(db.path, encoder, None, collection)) as target:
            sync = FileSync(target, reasons, counts, MOST_BYTES)
            sync.index(sources, update)
            if prune:
                sync.prune(sources)
            counts.tokens = target.tokens
        return {**counts.as_json(db.path), "skipped": reasons.kept}

    return Method(Lane.WRITE, run, {"sources": True, "prune": False})


def _sources(value: Any) -> list[Path]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise mvdb.InvalidInputError("sources: a list of paths of files and folders is needed")
    for one in value:
        if not one or "\0" in one or not Path(one).exists():
            raise mvdb.PathNotFoundError(f"sources: {one!r}: no such file or folder")
    return [Path(one) for one in value]
