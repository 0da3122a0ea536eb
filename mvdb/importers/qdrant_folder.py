"""Points of Qdrant's local mode (`QdrantClient(path=...)`), read without Qdrant.

A folder has meta.json, with the vectors of each collection, and `collection/NAME/storage.sqlite`,
with a table `points`: one pickled `PointStruct` in `point`. The pickle is read as data
(`mvdb.importers.pickle_values`), which qdrant-client itself does not do. Of several rows with
one id the last written one counts, as there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import InvalidInputError
from mvdb.importers import pickle_values
from mvdb.importers.choices import Choices, chosen_table
from mvdb.importers.source import BATCH_BYTES, Source, present, read_json, whole
from mvdb.importers.sqlite_file import read_only

_TEXTS = ("text", "document", "page_content")
_MAX_DIM = 4096
_POINTS = 500
"""Points of a batch at most."""


def open_folder(folder: Path, choices: Choices) -> Source:
    """A collection: its multivectors, payloads as metadata, and the payload's text."""
    part_of = f"the Qdrant folder {folder}"
    meta_path = folder / "meta.json"
    meta = read_json(meta_path, part_of)
    collections = meta.get("collections") if isinstance(meta, dict) else None
    if not isinstance(collections, dict):
        raise InvalidInputError(f"{meta_path}: collections: a JSON object is needed")
    name = chosen_table(list(collections), choices.table, str(folder))
    if Path(name).name != name:
        raise InvalidInputError(f"{meta_path}: {name!r:.80} is no name of a folder")
    storage = present(folder / "collection" / name / "storage.sqlite", part_of)
    collection = _Collection(storage, choices, f"{folder}, collection {name!r}")
    if not choices.encode:
        config = collections[name].get("vectors") if isinstance(collections[name], dict) else None
        collection.choose_vectors(config, meta_path)
    with read_only(storage) as database:
        (total,) = database.execute("SELECT count(*) FROM points").fetchone()
    source = Source("qdrant", collection.dim, total, lambda: collection.batches(source))
    return source


class _Collection:
    """The points of a collection. dim: of the chosen vectors; None: texts are to be encoded."""

    def __init__(self, storage: Path, choices: Choices, where: str) -> None:
        self._storage = storage
        self._choices = choices
        self._where = where
        self.dim: int | None = None
        self._vector: str | None = None

    def choose_vectors(self, config: Any, meta_path: Path) -> None:
        """Chooses the multivectors by name, or the only ones that there are."""
        if not isinstance(config, dict):
            raise InvalidInputError(f"{meta_path}: vectors of {self._where}: none")
        if "size" in config and not isinstance(config["size"], dict):
            named: dict[str | None, Any] = {None: config}
        else:
            named = dict(config)
        multi = {
            name: one["size"]
            for name, one in named.items()
            if isinstance(one, dict) and one.get("multivector_config") and "size" in one
        }
        choice = self._choices.vectors
        if choice is not None and choice not in multi:
            raise InvalidInputError(f"{self._where}: vectors: there are no multivectors {choice!r}")
        if choice is None and len(multi) != 1:
            names = ", ".join(map(repr, multi)) or "none; encode=True (--encode) encodes the texts"
            raise InvalidInputError(
                f"{self._where}: vectors: name multivectors with vectors= (--vectors): {names}"
            )
        self._vector = choice if choice is not None else next(iter(multi))
        self.dim = whole(multi[self._vector], meta_path, "size", 1, _MAX_DIM)

    def batches(self, source: Source) -> Iterator[dict[str, Any]]:
        source.skipped = 0
        seen: set[int | str] = set()
        batch: list[dict[str, Any]] = []
        tokens = 0
        for rowid, raw in self._rows():
            document = self._document(rowid, raw)
            if document["ids"] in seen:
                continue
            seen.add(document["ids"])
            if self.dim is None and not (document["texts"] or "").strip():
                source.skipped += 1
                continue
            if self.dim is not None and document["embeddings"] is None:
                source.skipped += 1
                continue
            batch.append(document)
            tokens += 0 if self.dim is None else len(document["embeddings"])
            if len(batch) == _POINTS or tokens * 4 * (self.dim or 0) >= BATCH_BYTES:
                yield {key: [one[key] for one in batch] for key in document}
                batch, tokens = [], 0
        if batch:
            yield {key: [one[key] for one in batch] for key in batch[0]}

    def _rows(self) -> Iterator[tuple[int, bytes]]:
        """Pickled points, the last written first."""
        below = 1 << 62
        while True:
            with read_only(self._storage) as database:
                rows = database.execute(
                    "SELECT rowid, length(point), id FROM points WHERE rowid < ? "
                    "ORDER BY rowid DESC LIMIT ?",
                    (below, _POINTS),
                ).fetchall()
                for rowid, length, _ in rows:
                    if not isinstance(length, int) or length > pickle_values.MAX_BYTES:
                        raise InvalidInputError(f"{self._place(rowid)}: too large a point")
                    (raw,) = database.execute(
                        "SELECT point FROM points WHERE rowid = ?", (rowid,)
                    ).fetchone()
                    if not isinstance(raw, bytes):
                        raise InvalidInputError(f"{self._place(rowid)}: not a point")
                    yield rowid, raw
            if len(rows) < _POINTS:
                return
            below = rows[-1][0]

    def _place(self, rowid: int) -> str:
        return f"{self._storage}: row {rowid}"

    def _document(self, rowid: int, raw: bytes) -> dict[str, Any]:
        """The arguments of insert for a point; embeddings None: it has none of the chosen."""
        try:
            point = pickle_values.read(raw)
        except pickle_values.UnreadablePickle as error:
            raise InvalidInputError(f"{self._place(rowid)}: {error}") from None
        state = point.state if isinstance(point, pickle_values.Made) else None
        fields = state.get("__dict__") if isinstance(state, dict) else None
        if not isinstance(fields, dict) or type(fields.get("id")) not in (int, str):
            raise InvalidInputError(f"{self._place(rowid)}: not a point of Qdrant")
        payload = fields.get("payload")
        if not isinstance(payload, (dict, type(None))):
            raise InvalidInputError(f"{self._place(rowid)}: its payload is no JSON object")
        payload = dict(payload or {})
        document: dict[str, Any] = {"ids": fields["id"]}
        names = _TEXTS if self._choices.text is None else (self._choices.text,)
        text = next((name for name in names if isinstance(payload.get(name), str)), None)
        document["texts"] = None if text is None else payload.pop(text)
        document["metadata"] = payload or None
        if self.dim is not None:
            document["embeddings"] = self._matrix(fields.get("vector"), rowid, len(raw))
        return document

    def _matrix(self, vector: Any, rowid: int, size: int) -> NDArray[np.float32] | None:
        """size: bytes of the pickle. A number takes one at least, unless rows are repeated by
        reference, as a hostile file may do and Qdrant does not."""
        if isinstance(vector, dict):
            vector = vector.get(self._vector)
        if vector is None or vector == []:
            return None
        dim = self.dim or 0
        fits = isinstance(vector, list) and len(vector) * dim <= size
        if fits and all(_is_vector(row, dim) for row in vector):
            try:
                return np.array(vector, dtype=np.float32)
            except OverflowError:  # an integer beyond all floats
                pass
        raise InvalidInputError(
            f"{self._place(rowid)}: its vectors are no list of vectors of {dim} dimensions"
        )


def _is_vector(row: Any, dim: int) -> bool:
    numbers = isinstance(row, list) and len(row) == dim
    return numbers and all(type(number) in (float, int) for number in row)
