"""Sizes of the entries of a table, from the pages of its B-tree: no large value is read.

1. The record of the table in LMDB's main tree (`MDB_db`) names the root page and the depth.
2. Branch pages (`MDB_node` with a child's page number) give the leaves in order, each with the
   least key that it may hold.
3. A leaf's nodes hold the sizes of keys and values, also of values on pages of their own.
4. Of a run of more than SAMPLED leaves that hold keys of one prefix only, SAMPLED, evenly spread,
   are read, and the others taken to hold as much on average. So what is read does not grow with
   the values, but with the number of prefixes.

The pages of a level are prefetched together, so that a device reads them at once, and decoded
together. The layouts are part of LMDB's file format (data version 1). Pages were checked when the
file was opened; what would lead outside a page or the file is refused here all the same.
"""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import CorruptionError
from mvdb.storage.key_space import MARK
from mvdb.storage.lmdb import pages
from mvdb.storage.lmdb.overflow_values import map_begin
from mvdb.storage.read_ahead import will_read

SAMPLED: Final = 16

_HEADER_BYTES: Final = pages.HEADER.size
_NODE_BYTES: Final = pages.NODE.size
_DEEPEST: Final = 32

Numbers = NDArray[np.int64]
Prefixes = NDArray[np.uint8]


@dataclass(slots=True)
class Size:
    """Bytes of keys and of values."""

    keys: float = 0.0
    values: float = 0.0

    def add(self, keys: float, values: float) -> None:
        self.keys += keys
        self.values += values


@dataclass(frozen=True)
class _Nodes:
    """All nodes of some pages, page by page: the index of the page (n,), the node's four numbers
    (n, 4) and what its key begins with (n, width); is_first: it is the first of its page (n,)."""

    page: Numbers
    heads: Numbers
    prefixes: Prefixes
    is_first: NDArray[np.bool_]


def supports(page_size: int) -> bool:
    """Whether pages of this size can be found in the map, which begins on a page of the system."""
    return pages.READABLE_IN_MEMORY and mmap.PAGESIZE % page_size == 0


