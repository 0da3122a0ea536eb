"""MTEB: `MvdbSearch`, which answers the queries of MTEB's retrieval tasks from an mvdb file.

Needs MTEB, extra `mteb`. Written after `mteb/models/models_protocols.py` of MTEB 2.26.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mvdb.integrations.requirement import MTEB

MTEB.check()

from mteb.models import ModelMeta  # noqa: E402
from mteb.models.model_meta import ScoringFunction  # noqa: E402

import mvdb  # noqa: E402
from mvdb.encoders import Encoder  # noqa: E402
from mvdb.errors import InvalidInputError, shown  # noqa: E402

_BATCH = 256
"""Documents per call of the encoder's side: some hundred texts fill its batches."""


class MvdbSearch:
    """An encoder and mvdb as MTEB's `SearchProtocol`: `mteb.evaluate(MvdbSearch(encoder), tasks)`.

    Each subset and split of a task has a file of its own. With a folder the files stay: an
    interrupted evaluation resumes, and a later one encodes queries alone. Texts of documents are
    title and text with a blank between them, as MTEB joins them.

    Args:
        encoder: of documents and queries (`mvdb.encoders`).
        folder: of the files; made if it does not exist. None: a temporary folder.
        bits: bits per dimension of the files, as for `mvdb.open`.
        mode: of each search, as for `mvdb.Database.search`. "dense": MaxSim alone.
        exact, nprobe, candidates: of each search; part of the name under which MTEB files results,
            as `bits` and `mode` are.
        meta: what MTEB is told of the model; None: the encoder's name behind "mvdb/", its revision
            if it has one, and its dimension.

    Raises ImportError: MTEB is not installed, or of an unsupported version; at the import.
    """

    def __init__(
        self,
        encoder: Encoder,
        folder: str | os.PathLike[str] | None = None,
        *,
        bits: int = 4,
        mode: str = "dense",
        exact: bool = False,
        nprobe: int | None = None,
        candidates: int | None = None,
        meta: ModelMeta | None = None,
    ) -> None:
        self._encoder = encoder
        self._temporary = TemporaryDirectory() if folder is None else None
        self._folder = Path(folder or "" if self._temporary is None else self._temporary.name)
        self._bits = bits
        self._mode = mode
        self._options: dict[str, Any] = {
            "exact": exact,
            "nprobe": nprobe,
            "candidates": candidates,
        }
        self._meta = meta or self._described()
        self._database: mvdb.Database | None = None
        self._task = ""

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """What MTEB is told of the model."""
        return self._meta

    def close(self) -> None:
        """Closes the file of the last task; removes the temporary folder, if there is one."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._temporary is not None:
            self._temporary.cleanup()

    def index(
        self,
        corpus: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        encode_kwargs: Mapping[str, Any],
        num_proc: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Stores the documents of a task that its file does not have, and removes those that the
        task does not have. A stored document keeps its vectors.

        Args:
            corpus: a data set with the columns `id`, `text` and, if there are titles, `title`.
            task_metadata, hf_split, hf_subset: the task, which names the file.
            encode_kwargs, num_proc, kwargs: ignored; the encoder has its own batch size.

        Raises InvalidInputError for a corpus without texts, and as `mvdb.open` and
        `mvdb.Database.insert_batches` do."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if "text" not in corpus.column_names:
            raise InvalidInputError(
                f"{task_metadata.name}: documents without a text; the columns are "
                f"{', '.join(corpus.column_names)}"
            )
        self._task = f"{task_metadata.name}-{hf_subset}-{hf_split}"
        self._folder.mkdir(parents=True, exist_ok=True)
        database = mvdb.open(
            self._folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', self._task)}.mvdb",
            bits=self._bits,
            encoder=self._encoder,
            lexical=self._mode != "dense",
        )
        try:
            database.insert_batches(_batches(corpus), total=len(corpus))
            names = set(map(str, corpus["id"]))
            gone = [id for id in database.ids() if id not in names]
            if gone:
                database.delete(gone)
        except BaseException:
            database.close()
            raise
        self._database = database

    def search(
        self,
        queries: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        top_k: int,
        encode_kwargs: Mapping[str, Any],
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        num_proc: int | None = None,
        **kwargs: Any,
    ) -> dict[str, dict[str, float]]:
        """Score by document, by query.

        Args:
            queries: a data set with the columns `id`, `text` and, if there are some, `instruction`,
                which follows the text.
            task_metadata, hf_split, hf_subset: the task that was indexed last.
            top_k: documents of each query, at most.
            top_ranked: ids of documents by query: these alone are scored, by MaxSim.
            encode_kwargs, num_proc, kwargs: ignored.

        Raises InvalidInputError when another task was indexed last, or for a query that is no str;
        and as `mvdb.Database.search` does."""
        if self._database is None or self._task != f"{task_metadata.name}-{hf_subset}-{hf_split}":
            raise InvalidInputError(
                f"{task_metadata.name}: call index() for {hf_subset}, {hf_split} before search()"
            )
        names, texts = [str(name) for name in queries["id"]], _query_texts(queries)
        with self._database.snapshot() as snapshot:
            if top_ranked is None:
                found = snapshot.search_batch(
                    texts, top_k, mode=self._mode, fields=(), **self._options
                )
            else:
                found = [
                    snapshot.rerank(text, list(top_ranked.get(name, ())), top_k)
                    for name, text in zip(names, texts, strict=True)
                ]
        return {
            name: {str(hit.id): hit.score for hit in hits}
            for name, hits in zip(names, found, strict=True)
        }

    def _described(self) -> ModelMeta:
        settings = {"bits": self._bits, "mode": self._mode, **self._options}
        return ModelMeta.create_empty(
            {
                "name": "mvdb/" + self._encoder.name.replace("/", "__"),
                "revision": getattr(self._encoder, "revision", None),
                "embed_dim": self._encoder.dim,
                "similarity_fn_name": ScoringFunction.MAX_SIM,
                "model_type": ["late-interaction"],
                "experiment_kwargs": {
                    name: value for name, value in settings.items() if value is not None
                },
            }
        )


def _batches(corpus: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, list[str]]]:
    rows = iter(corpus)
    while batch := list(islice(rows, _BATCH)):
        yield {
            "ids": [str(row["id"]) for row in batch],
            "texts": [f"{row.get('title') or ''} {row['text'] or ''}".strip() for row in batch],
        }


def _query_texts(queries: Any) -> list[str]:
    if "text" not in queries.column_names:
        raise InvalidInputError(
            f"queries without a text; the columns are {', '.join(queries.column_names)}"
        )
    texts = []
    for row in queries:
        if not isinstance(row["text"], str):
            raise InvalidInputError(
                f"query {row['id']!r}: a str is needed, not {shown(row['text'])}; conversations "
                "are not supported"
            )
        texts.append(" ".join(filter(None, (row["text"], row.get("instruction")))))
    return texts
