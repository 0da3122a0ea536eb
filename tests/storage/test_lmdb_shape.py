"""What mvdb relies on in py-lmdb and liblmdb beyond their documented interfaces, each by name.

A later py-lmdb that fails here loses what the test says, and nothing that `test_damage` checks."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import pytest

from mvdb.storage.lmdb import check_pages, pages


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[tuple[str, Any]]:
    """A file made with py-lmdb alone: path and environment."""
    path = str(tmp_path / "plain.lmdb")
    with lmdb.open(path, subdir=False, max_dbs=2, lib_version=0) as environment:
        table = environment.open_db(b"table")
        with environment.begin(write=True, db=table) as txn:
            for number in range(300):
                txn.put(b"%04d" % number, bytes(100))
            txn.put(b"large", b"v" * 20_000)
        yield path, environment


def test_the_verifier_has_the_methods_that_are_bent() -> None:
    """Else files that liblmdb calls sound are refused, and cut ones pass: see `check_pages`."""
    assert check_pages.is_as_known()
    base = lmdb.verify._Verifier  # type: ignore[attr-defined]
    names = ["self", "ctx", "pgno", "i", "buf", "doff", "dsize", "want_bytes"]
    assert list(inspect.signature(base._bigdata).parameters) == names


def test_files_of_a_process_are_keyed_by_a_function_that_can_be_wrapped(
    plain: tuple[str, Any],
) -> None:
    """Else a child of `fork` cannot open what its parent has open."""
    from lmdb import _envid

    path, _ = plain
    status = os.stat(path)
    assert ("ino", status.st_dev, status.st_ino) in _envid.env_keys(path, False)


def test_the_words_of_errors_that_are_told_apart(plain: tuple[str, Any]) -> None:
    path, environment = plain
    with pytest.raises(lmdb.Error, match="already open in this process"):
        lmdb.open(path, subdir=False)
    txn = environment.begin()
    txn.abort()
    with pytest.raises(lmdb.Error, match="closed"):
        txn.get(b"k")


def test_pages_are_laid_out_as_described(plain: tuple[str, Any]) -> None:
    path, environment = plain
    page_size, last = environment.stat()["psize"], environment.info()["last_pgno"]
    newest = environment.info()["last_txnid"]
    data = Path(path).read_bytes()
    meta = pages.meta_of(data[newest % 2 * page_size :])
    assert (meta.magic, meta.version) == (pages.MAGIC, pages.DATA_VERSION)
    assert (meta.page_size, meta.last_page, meta.transaction) == (page_size, last, newest)
    with environment.begin(buffers=True) as txn:
        record = bytes(txn.get(b"table"))
    *_, depth, branches, leaves, overflow, entries, root = pages.TABLE.unpack(record)
    found = _stat(environment)
    assert depth == found["depth"]
    assert (branches, leaves) == (found["branch_pages"], found["leaf_pages"])
    assert (overflow, entries) == (found["overflow_pages"], found["entries"])
    number, _, flags, _, _ = pages.HEADER.unpack_from(data, root * page_size)
    assert (number, flags) == (root, pages.BRANCH)


def _stat(environment: Any) -> dict[str, int]:
    with environment.begin() as txn:
        result: dict[str, int] = txn.stat(environment.open_db(b"table", txn=txn))
        return result
