"""Writers of the formats of other engines, from their descriptions and independent of the readers:
so the readers are tested where those engines are not installed."""

from __future__ import annotations

import json
import pickle
import sqlite3
import struct
import sys
import types
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Plaid:
    """Documents, compressed as ColBERTv2 describes it, number by number."""

    def __init__(self, documents: Sequence[Floats], bits: int = 4, centroids: int = 8) -> None:
        rng = np.random.default_rng(len(documents))
        flat = np.concatenate(documents)
        chosen = flat[rng.choice(len(flat), centroids, replace=len(flat) < centroids)]
        self.centroids = chosen / np.linalg.norm(chosen, axis=1, keepdims=True)
        self.centroids = self.centroids.astype(np.float16).astype(np.float32)
        self.lengths = [len(one) for one in documents]
        self.bits = bits
        codes = np.argmax(flat @ self.centroids.T, axis=1)
        residuals = flat - self.centroids[codes]
        steps = np.arange(1 << bits) / (1 << bits)
        self.cutoffs = np.quantile(residuals, steps[1:]).astype(np.float32)
        self.weights = np.quantile(residuals, steps + 0.5 / (1 << bits)).astype(np.float32)
        self.codes = codes
        self.buckets = np.searchsorted(self.cutoffs, residuals)
        self.packed = np.array([self._packed(row) for row in self.buckets], dtype=np.uint8)

    def _packed(self, buckets: Sequence[int]) -> list[int]:
        """A row's bytes: of each bucket the lowest bit first, from the highest bit of a byte on."""
        bits = [int(bucket) >> place & 1 for bucket in buckets for place in range(self.bits)]
        return [
            sum(bit << 7 - place for place, bit in enumerate(bits[start : start + 8]))
            for start in range(0, len(bits), 8)
        ]

    def decoded(self) -> list[Floats]:
        """What the index says each document is."""
        rows = self.centroids[self.codes].astype(np.float64) + self.weights[self.buckets]
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        ends = np.cumsum(self.lengths)
        return [
            rows[end - length : end].astype(np.float32)
            for end, length in zip(ends, self.lengths, strict=True)
        ]

    def chunks(self, documents: int) -> list[tuple[list[int], NDArray[Any], NDArray[Any]]]:
        """Lengths, codes and residuals of `documents` documents each."""
        ends = np.cumsum([0, *self.lengths])
        result = []
        for first in range(0, len(self.lengths), documents):
            last = min(first + documents, len(self.lengths))
            tokens = slice(ends[first], ends[last])
            result.append((self.lengths[first:last], self.codes[tokens], self.packed[tokens]))
        return result


def write_fast_plaid(
    folder: Path, index: Plaid, *, documents: int = 3, merged: bool = False
) -> Path:
    """A directory of fast-plaid, with `documents` documents in a chunk."""
    folder.mkdir(parents=True)
    np.save(folder / "centroids.npy", index.centroids.astype(np.float16))
    np.save(folder / "bucket_weights.npy", index.weights)
    np.save(folder / "bucket_cutoffs.npy", index.cutoffs)
    chunks = index.chunks(documents)
    for number, (lengths, codes, packed) in enumerate(chunks):
        (folder / f"doclens.{number}.json").write_text(json.dumps(lengths))
        if not merged:
            np.save(folder / f"{number}.codes.npy", codes.astype(np.int64))
            np.save(folder / f"{number}.residuals.npy", packed)
    if merged:
        np.save(folder / "merged_codes.npy", index.codes.astype(np.int64))
        np.save(folder / "merged_residuals.npy", index.packed)
        for name in ("codes", "residuals"):
            rows = {
                f"{number}.{name}.npy": {"rows": sum(lengths), "merged": True}
                for number, (lengths, _, _) in enumerate(chunks)
            }
            (folder / f"merged_{name}.manifest.json").write_text(json.dumps(rows))
    counts = {"num_documents": len(index.lengths), "num_embeddings": sum(index.lengths)}
    metadata = {"num_chunks": len(chunks), "nbits": index.bits, **counts}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return folder


def write_colbert(folder: Path, index: Plaid, *, documents: int = 3) -> Path:
    """A directory of Stanford's ColBERT."""
    folder.mkdir(parents=True)
    write_tensors(folder / "centroids.pt", index.centroids.astype(np.float16))
    write_tensors(folder / "avg_residual.pt", np.float32([0.1]))
    write_tensors(folder / "buckets.pt", index.cutoffs, index.weights)
    chunks = index.chunks(documents)
    offset = 0
    for number, (lengths, codes, packed) in enumerate(chunks):
        (folder / f"doclens.{number}.json").write_text(json.dumps(lengths))
        write_tensors(folder / f"{number}.codes.pt", codes.astype(np.int32))
        write_tensors(folder / f"{number}.residuals.pt", packed)
        about = {"passage_offset": offset, "num_passages": len(lengths)}
        (folder / f"{number}.metadata.json").write_text(json.dumps(about))
        offset += len(lengths)
    config = {"dim": index.centroids.shape[1], "nbits": index.bits}
    metadata = {"config": config, "num_chunks": len(chunks)}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return folder


_STORAGES = {"f4": "Float", "f2": "Half", "i4": "Int", "i8": "Long", "u1": "Byte"}


def write_tensors(path: Path, *arrays: NDArray[Any], compression: int = 0) -> None:
    """A tensor, or a tuple of them, as `torch.save` writes it."""
    described = b"".join(_tensor(str(key), array) for key, array in enumerate(arrays))
    if len(arrays) > 1:
        described = b"(" + described + b"t"
    write_archive(path, b"\x80\x02" + described + b".", arrays, compression)


