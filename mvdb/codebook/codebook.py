"""Centroid generations: the trained tables of a codec, as stored and as used.

Table `centroids`, key: generation u32 · part u8 · index u32, big-endian. The values by part:

    0   head: dim u32 · bits u32 · seed u64 · centroids u32 · groups u32
    1   rows of the centroids, int8, padded   ┐
    2   rows of the groups, int8, padded      │ runs of bytes, cut into extents
    3   first centroid of each group, u32     │
    4   scales a, then b, float32             ┘
    5   what it extends: (generation u32 · its centroids u32) for each; none: no value

A generation extends another by adding centroids behind its own: what was encoded with the old one
is valid with the new one, but for the bytes of a code. Only the newest generation is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mvdb import core
from mvdb.errors import CorruptionError
from mvdb.storage import envelope
from mvdb.storage.environment import ReadTransaction, WriteTransaction
from mvdb.storage.format import Kind, Record
from mvdb.storage.invariants import require

TABLE = "centroids"
EXTENT_BYTES = (1 << 20) - 4096

# On disk: frozen, with the parts and their entries.
_HEAD = Record("IIQII")
_ROWS, _GROUP_ROWS, _GROUP_STARTS, _SCALES, _EXTENDED = 1, 2, 3, 4, 5
_EXTENDED_ENTRY = Record("II")

Extended = dict[int, int]
"""Generations that one extends, and how many centroids each had."""


def _key(generation: int, part: int, index: int = 0) -> bytes:
    return generation.to_bytes(4, "big") + bytes((part,)) + index.to_bytes(4, "big")


def _put(txn: WriteTransaction, key: bytes, body: bytes) -> None:
    txn.put(TABLE, key, envelope.seal(Kind.CENTROIDS, key, body))


def _get(txn: ReadTransaction, key: bytes) -> memoryview:
    where = _where(int.from_bytes(key[:4], "big"))
    value = txn.get(TABLE, key)
    if value is None:
        raise CorruptionError(f"{where}: part {key[4]} is missing")
    return envelope.unseal(Kind.CENTROIDS, key, value, where)


def store(txn: WriteTransaction, generation: int, spec: core.CodecSpec, extends: Extended) -> None:
    """Writes the tables of a generation and which ones it extends."""
    if extends:
        _put(txn, _key(generation, _EXTENDED), _EXTENDED_ENTRY.pack_all(sorted(extends.items())))
    head = _HEAD.pack(spec.dim, spec.bits, spec.seed, len(spec.rows), len(spec.group_rows))
    _put(txn, _key(generation, 0), head)
    runs = {
        _ROWS: spec.rows.tobytes(),
        _GROUP_ROWS: spec.group_rows.tobytes(),
        _GROUP_STARTS: spec.group_starts.astype("<u4").tobytes(),
        _SCALES: spec.a_scales.astype("<f4").tobytes() + spec.b_scales.astype("<f4").tobytes(),
    }
    for part, run in runs.items():
        for index, at in enumerate(range(0, len(run), EXTENT_BYTES)):
            _put(txn, _key(generation, part, index), run[at : at + EXTENT_BYTES])


def _run_sizes(dim: int, n_rows: int, n_groups: int) -> dict[int, int]:
    """Bytes of each run of a generation."""
    padded = core.padded_dim(dim)
    return {
        _ROWS: n_rows * padded,
        _GROUP_ROWS: n_groups * padded,
        _GROUP_STARTS: 4 * (n_groups + 1),
        _SCALES: 8 * core.SCALES,
    }


@dataclass(frozen=True)
class Codebook:
    """A generation's codec, its tables, and the generations that it extends."""

    generation: int
    codec: core.Codec
    extends: Extended

    @cached_property
    def sizes(self) -> Extended:
        """Centroids of each generation of the codebook."""
        return {**self.extends, self.generation: self.codec.n_centroids}


