"""Codebooks: the trained tables of a codec, stored and loaded.

Each has a number, `generation` in the code. A codebook may extend older ones: its centroids begin
with theirs. Codes and residuals of an older one stay valid, but codes of the newer one may have
more bytes. The tables of the older one are then removed. A segment names the codebook that encoded
it.

Table `centroids`, key: u32 codebook, u8 part, u32 index, big-endian. Values, little-endian, for K
centroids in G groups and vectors padded to P bytes:

    part 0  u32 dim, u32 bits, u64 seed of the rotation, u32 K, u32 G
    part 1  K * P bytes: centroids
    part 2  G * P bytes: mean of each group
    part 3  (G + 1) * u32: first member of each group; the last one is K
    part 4  SCALES * f32 a, SCALES * f32 b: tables of scales
    part 5  for each older codebook, ascending: u32 codebook, u32 centroids; absent without any
    part 6  K * u32: the centroids by group, each once; absent: in their order

Parts 1 to 4 and 6 are cut into extents of EXTENT_BYTES, index 0, 1, ...
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mvdb import core
from mvdb.errors import CorruptionError
from mvdb.storage import envelope
from mvdb.storage.environment import WriteTransaction
from mvdb.storage.format import Kind, Record
from mvdb.storage.invariants import require
from mvdb.storage.values import Values
from mvdb.threads.cached import cached

TABLE = "centroids"

# On disk: frozen, with the parts and their entries.
EXTENT_BYTES = (1 << 20) - 4096
_HEAD = Record("IIQII")
_ROWS, _GROUP_ROWS, _GROUP_STARTS, _SCALES, _EXTENDED, _MEMBERS = 1, 2, 3, 4, 5, 6
_EXTENDED_ENTRY = Record("II")

Extended = dict[int, int]
"""Number of centroids of each older codebook that one extends, by its number."""


@dataclass(frozen=True)
class Codebook:
    """A codebook in use. Immutable, shared by threads."""

    generation: int
    codec: core.Codec
    extends: Extended

    @cached
    def sizes(self) -> Extended:
        """Number of centroids of the codebook and of those that it extends, by their numbers."""
        return {**self.extends, self.generation: self.codec.n_centroids}


def store(txn: WriteTransaction, generation: int, spec: core.CodecSpec, extends: Extended) -> None:
    """Writes the tables of a codebook and which ones it extends."""
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
    if not np.array_equal(spec.members, np.arange(len(spec.rows))):
        runs[_MEMBERS] = spec.members.astype("<u4").tobytes()
    for part, run in runs.items():
        for index, at in enumerate(range(0, len(run), EXTENT_BYTES)):
            _put(txn, _key(generation, part, index), run[at : at + EXTENT_BYTES])


def delete(txn: WriteTransaction, generation: int) -> None:
    """Removes a codebook's tables."""
    txn.delete_prefix(TABLE, generation.to_bytes(4, "big"))


def load(txn: Values, generation: int, dim: int, bits: int) -> Codebook:
    """A codebook; CorruptionError when a part is missing or does not fit."""
    spec, where = load_spec(txn, generation), _where(generation)
    require(
        (spec.dim, spec.bits) == (dim, bits),
        where,
        f"dim {spec.dim} and bits {spec.bits}, the settings say {dim} and {bits}",
    )
    extends = _extended(txn, generation)
    for older, size in extends.items():
        require(size <= len(spec.rows), where, f"generation {older} has {size} centroids")
    return Codebook(generation, core.Codec(spec), extends)


def load_spec(txn: Values, generation: int) -> core.CodecSpec:
    """The tables of a codebook; CorruptionError when a part is missing or does not fit."""
    where = _where(generation)
    dim, bits, seed, n_rows, n_groups = _head(txn, generation)
    if not 1 <= dim <= core.MAX_DIM or n_rows < 1 or n_groups < 1:
        raise CorruptionError(f"{where}: impossible sizes in the head")
    padded = core.padded_dim(dim)

    def run(part: int, size: int) -> memoryview:
        indexes = range(-(-size // EXTENT_BYTES))
        data = b"".join(_get(txn, _key(generation, part, index)) for index in indexes)
        if len(data) != size:
            raise CorruptionError(f"{where}: part {part} has {len(data)} bytes, not {size}")
        return memoryview(data)

    rows = np.frombuffer(run(_ROWS, n_rows * padded), np.uint8)
    group_rows = np.frombuffer(run(_GROUP_ROWS, n_groups * padded), np.uint8)
    group_starts = np.frombuffer(run(_GROUP_STARTS, 4 * (n_groups + 1)), "<u4")
    members = np.arange(n_rows, dtype=np.uint32)
    if txn.get(TABLE, _key(generation, _MEMBERS)) is not None:
        members = np.frombuffer(run(_MEMBERS, 4 * n_rows), "<u4").astype(np.uint32)
    scales = np.frombuffer(run(_SCALES, 8 * core.SCALES), "<f4").astype(np.float32)
    return core.CodecSpec(
        dim=dim,
        bits=bits,
        seed=seed,
        rows=rows.reshape(n_rows, padded),
        group_rows=group_rows.reshape(n_groups, padded),
        group_starts=group_starts.astype(np.uint32),
        members=members,
        a_scales=scales[: core.SCALES].copy(),
        b_scales=scales[core.SCALES :].copy(),
    )


def centroid_count(txn: Values, generation: int) -> int:
    """Centroids of a codebook, from its head alone."""
    return _head(txn, generation)[3]


def valid_generations(txn: Values, generation: int) -> set[int]:
    """The numbers of the codebooks whose codes are valid in the codebook `generation`: itself and
    those that it extends. For 0, float16 vectors: 0 alone."""
    return {generation, *(_extended(txn, generation) if generation else ())}


def _head(txn: Values, generation: int) -> tuple[int, int, int, int, int]:
    """dim, bits, seed, centroids, groups."""
    head = _get(txn, _key(generation, 0))
    dim, bits, seed, n_rows, n_groups = _HEAD.unpack(head, _where(generation))
    return dim, bits, seed, n_rows, n_groups


def _extended(txn: Values, generation: int) -> Extended:
    key = _key(generation, _EXTENDED)
    if txn.get(TABLE, key) is None:
        return {}
    body, where = _get(txn, key), _where(generation)
    result: Extended = {}
    previous, least = 0, 1
    for older, size in _EXTENDED_ENTRY.unpack_all(body, where):
        if not previous < older < generation or size < least:
            raise CorruptionError(f"{where}: extends generation {older} of {size} centroids")
        result[older] = size
        previous, least = older, size
    return result


def _key(generation: int, part: int, index: int = 0) -> bytes:
    return generation.to_bytes(4, "big") + bytes((part,)) + index.to_bytes(4, "big")


def _put(txn: WriteTransaction, key: bytes, body: bytes) -> None:
    txn.put(TABLE, key, envelope.seal(Kind.CENTROIDS, key, body))


def _get(txn: Values, key: bytes) -> memoryview:
    where = _where(int.from_bytes(key[:4], "big"))
    value = txn.whole(TABLE, key)
    if value is None:
        raise CorruptionError(f"{where}: part {key[4]} is missing")
    return envelope.unseal(Kind.CENTROIDS, txn.scope + key, value, where)


def _where(generation: int) -> str:
    return f"centroids of generation {generation}"