def write_archive(
    path: Path, description: bytes, arrays: Sequence[NDArray[Any]], compression: int = 0
) -> None:
    """The zip archive of `torch.save` with any pickle as its description."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", description)
        archive.writestr("archive/byteorder", "little")
        for key, array in enumerate(arrays):
            archive.writestr(f"archive/data/{key}", np.ascontiguousarray(array).tobytes())


def _tensor(key: str, array: NDArray[Any]) -> bytes:
    """The pickled description of a contiguous tensor."""
    kind = _STORAGES[array.dtype.str[1:]]
    strides = [stride // array.itemsize for stride in np.ascontiguousarray(array).strides]
    storage = b"(%sctorch\n%sStorage\n%s%s%stQ" % (
        _text("storage"), kind.encode(), _text(key), _text("cpu"), _number(array.size)
    )  # fmt: skip
    shapes = b"".join(b"(" + b"".join(map(_number, some)) + b"t" for some in (array.shape, strides))
    hooks = b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00" + shapes + hooks + b"tR"


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _number(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)


def write_pylate_ids(folder: Path, ids: Mapping[int, Any], *, pickled: bool = True) -> None:
    """The map of PyLate: pickled as since 1.6, or as sqlitedict writes it."""
    if pickled:
        (folder / "plaid_ids_to_documents_ids.pkl").write_bytes(pickle.dumps(dict(ids)))
        return
    with closing(sqlite3.connect(folder / "plaid_ids_to_documents_ids.sqlite")) as database:
        database.execute("CREATE TABLE unnamed (key TEXT PRIMARY KEY, value BLOB)")
        rows = [(number, pickle.dumps(id)) for number, id in ids.items()]
        database.executemany("INSERT INTO unnamed VALUES (?, ?)", rows)
        database.commit()


def write_qdrant(
    folder: Path,
    points: Sequence[tuple[int | str, Any, dict[str, Any] | None]],
    vectors: Mapping[str, Any],
    name: str = "docs",
) -> Path:
    """A folder of Qdrant's local mode with one collection; points are written in turn."""
    module = types.ModuleType("qdrant_client.http.models.models")
    members = {"__module__": module.__name__, "__getstate__": _model_state}
    point_type = type("PointStruct", (), members)
    module.PointStruct = point_type  # type: ignore[attr-defined]
    parts = module.__name__.split(".")
    parents = [".".join(parts[:length]) for length in range(1, len(parts))]
    stood_in = {name: module for name in parents if name not in sys.modules}
    before = {name: one for name, one in sys.modules.items() if name == module.__name__}
    sys.modules.update({**stood_in, module.__name__: module})
    (folder / "collection" / name).mkdir(parents=True)
    meta = {"collections": {name: {"vectors": vectors}}, "aliases": {}}
    (folder / "meta.json").write_text(json.dumps(meta))
    path = folder / "collection" / name / "storage.sqlite"
    try:
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE points (id TEXT PRIMARY KEY, point BLOB)")
            for number, (id, vector, payload) in enumerate(points):
                point = point_type()
                point.__dict__ = {"id": id, "vector": vector, "payload": payload}
                raw = pickle.dumps(point, protocol=4)
                database.execute("INSERT INTO points VALUES (?, ?)", (f"k{number}", raw))
            database.commit()
    finally:
        for name in (*stood_in, module.__name__):
            del sys.modules[name]
        sys.modules.update(before)
    return folder


def _model_state(model: Any) -> dict[str, Any]:
    """What a model of pydantic gives to pickle."""
    return {
        "__dict__": dict(vars(model)),
        "__pydantic_extra__": None,
        "__pydantic_fields_set__": set(vars(model)),
        "__pydantic_private__": None,
    }


def write_chroma(
    folder: Path, records: Sequence[tuple[str, str | None, dict[str, Any]]], name: str = "notes"
) -> Path:
    """A folder of Chroma's persistent client with one collection."""
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as database:
        columns = "key TEXT, string_value TEXT, int_value INTEGER, float_value REAL"
        database.executescript(
            f"""
            CREATE TABLE collections (id TEXT PRIMARY KEY, name TEXT, dimension INTEGER);
            CREATE TABLE segments (id TEXT PRIMARY KEY, type TEXT, scope TEXT, collection TEXT);
            CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT, embedding_id TEXT,
                                     seq_id BLOB);
            CREATE TABLE embedding_metadata (id INTEGER, {columns}, bool_value INTEGER);
            CREATE TABLE embedding_metadata_array (id INTEGER, {columns}, bool_value INTEGER);
            CREATE TABLE embeddings_queue (seq_id INTEGER PRIMARY KEY, topic TEXT, id TEXT);
            CREATE TABLE max_seq_id (segment_id TEXT PRIMARY KEY, seq_id INTEGER);
            """
        )
        database.execute("INSERT INTO collections VALUES ('c', ?, 3)", (name,))
        for scope in ("VECTOR", "METADATA"):
            database.execute("INSERT INTO segments VALUES (?, '', ?, 'c')", (scope, scope))
        database.execute("INSERT INTO max_seq_id VALUES ('METADATA', ?)", (len(records),))
        for number, (id, text, metadata) in enumerate(records, start=1):
            row = (number, "METADATA", id, number)
            database.execute("INSERT INTO embeddings VALUES (?, ?, ?, ?)", row)
            every = metadata if text is None else {"chroma:document": text, **metadata}
            for key, value in every.items():
                table = "embedding_metadata" + ("_array" if isinstance(value, list) else "")
                for one in value if isinstance(value, list) else [value]:
                    kinds = (str, int, float, bool)
                    given = [one if type(one) is kind else None for kind in kinds]
                    database.execute(
                        f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?)", (number, key, *given)
                    )
        database.commit()
    return folder
