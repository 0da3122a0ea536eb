"""`mvdb index` as a method of ``mvdb serve``: files and folders into the served database."""

from __future__ import annotations

from typing import Any

import mvdb
from mvdb import folders
from mvdb.encoders import Encoder
from mvdb.serving.methods import Lane, Method
from mvdb.serving.watch import Watch

_MOST_REASONS = 100


def index_method(encoder: Encoder | None) -> Method:
    """The method `index` with the parameters `sources`, a list of paths, and `prune`. Cancelled,
    it leaves what was stored so far; the next call goes on from there."""

    def run(db: mvdb.Database, params: dict[str, Any], watch: Watch) -> dict[str, Any]:
        sources, prune = params["sources"], params.get("prune", False)
        if not isinstance(sources, list) or not sources:
            raise mvdb.InvalidInputError("sources: a list of paths of files and folders is needed")
        if db.readonly:
            raise mvdb.ReadOnlyError(f"{db.path} is served with --readonly")
        if encoder is None:
            raise mvdb.InvalidInputError("index: the database is served without an encoder")
        step = ""

        def tell(progress: folders.Progress) -> None:
            nonlocal step
            if progress.step != step:
                step = progress.step
                watch.step(step)
            watch.numbers(progress.done, progress.total)

        report = folders.sync(db, sources, prune=prune, progress=tell, cancel=watch.cancel)
        del report.refusals[_MOST_REASONS:]
        return report.to_dict()

    return Method(Lane.WRITE, run, {"sources": True, "prune": False})
