"""Bytes of a file by part, from the sizes in LMDB's pages; drift of the codebook."""

from __future__ import annotations

from mvdb.codebook import codebook as codebooks
from mvdb.documents import id_table
from mvdb.segment import layout
from mvdb.segment.layout import Part
from mvdb.state import tombstones
from mvdb.state.manifest import Manifest
from mvdb.storage.environment import ReadTransaction
from mvdb.storage.lmdb.tree_sizes import Size

_PART_BYTES = len(layout.segment_prefix(0)) + 1
"""Of a key: the number of the segment, and the part."""


def by_part(txn: ReadTransaction) -> dict[str, int]:
    """Bytes: for each part of segments, unpublished ones included, of its values; for the tables of
    tombstones and centroids, of keys and values; for the table of ids, of its pages.

    A part of very many values is estimated from an even sample of them."""
    sizes = [0.0] * 256  # by the number of the part
    for prefix, size in txn.sizes(layout.TABLE, _PART_BYTES).items():
        sizes[prefix[-1]] += size.values
    result = {part.name.lower(): round(sizes[part]) for part in Part}
    result[f"table_{id_table.TABLE}"] = txn.table_bytes(id_table.TABLE)
    for table in (tombstones.TABLE, codebooks.TABLE):
        all_of = txn.sizes(table).get(b"", Size())
        result[f"table_{table}"] = round(all_of.keys + all_of.values)
    return result


def drift(current: Manifest) -> float:
    """Mean residual length of the stored documents, relative to that at training time."""
    tokens = sum(info.n_tokens for info in current.segments if info.generation)
    if not tokens or not current.trained_residual:
        return 1.0
    total = sum(info.residual_sum for info in current.segments if info.generation)
    return total / tokens / current.trained_residual
