"""Every public call on handles that are closed, finished, of another process, of another thread,
left by their file, or used while the interpreter ends."""

from __future__ import annotations

import copy
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mvdb
from tests.support.children import in_child, run_program
from tests.walk import calls
from tests.walk.calls import HANDLE_CALLS, matrix

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def walk_all(handles: list[Any]) -> list[str]:
    """Makes every call on each of the handles, whatever state they are in."""
    wrong = []
    for handle in handles:
        for name, arguments in HANDLE_CALLS[type(handle)].items():
            try:
                result = calls.invoke(handle, name, arguments)
                if result is not handle:
                    calls.end(result)
            except BaseException as error:
                if not calls.is_promised(error):
                    wrong.append(f"{type(handle).__name__}.{name}: {error!r}")
    return wrong


def handles_of(db: mvdb.Database) -> list[Any]:
    return [db.transaction(), db.snapshot(), db]


def test_ended(tmp_path: Path) -> None:
    db = calls.new_database(tmp_path / "a.mvdb")
    hits = db.search(matrix(1), 3)
    handles = handles_of(db)
    handles[0].rollback()
    handles[1].close()
    assert not walk_all(handles[:2])
    db.close()
    assert not walk_all(handles)
    with pytest.raises(mvdb.ClosedError):
        _ = hits[0].text


def test_open_while_the_database_is_closed(tmp_path: Path) -> None:
    db = calls.new_database(tmp_path / "a.mvdb")
    handles = handles_of(db)
    db.close()
    assert not walk_all(handles)


def test_a_transaction_that_a_write_has_failed(tmp_path: Path) -> None:
    with calls.new_database(tmp_path / "a.mvdb") as db:
        txn = db.transaction()
        with pytest.raises(mvdb.DuplicateIdError):
            txn.insert(1, matrix(1))
        assert not walk_all([txn])


def test_in_a_forked_child(tmp_path: Path) -> None:
    with calls.new_database(tmp_path / "a.mvdb") as db:
        handles = handles_of(db)
        assert not in_child(lambda: walk_all(handles))
        handles[0].rollback()
        handles[1].close()


def test_in_another_thread(tmp_path: Path) -> None:
    with calls.new_database(tmp_path / "a.mvdb") as db:
        handles = handles_of(db)[:2]
        wrong: list[str] = []
        thread = threading.Thread(target=lambda: wrong.extend(walk_all(handles)))
        thread.start()
        thread.join()
        assert not wrong
        handles[0].rollback()


def test_readonly(tmp_path: Path) -> None:
    calls.new_database(tmp_path / "a.mvdb").close()
    with mvdb.open("a.mvdb", readonly=True) as db:
        assert not list(calls.walk(db))


def _remove(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    with calls.new_database(path.with_name("other.mvdb")):
        pass
    os.replace(path.with_name("other.mvdb"), path)


def _move(path: Path) -> None:
    path.rename(path.with_name("moved.mvdb"))


def _replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _remove_the_folder(path: Path) -> None:
    for one in path.parent.iterdir():
        one.unlink()
    path.parent.rmdir()


def _remove_the_lock_file(path: Path) -> None:
    path.with_name(path.name + "-lock").unlink()


@pytest.mark.parametrize(
    "change",
    [_remove, _replace, _move, _replace_by_a_folder, _remove_the_folder, _remove_the_lock_file],
)
def test_the_file_is_not_there_any_more(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """`stats()` of a file that was deleted while it was open raised FileNotFoundError."""
    path = tmp_path / "folder" / "a.mvdb"
    path.parent.mkdir()
    with calls.new_database(path) as db:
        change(path)
        assert db.stats().documents == 5
        assert not list(calls.walk(db))


def test_the_present_folder_is_not_there_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with calls.new_database(tmp_path / "a.mvdb") as db:
        monkeypatch.chdir(folder)
        folder.rmdir()
        assert not list(calls.walk(db))
        for call in (lambda: mvdb.open("x.mvdb", dim=8), lambda: mvdb.repair("x", "y")):
            with pytest.raises(mvdb.PathNotFoundError):
                call()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("moment", ["atexit", "global", "thread"])
def test_while_the_interpreter_ends(tmp_path: Path, moment: str) -> None:
    """A thread that begins then may be stopped with the process: it need not come to its end."""
    done = run_program("tests.walk.at_exit", moment, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "walked\n" or (moment == "thread" and done.stdout == "")


@pytest.mark.parametrize("kind", calls.ERRORS)
def test_errors_pickle_and_copy(kind: type[Exception]) -> None:
    error = kind("a.mvdb: what is wrong\nand where")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is kind
        assert str(other) == str(error)
    assert str(kind()) == ""


def test_errors_of_the_system_pickle_with_their_number(tmp_path: Path) -> None:
    with pytest.raises(mvdb.PathNotFoundError) as caught:
        mvdb.repair(tmp_path / "none", tmp_path / "new")
    other = pickle.loads(pickle.dumps(caught.value))
    assert str(other) == str(caught.value)
    assert (other.errno, other.filename) == (caught.value.errno, caught.value.filename)


def test_values_answer(tmp_path: Path) -> None:
    """Each result: every public method, and the special ones."""
    with calls.new_database(tmp_path / "a.mvdb") as db:
        seen: list[mvdb.InsertProgress] = []
        db.insert_batches([(["x"], [matrix(1)])], progress=seen.append)
        values: list[Any] = [
            db.search(matrix(1), 1)[0],
            db.get(1)[0],
            db.explain(matrix(1), 1),
            db.profile(matrix(1)),
            db.stats(),
            db.verify(),
            seen[0],
        ]
        db.backup("copy.mvdb")
    values.append(mvdb.repair("copy.mvdb", "new.mvdb"))
    assert {type(value) for value in values} == set(calls.VALUES)
    wrong = []
    for value in values:
        for name in calls.public(type(value)):
            needed = {"__eq__": [value], "__setattr__": ["x", 1], "__delattr__": ["x"]}
            try:
                member = getattr(type(value), name)
                if not isinstance(member, property):
                    member(value, *needed.get(name, []))
                else:
                    getattr(value, name)
            except BaseException as error:
                # Frozen dataclasses raise the AttributeError of Python's own.
                frozen = name in ("__setattr__", "__delattr__")
                if not calls.is_promised(error, own=(AttributeError,) if frozen else ()):
                    wrong.append(f"{type(value).__name__}.{name}: {error!r}")
    assert not wrong
