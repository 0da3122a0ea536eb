"""Damaged Parquet and Arrow files as sources of `insert_batches`.

pyarrow believes what stands in Arrow files: a flipped bit ended the process, or raised SystemError
or UnicodeDecodeError. Footers of Parquet files stay whole here: on some damaged ones pyarrow itself
ends the process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

import mvdb
from tests.support.children import in_child
from tests.walk import calls
from tests.walk.calls import DIM, matrix

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="children are forked")
pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

SEED = int(os.environ.get("MVDB_SEED", "7000"))
FILES = 150


def _table() -> object:
    count = 40
    return pa.table(
        {
            "id": [f"document {i}" for i in range(count)],
            "embeddings": pa.array(
                [matrix(i).tolist() for i in range(count)], pa.list_(pa.list_(pa.float32(), DIM))
            ),
            "text": ["some words"] * count,
            "metadata": ['{"a": 1}'] * count,
        }
    )


def _write(path: Path, kind: str) -> None:
    table = _table()
    if kind == "parquet":
        parquet.write_table(table, path)
        return
    make = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as file, make(file, table.schema) as writer:
        writer.write(table)


def _damage(data: bytes, rng: np.random.Generator) -> bytes:
    if rng.random() < 0.2:
        return data[: int(rng.integers(len(data)))]
    changed = bytearray(data)
    footer = int.from_bytes(data[-8:-4], "little") + 8 if data.endswith(b"PAR1") else 0
    end = len(data) - footer
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(min(end, 1200) if rng.random() < 0.5 else end))
        changed[at if rng.random() < 0.5 else end - 1 - at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


@pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
def test_damaged_sources(tmp_path: Path, kind: str) -> None:
    print(f"seed {SEED}")
    path = tmp_path / f"a.{'parquet' if kind == 'parquet' else 'arrow'}"
    _write(path, kind)
    intact = path.read_bytes()

    def work() -> list[str]:
        wrong, refused = [], 0
        for i in range(FILES):
            path.write_bytes(_damage(intact, np.random.default_rng([SEED, i])))
            fresh = tmp_path / "fresh.mvdb"
            fresh.unlink(missing_ok=True)
            with mvdb.open(fresh, dim=DIM, durability="relaxed", background=False) as db:
                try:
                    db.insert_batches(path, progress=lambda progress: None)
                except BaseException as error:
                    refused += 1
                    if not calls.is_promised(error):
                        wrong.append(f"{i}: {error!r}"[:200])
        if not FILES // 10 < refused < FILES:
            wrong.append(f"{refused} of {FILES} files are refused")
        return wrong

    assert not in_child(work)
