"""Text collections in BEIR form, read from a folder outside the repository.

The folder is ``$MVDB_DATA`` or, without it, ``../shared/data`` beside the repository. Each
collection is a folder with ``corpus.jsonl`` (``{"_id", "title", "text"}`` a line),
``queries.jsonl`` (``{"_id", "text"}``), both optionally compressed (``.zst``), and ``qrels.tsv``
(header, then query-id, corpus-id, score).
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import zstandard

REPOSITORY = Path(__file__).resolve().parent.parent

# A subset is a run of lines of another collection, and the queries judged inside them. Nothing is
# tuned on wiki-30k: it tells what searches lose where they were not measured before.
SUBSETS: dict[str, tuple[str, slice]] = {
    "wiki-50k": ("wiki-200k", slice(50_000)),
    "wiki-30k": ("wiki-200k", slice(170_000, 200_000)),
}


@dataclass(frozen=True)
class Collection:
    """Documents, judged queries and judgements.

    ``ids[i]`` belongs to ``texts[i]`` and ``query_ids[i]`` to ``queries[i]``; ``qrels`` maps a
    query id to ``{document id: grade}`` (grades above 0 are relevant; grade 0 was judged
    irrelevant).
    """

    name: str
    ids: list[str]
    texts: list[str]
    query_ids: list[str]
    queries: list[str]
    qrels: dict[str, dict[str, int]]


def data_folder() -> Path:
    """The folder that holds the collections; it need not exist."""
    return Path(os.environ.get("MVDB_DATA") or REPOSITORY.parent / "shared" / "data")


def load_collection(name: str) -> Collection:
    """Read a collection of :func:`data_folder`, or one of ``SUBSETS``.

    Only queries with at least one relevant document in the collection are returned, in file order.

    Raises:
        FileNotFoundError: the folder or one of its files is missing.
    """
    source, lines = SUBSETS.get(name, (name, slice(None)))
    ids: list[str] = []
    texts: list[str] = []
    for record in islice(read_records(source, "corpus"), lines.start, lines.stop):
        ids.append(record["_id"])
        texts.append(document_text(record.get("title") or "", record["text"]))
    qrels = _read_qrels(data_folder() / source / "qrels.tsv", set(ids))
    judged = [record for record in read_records(source, "queries") if record["_id"] in qrels]
    query_ids = [record["_id"] for record in judged]
    return Collection(
        name=name,
        ids=ids,
        texts=texts,
        query_ids=query_ids,
        queries=[record["text"] for record in judged],
        qrels={query_id: qrels[query_id] for query_id in query_ids},
    )


def document_text(title: str, text: str) -> str:
    """Title and text as one string, as BEIR joins them."""
    return f"{title} {text}".strip()


def read_records(name: str, stem: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of ``stem.jsonl`` or ``stem.jsonl.zst`` of a collection of the folder.

    Raises:
        FileNotFoundError: the folder or the file is missing.
    """
    folder = data_folder() / name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no collection {name!r} in {data_folder()}; set MVDB_DATA to the folder of collections"
        )
    plain, compressed = folder / f"{stem}.jsonl", folder / f"{stem}.jsonl.zst"
    if plain.exists():
        with plain.open(encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines if line.strip())
        return
    with compressed.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as stream:
        for line in io.TextIOWrapper(stream, encoding="utf-8"):
            if line.strip():
                yield json.loads(line)


def _read_qrels(path: Path, known: set[str]) -> dict[str, dict[str, int]]:
    """Judgements of known documents, of the queries that have a relevant one among them."""
    qrels: dict[str, dict[str, int]] = {}
    with path.open(encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            query_id, document_id, grade = line.rstrip("\n").split("\t")
            if document_id in known:
                qrels.setdefault(query_id, {})[document_id] = int(grade)
    return {query_id: grades for query_id, grades in qrels.items() if max(grades.values()) > 0}