def load(txn: ReadTransaction, generation: int, dim: int, bits: int) -> Codebook:
    """A generation; CorruptionError when a part is missing or does not fit."""
    spec = load_spec(txn, generation)
    require(
        (spec.dim, spec.bits) == (dim, bits),
        _where(generation),
        f"dim {spec.dim} and bits {spec.bits}, the settings say {dim} and {bits}",
    )
    extends = _extended(txn, generation)
    for older, size in extends.items():
        fits = size <= len(spec.rows)
        require(fits, _where(generation), f"generation {older} has {size} centroids")
    return Codebook(generation, core.Codec(spec), extends)


def members(txn: ReadTransaction, generation: int) -> set[int]:
    """The generations whose segments are like new ones: those that `generation`, the current one,
    extends, and itself."""
    return {generation, *(_extended(txn, generation) if generation else ())}


def _where(generation: int) -> str:
    return f"centroids of generation {generation}"


def _extended(txn: ReadTransaction, generation: int) -> Extended:
    key = _key(generation, _EXTENDED)
    if txn.get(TABLE, key) is None:
        return {}
    body = _get(txn, key)
    where = _where(generation)
    result: Extended = {}
    previous, least = 0, 1
    for older, size in _EXTENDED_ENTRY.unpack_all(body, where):
        if not previous < older < generation or size < least:
            raise CorruptionError(f"{where}: extends generation {older} of {size} centroids")
        result[older] = size
        previous, least = older, size
    return result


def centroid_count(txn: ReadTransaction, generation: int) -> int:
    """Centroids of a generation, from its head alone."""
    return int(_head(txn, generation)[3])


def _head(txn: ReadTransaction, generation: int) -> tuple[int, ...]:
    """dim, bits, seed, centroids, groups."""
    return _HEAD.unpack(_get(txn, _key(generation, 0)), _where(generation))


def load_spec(txn: ReadTransaction, generation: int) -> core.CodecSpec:
    """The tables of a generation; CorruptionError when a part is missing or does not fit."""
    where = _where(generation)
    dim, bits, seed, n_rows, n_groups = _head(txn, generation)
    if not 1 <= dim <= core.MAX_DIM or n_rows < 1 or n_groups < 1:
        raise CorruptionError(f"{where}: impossible sizes in the head")
    padded = core.padded_dim(dim)
    sizes = _run_sizes(dim, n_rows, n_groups)

    def run(part: int) -> memoryview:
        size = sizes[part]
        count = -(-size // EXTENT_BYTES)
        data = b"".join(_get(txn, _key(generation, part, index)) for index in range(count))
        if len(data) != size:
            raise CorruptionError(f"{where}: part {part} has {len(data)} bytes, not {size}")
        return memoryview(data)

    scales = np.frombuffer(run(_SCALES), "<f4").astype(np.float32)
    return core.CodecSpec(
        dim=dim,
        bits=bits,
        seed=seed,
        rows=np.frombuffer(run(_ROWS), np.uint8).reshape(n_rows, padded),
        group_rows=np.frombuffer(run(_GROUP_ROWS), np.uint8).reshape(n_groups, padded),
        group_starts=np.frombuffer(run(_GROUP_STARTS), "<u4").astype(np.uint32),
        a_scales=scales[: core.SCALES].copy(),
        b_scales=scales[core.SCALES :].copy(),
    )


def copy(source: ReadTransaction, target: WriteTransaction, generation: int) -> None:
    """Copies the tables of a generation, which `load` has accepted, into another file."""
    dim, _, _, n_rows, n_groups = _head(source, generation)
    _put(target, _key(generation, 0), bytes(_get(source, _key(generation, 0))))
    extended = _key(generation, _EXTENDED)
    if source.get(TABLE, extended) is not None:
        _put(target, extended, bytes(_get(source, extended)))
    for part, size in _run_sizes(dim, n_rows, n_groups).items():
        for index in range(-(-size // EXTENT_BYTES)):
            key = _key(generation, part, index)
            _put(target, key, bytes(_get(source, key)))


def delete(txn: WriteTransaction, generation: int) -> None:
    """Removes a generation's tables."""
    txn.delete_prefix(TABLE, generation.to_bytes(4, "big"))
