"""Commands that wait for another writer, and the hint to compact."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mvdb
from mvdb.cli import main
from mvdb.cli.commands.grammar import seconds
from tests.support.patience import PATIENCE

DIM = 64


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "n.mvdb"
    with mvdb.open(path, dim=DIM) as db:
        db.insert(["a", "b"], np.ones((2, 3, DIM), np.float32), texts=["one", "two"])
    (tmp_path / "more.jsonl").write_text(
        '{"id": "c", "text": "three", "vectors": [' + str([1.0] * DIM) + "]}\n"
    )
    return path


COMMANDS = [("delete", "n.mvdb", "a"), ("optimize", "n.mvdb"), ("import", "more.jsonl", "n.mvdb")]


@pytest.mark.parametrize("arguments", [*COMMANDS, ("compact", "n.mvdb")])
def test_a_command_gives_up_when_its_time_is_over(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    done = threading.Event()
    with mvdb.open(file) as db:
        begun = threading.Event()

        def hold() -> None:
            with db.transaction() as txn:
                txn.delete("b")
                begun.set()
                done.wait(PATIENCE)
                txn.rollback()

        writer = threading.Thread(target=hold)
        writer.start()
        assert begun.wait(PATIENCE)
        try:
            assert main([*arguments, "--timeout", "0.05"]) == 1
            error = capsys.readouterr().err
            assert "n.mvdb: another writer kept the file for 0.05 s, nothing was changed" in error
            assert len(error.splitlines()) == 1
            assert main([*arguments, "--timeout", "1.2", "-q"]) == 1
            assert "for 1.2 s" in capsys.readouterr().err
        finally:
            done.set()
            writer.join()
        assert list(db.ids()) == ["a", "b"]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_command_says_that_it_waits_and_goes_on(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    with mvdb.open(file) as db:
        begun, done = threading.Event(), threading.Event()

        def hold() -> None:
            with db.transaction() as txn:
                txn.delete("b")
                begun.set()
                done.wait(PATIENCE)

        writer = threading.Thread(target=hold)
        writer.start()
        assert begun.wait(PATIENCE)
        timer = threading.Timer(2, done.set)
        timer.start()
        assert main(arguments) == 0
        timer.join()
        writer.join()
        assert "waiting for another writer" in capsys.readouterr().err
        assert "b" not in db


def test_a_time_is_a_number_from_0(file: Path) -> None:
    assert seconds("0.5") == 0.5
    for text in ("-1", "nan", "inf", "soon"):
        assert main(["delete", "n.mvdb", "a", f"--timeout={text}"]) == 2


@pytest.fixture
def large(file: Path) -> Callable[[], mvdb.Database]:
    """A file of a few MB."""
    rng = np.random.default_rng(0)
    with mvdb.open(file) as db:
        for first in range(0, 4000, 1000):
            ids = list(range(first, first + 1000))
            db.insert(ids, rng.normal(size=(1000, 20, DIM)))
    return lambda: mvdb.open(file)


def test_the_hint_to_compact(
    file: Path, large: Callable[[], mvdb.Database], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", "n.mvdb"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["delete", "n.mvdb", "--filter", "{}"]) == 0
    capsys.readouterr()
    assert main(["optimize", "n.mvdb"]) == 0
    assert "are free: mvdb compact n.mvdb makes the file smaller\n" in capsys.readouterr().err
    assert main(["info", "n.mvdb"]) == 0
    assert "are free: mvdb compact n.mvdb" in capsys.readouterr().err
    for option in ("--json", "-q"):
        assert main(["info", "n.mvdb", option]) == 0
        assert capsys.readouterr().err == ""
    assert main(["compact", "n.mvdb"]) == 0
    assert main(["info", "n.mvdb"]) == 0
    assert capsys.readouterr().err == ""


def test_free_bytes_are_those_that_compaction_gives_back(
    large: Callable[[], mvdb.Database],
) -> None:
    with large() as db:
        db.collection("other", dim=4).insert("x", np.ones((2, 4)))
        db.delete(list(range(0, 4000, 2)))
        db.optimize()
        before = db.stats()
        db.compact()
        after = db.stats()
        given_back = before.file_bytes - after.file_bytes
        assert given_back > 1 << 20
        # Pages of LMDB's list of free pages count as free; compaction leaves them out, too.
        assert abs(before.free_bytes - given_back) <= 16 * 4096
        assert after.free_bytes <= 16 * 4096