class _Spaces:
    """Membership of keys in one key space, or in any (scope None)."""

    def __init__(self, scope: bytes | None) -> None:
        self._is_any = scope is None
        self._length = len(scope) if scope else 1
        # Numbers whose order is that of the bytes.
        self._first = int.from_bytes(scope, "big") if scope else 0
        self._last = self._first if scope else MARK[0] - 1

    def _numbers(self, prefixes: Prefixes) -> Numbers:
        places = 8 * np.arange(self._length - 1, -1, -1)
        numbers: Numbers = (prefixes[:, : self._length].astype(np.int64) << places).sum(axis=1)
        return numbers

    def hold(self, prefixes: Prefixes) -> NDArray[np.bool_]:
        """Whether each key is in the key space."""
        numbers = self._numbers(prefixes)
        return self._is_any | ((numbers >= self._first) & (numbers <= self._last))

    def may_hold(self, least: Prefixes, is_known: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether pages may hold keys of the key space, given the least key of each, in order."""
        from_here = np.where(is_known, self._numbers(least), 0)
        to_there = np.append(from_here[1:], np.iinfo(np.int64).max)
        return self._is_any | ((from_here <= self._last) & (to_there >= self._first))


def _summed(
    prefixes: Prefixes, keys: NDArray[np.float64], values: NDArray[np.float64]
) -> dict[bytes, Size]:
    """Sums by prefix. Keys are in order, so those of a prefix are adjacent."""
    changes = (prefixes[1:] != prefixes[:-1]).any(axis=1)
    firsts = np.concatenate([[0], np.nonzero(changes)[0] + 1])
    key_sums = np.add.reduceat(keys, firsts).tolist()
    value_sums = np.add.reduceat(values, firsts).tolist()
    return {
        prefixes[first].tobytes(): Size(key_sums[i], value_sums[i])
        for i, first in enumerate(firsts.tolist())
    }


def _sampled(
    numbers: Numbers, least: Prefixes, is_known: NDArray[np.bool_]
) -> tuple[Numbers, NDArray[np.float64]]:
    """An even sample of each long run of leaves with one prefix; how many each stands for."""
    # A leaf holds one prefix when the next one begins with the same; the last may hold more.
    inside = np.zeros(len(numbers), bool)
    inside[:-1] = is_known[:-1] & (least[1:] == least[:-1]).all(axis=1)
    weights = np.ones(len(numbers))
    ends = [*(np.nonzero(np.diff(inside))[0] + 1).tolist(), len(numbers)]
    for begin, end in zip([0, *ends[:-1]], ends, strict=True):
        count = end - begin
        if count and inside[begin] and count > SAMPLED:
            weights[begin:end] = 0
            weights[begin + np.arange(SAMPLED) * count // SAMPLED] = count / SAMPLED
    return numbers[weights > 0], weights[weights > 0]


class Tree:
    """The B-tree of one table as a read transaction sees it.

    txn: of py-lmdb, read-only, with buffers. page_size, last_page: of its environment."""

    def __init__(self, txn: Any, table: str, page_size: int, last_page: int) -> None:
        self._table = table
        self._page_size = page_size
        self._last_page = last_page
        record = txn.get(table.encode("ascii"))
        if record is None or len(record) != pages.TABLE.size:
            raise self._damaged("no record of it in the main tree")
        _, _, self._depth, *_, self._root = pages.TABLE.unpack(record)
        if self._depth > _DEEPEST:
            raise self._damaged(f"its tree has {self._depth} levels")
        self._begin = map_begin(record, page_size)

    def _damaged(self, what: str) -> CorruptionError:
        return CorruptionError(f"table {self._table}: {what}")

    def sizes(self, length: int, scope: bytes | None = None) -> dict[bytes, Size]:
        """By the first `length` bytes of the keys, which have at least as many. scope: only of the
        keys of this key space, and by their bytes behind it; None: of all."""
        if self._depth == 0:
            return {}
        before = len(scope or b"")
        spaces = _Spaces(scope)
        width = before + length if scope is None else max(1, before + length)
        numbers, weights = self._leaves(width, spaces)
        if not len(numbers):
            return {}
        nodes = self._read(numbers, pages.LEAF, width)
        own = spaces.hold(nodes.prefixes)
        heads, prefixes = nodes.heads[own], nodes.prefixes[own, before : before + length]
        if not len(heads):
            return {}
        if bool((heads[:, 3] < before + length).any()):
            raise self._damaged("a key is too short")
        weight = weights[nodes.page[own]]
        return _summed(prefixes, weight * heads[:, 3], weight * (heads[:, 0] | heads[:, 1] << 16))

    def _leaves(self, width: int, spaces: _Spaces) -> tuple[Numbers, NDArray[np.float64]]:
        """Pages of the leaves that are to be read, and how many each stands for."""
        numbers = np.array([self._root], np.uint64).astype(np.int64)
        least, is_known = np.zeros((1, width), np.uint8), np.zeros(1, bool)
        for _ in range(self._depth - 1):
            nodes = self._read(numbers, pages.BRANCH, width)
            # The first node of a branch page has no key: what is under it begins where that does.
            known = np.ones(len(nodes.page), bool)
            nodes.prefixes[nodes.is_first], known[nodes.is_first] = least, is_known
            heads = nodes.heads
            numbers = heads[:, 0] | heads[:, 1] << 16 | heads[:, 2] << 32
            kept = spaces.may_hold(nodes.prefixes, known)
            numbers, least, is_known = numbers[kept], nodes.prefixes[kept], known[kept]
            if not len(numbers):
                break
        return _sampled(numbers, least, is_known)

    def _read(self, numbers: Numbers, kind: int, width: int) -> _Nodes:
        """The nodes of pages of a kind; all are inside their pages."""
        size = self._page_size
        if len(numbers) > self._last_page or not bool(
            ((numbers >= pages.META_PAGES) & (numbers <= self._last_page)).all()
        ):
            raise self._damaged("its tree leads outside of the file")
        self._prefetch(numbers)
        data = np.empty((len(numbers), size), np.uint8)
        target = data.ctypes.data
        for place, number in enumerate(numbers.tolist()):
            ctypes.memmove(target + place * size, self._begin + number * size, size)
        words = data.view("<u2")
        lower = words[:, 6].astype(np.int64)
        if bool(
            (data.view("<u8")[:, 0] != numbers.astype(np.uint64)).any()
            | (words[:, 5] & (pages.BRANCH | pages.LEAF) != kind).any()
            | (lower <= _HEADER_BYTES).any()
            | (lower > size).any()
            | (lower % 2).any()
        ):
            raise self._damaged("a page of its tree is damaged")
        counts = (lower - _HEADER_BYTES) // 2
        index = np.arange(int(counts.max()))
        page, at = np.nonzero(index < counts[:, None])
        nodes = words[page, _HEADER_BYTES // 2 + at].astype(np.int64)
        if bool((nodes % 2).any() | (nodes > size - _NODE_BYTES).any()):
            raise self._damaged("a node lies outside of its page")
        is_first = at == 0
        begins = page * size + nodes
        heads = words.reshape(-1)[begins[:, None] // 2 + np.arange(4)].astype(np.int64)
        has_key = ~is_first if kind == pages.BRANCH else np.ones(len(page), bool)
        if bool((has_key & (nodes + _NODE_BYTES + heads[:, 3] > size)).any()):
            raise self._damaged("a key lies outside of its page")
        # A shorter key is filled with zeros, which keeps the order.
        within = has_key[:, None] & (np.arange(width) < heads[:, 3, None])
        keys = begins[:, None] + _NODE_BYTES + np.arange(width)
        prefixes = np.zeros((len(page), width), np.uint8)
        prefixes[within] = data.reshape(-1)[keys[within]]
        return _Nodes(page, heads, prefixes, is_first)

    def _prefetch(self, numbers: Numbers) -> None:
        """Has the system read these pages, without waiting for them."""
        if len(numbers) < 2:
            return
        for page in sorted(set((numbers * self._page_size // mmap.PAGESIZE).tolist())):
            will_read(self._begin + page * mmap.PAGESIZE, mmap.PAGESIZE)
