"""Every public call on damaged and hostile files, writing ones and maintenance included (what they
answer is examined in tests/corrupt). Each child walks several files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mvdb
from tests.corrupt import bombs, damage, specimens
from tests.corrupt.specimens import Specimen
from tests.support.children import in_child
from tests.support.opening import by_lists
from tests.walk import calls

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="children are forked")

SEED = int(os.environ.get("MVDB_SEED", "9000"))
KINDS = (*damage.KINDS, *(kind for kind in bombs.KINDS if kind in ("mutate", "bomb")))
FILES = int(os.environ.get("MVDB_WALKS", "24"))
"""Of each kind."""
FILES_OF_A_CHILD = 8


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> list[Specimen]:
    folder = tmp_path_factory.mktemp("intact")
    return [specimens.make(name, folder) for name in specimens.NAMES]


def _damaged(path: Path, specimen: Specimen, kind: str, seed: int) -> None:
    for old in path.parent.iterdir():
        old.unlink()
    if kind in damage.KINDS:
        path.write_bytes(damage.KINDS[kind](specimen, seed))
        return
    path.write_bytes(specimen.intact)
    bombs.KINDS[kind](path, seed)


def _walk(path: Path) -> Iterator[str]:
    whole = path.read_bytes()
    for options in ({"readonly": True}, {"create": False}):
        path.write_bytes(whole)
        yield from calls.walk_file(path, by_lists(), **options)
    path.write_bytes(whole)
    try:
        mvdb.repair(path, path.with_name("repaired.mvdb"))
    except BaseException as error:
        if not calls.is_promised(error):
            yield f"repair: {error!r}"


@pytest.mark.parametrize("first", range(0, FILES, FILES_OF_A_CHILD))
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(
    intact: list[Specimen],
    tmp_path: Path,
    kind: str,
    first: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.mvdb"
    limit = len(bombs.by_hand()) if kind == "bomb" else None

    def work() -> list[str]:
        wrong = []
        calls.refused.clear()
        for i in range(first, first + FILES_OF_A_CHILD):
            seed = i if limit is not None else SEED + i
            if limit is not None and seed >= limit:
                break
            specimen = intact[0 if kind == "bomb" else i % len(intact)]
            _damaged(path, specimen, kind, seed)
            wrong += [f"{specimen.name},{kind},{seed}: {line}" for line in _walk(path)]
        if not calls.refused["CorruptionError"]:
            wrong.append("nothing is refused: the damage is not met")
        return wrong

    print(f"seed {SEED}")
    assert not in_child(work)
