"""The kinds of sources, and how one is told from a path."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mvdb.errors import InvalidInputError, PathNotFoundError
from mvdb.importers import (
    arrow_files,
    chroma_folder,
    jsonl_file,
    lance_table,
    plaid_index,
    qdrant_folder,
)
from mvdb.importers.choices import Choices
from mvdb.importers.source import Source, read_json

_COLUMNS = ("id", "text", "vectors", "fields", "encode")
_OPENERS: dict[str, tuple[Callable[[Path, Choices], Source], tuple[str, ...]]] = {
    "fast-plaid": (plaid_index.open_fast_plaid, ()),
    "colbert": (plaid_index.open_colbert, ()),
    "lancedb": (lance_table.open_table, ("table", *_COLUMNS)),
    "qdrant": (qdrant_folder.open_folder, ("table", "text", "vectors", "encode")),
    "chroma": (chroma_folder.open_folder, ("table", "encode")),
    "jsonl": (jsonl_file.open_file, _COLUMNS),
    "parquet": (arrow_files.open_parquet, _COLUMNS),
    "datasets": (arrow_files.open_datasets, ("table", *_COLUMNS)),
}
KINDS = tuple(_OPENERS)
"""Names of the formats that can be imported."""
_JSONL = (".jsonl", ".ndjson", ".jsonl.gz", ".jsonl.zst")


def open_source(
    path: str | os.PathLike[str],
    kind: str | None = None,
    *,
    table: str | None = None,
    id: str | None = None,
    text: str | None = None,
    vectors: str | None = None,
    fields: Sequence[str] | None = None,
    encode: bool = False,
) -> Source:
    """Opens documents in another format.

    Args:
        path: the file or folder.
        kind: one of `KINDS`; None: told by the files that are there.
        table: the table, collection or split, where a source has several.
        id: the field of the ids; by default "id" or "_id". Without one, ids are row numbers.
        text: the field of the texts; by default "text".
        vectors: the field of the token vectors; by default "embeddings", "vectors" or "vector".
        fields: fields that become metadata; by default the content of a field "metadata", or
            without one all other fields.
        encode: leave out the vectors of the source, so that its texts are encoded.

    Raises:
        PathNotFoundError: there is no such path, or a file of an index directory is missing.
        InvalidInputError: the source is of no known kind, or malformed; the message names the file.
        ImportError: a library is missing; the message names the extra.
    """
    folder = Path(path)
    if not folder.exists():
        raise PathNotFoundError(f"{folder}: no such file or folder")
    kind = kind or _told(folder)
    if kind not in _OPENERS:
        raise InvalidInputError(f"kind: one of {', '.join(KINDS)} is needed, not {kind!r}")
    if isinstance(fields, str):
        raise InvalidInputError("fields: a sequence of names is needed, not one string")
    opener, understood = _OPENERS[kind]
    chosen = None if fields is None else tuple(fields)
    choices = Choices(table, id, text, vectors, chosen, encode)
    choices.refuse_all_but(understood, kind)
    return opener(folder, choices)


def _told(path: Path) -> str:
    """The kind of a source, by the names of its files."""
    name = path.name.lower()
    if path.is_file():
        if name.endswith(".parquet"):
            return "parquet"
        if name.endswith(_JSONL):
            return "jsonl"
    elif name.endswith(".lance") or any(path.glob("*.lance")):
        return "lancedb"
    elif (path / "chroma.sqlite3").is_file():
        return "chroma"
    elif (path / "meta.json").is_file() and (path / "collection").is_dir():
        return "qdrant"
    elif (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return "datasets"
    else:
        kind = _told_index(path)
        if kind is not None:
            return kind
    raise InvalidInputError(
        f"{path}: not told by its files what it is; name its kind with kind= (--from): "
        + ", ".join(KINDS)
    )


def _told_index(path: Path) -> str | None:
    """The kind of an index directory, which may be half missing."""
    folder = plaid_index.fast_plaid_folder(path)
    if (folder / "centroids.npy").is_file() or (folder / "bucket_weights.npy").is_file():
        return "fast-plaid"
    if (folder / "centroids.pt").is_file() or (folder / "buckets.pt").is_file():
        return "colbert"
    if (folder / "metadata.json").is_file():
        metadata = read_json(folder / "metadata.json", f"the index {folder}")
        return "colbert" if isinstance(metadata, dict) and "config" in metadata else "fast-plaid"
    return None
