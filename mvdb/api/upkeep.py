"""The maintaining half of a database: numbers, optimisation, copies, verification."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from mvdb import arguments
from mvdb.api import collection_access
from mvdb.api.with_collections import WithCollections
from mvdb.codebook import codebook as codebooks
from mvdb.hooks import Cancel, Hooks, Progress
from mvdb.repair.verify import Checker
from mvdb.repair.verify_collections import check_file
from mvdb.state import encoder_identity, manifest, relevance_level, statistics
from mvdb.state.lexical_identity import check_lexical
from mvdb.threads import shield
from mvdb.types import Report, Stats

StepProgress = Callable[[str], object]
"""Called with the name of each piece of work."""


class Upkeep(WithCollections):
    """Numbers and maintenance of a database."""

    def stats(self) -> Stats:
        """Numbers about the database; see `Stats`. Takes milliseconds for a file of any size: no
        documents are read."""
        self._engine.check_open()
        with self._engine.environment.read() as txn:
            current = manifest.load(txn)
            generation = current.generation
            centroids = codebooks.centroid_count(txn, generation) if generation else 0
            encoder = encoder_identity.load(txn)
            relevance = relevance_level.load(txn)
            parts = statistics.by_part(txn)
            used = txn.used_bytes()
        file_bytes = self._engine.environment.size()
        stored = sum(info.n_tokens for info in current.segments)
        return Stats(
            documents=current.live_documents,
            tokens=current.live_tokens,
            dim=self.dim,
            bits=self._engine.settings.bits,
            segments=len(current.segments),
            centroids=centroids,
            trained_tokens=current.trained_tokens,
            deleted_share=1 - current.live_tokens / stored if stored else 0.0,
            drift=statistics.drift(current),
            bytes=parts,
            file_bytes=file_bytes,
            free_bytes=max(0, file_bytes - used),
            encoder=None if encoder is None else encoder.name,
            relevance_level=None if relevance is None else relevance.level,
            maintenance_error=self._engine.maintenance.error,
        )

    def optimize(
        self,
        progress: StepProgress | None = None,
        *,
        lexical: bool | str | Mapping[str, Any] | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Trains centroids if due, merges segments and drops the data of deleted documents; then
        measures the level of `Hit.relevance` if it is missing, or the documents doubled or halved.

        Works in steps: other writers run between two steps, readers never wait. Correct results do
        not depend on it.

        Args:
            progress: called with the name of each piece of work.
            lexical: how the words of texts are indexed from now on, as for `mvdb.open`; None: as
                before. The segments stored so far are written anew. Until then searches with
                `mode="lexical"` raise InvalidInputError; a later `optimize` goes on after an
                interruption.
            cancel: a `threading.Event`, or a function that gives a true value; the piece under way
                is then dropped, those before it stay, and CancelledError is raised.
        """
        self._engine.check_writable()
        arguments.function("progress", progress)
        check = Hooks.checked(None, cancel).check
        work = self._engine.maintenance.work(check_lexical(lexical), check)
        try:
            while (step := shield.run(lambda: next(work, None))) is not None:
                if progress is not None:
                    progress(step)
        finally:
            shield.run(work.close)

    def compact(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Rewrites the file to the smallest one: in place, atomically, or to `path`.

        Optimizes all collections first, unless `readonly`. In place, the file must not be open in
        another process, nor have open transactions or snapshots in this one; else BusyError. Raises
        InvalidInputError for the handle of a collection.

        Args:
            path: the new file, which must not exist; None: in place.
            progress: called while the file is written, several times a second, with the bytes
                written and those of the whole file, free pages included; at the end both are the
                size of the new file.
            cancel: a `threading.Event`, or a function; looked at as often. Once it is set, or gives
                a true value, the incomplete file is removed and CancelledError raised.
        """
        self._engine.check_open()
        hooks = Hooks.checked(progress, cancel)
        copy = None if path is None else arguments.file_path("path", path)
        registry = self._engine.registry
        if not self._engine.readonly:
            self.optimize(cancel=cancel)
            for engine in collection_access.all_of(self._engine):
                type(self)(engine).optimize(cancel=cancel)
        if copy is not None:
            self._engine.environment.copy(copy, hooks=hooks)
            return
        self._engine.check_writable()
        self._engine.cache.clear()
        registry.clear_caches()
        self._engine.environment.compact(hooks=hooks)

    def backup(
        self,
        path: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Writes a consistent copy of the present state of the file, with all collections, beside
        readers and a writer.

        `path` must not exist; the file appears when the copy is complete. `progress` and `cancel`
        as for `compact`."""
        self._engine.check_open()
        hooks = Hooks.checked(progress, cancel)
        self._engine.environment.copy(arguments.file_path("path", path), hooks=hooks)

    def verify(
        self,
        deep: bool = True,
        *,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> Report:
        """Checks the pages of the file, checksum and structure of every block, and the agreement of
        the tables; of all collections, or of a collection alone. Never writes. deep=False leaves
        out vectors, texts and metadata.

        If a page is damaged, the check ends after the pages: reading a damaged page could end the
        process.

        Args:
            deep: whether vectors, texts and metadata are read.
            progress: called after the pages, every 1,024 documents and at the end of each segment,
                with the documents checked and stored, deleted ones included.
            cancel: a `threading.Event`, or a function; once it is set, or gives a true value,
                CancelledError is raised.
        """
        self._engine.check_open()
        hooks = Hooks.checked(progress, cancel)
        deep = arguments.flag("deep", deep)
        problems = self._engine.environment.page_problems(hooks)
        if problems:
            return Report(tuple(f"pages: {problem}" for problem in problems), {}, 0, 0)
        with self._engine.environment.read() as txn:
            if self._engine.name is not None:
                return Checker(txn, self._engine.settings, hooks, deep=deep).run()
            return check_file(txn, self._engine.settings, hooks, deep=deep)
