"""Every public call, with each of its arguments wrong in every way: what leaves it is an error of
mvdb, a TypeError or a ValueError, and the database goes on as before.

`delete(range(2**70))` raised OverflowError, and a path with a lone surrogate UnicodeEncodeError."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import mvdb
from tests.walk import calls
from tests.walk.bad_values import BAD, Own
from tests.walk.calls import DIM, FUNCTION_CALLS, HANDLE_CALLS


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[mvdb.Database]:
    with calls.new_database(tmp_path / "a.mvdb") as made:
        yield made


def test_every_public_call_is_walked() -> None:
    """A new public name needs an entry in calls.py."""
    assert set(calls.FUNCTIONS) == set(FUNCTION_CALLS)
    assert set(calls.HANDLES) == set(HANDLE_CALLS)
    for kind, table in HANDLE_CALLS.items():
        assert calls.public(kind) == set(table), kind


CASES = [
    (kind, name, argument)
    for kind, table in HANDLE_CALLS.items()
    for name, arguments in table.items()
    for argument in arguments
]


@pytest.mark.parametrize(("kind", "name", "argument"), CASES)
def test_methods(db: mvdb.Database, kind: type, name: str, argument: str) -> None:
    wrong = []
    for label, make in BAD.items():
        subject = calls.subject_of(db, kind)
        result = None
        try:
            arguments = {**HANDLE_CALLS[kind][name], argument: make()}
            result = calls.invoke(subject, name, arguments)
        except BaseException as error:
            if not calls.is_promised(error, own=(Own,)):
                wrong.append(f"{label}: {type(error).__name__}: {str(error)[:200]}")
        finally:
            calls.end(result)
            if subject is not db:
                calls.end(subject)
    assert not wrong
    with mvdb.open("a.mvdb", readonly=True) as other:
        assert other.verify().ok


@pytest.mark.parametrize(
    ("name", "argument"),
    [(name, argument) for name, table in FUNCTION_CALLS.items() for argument in table],
)
def test_functions(name: str, argument: str) -> None:
    mvdb.open("source.mvdb", dim=DIM).close()
    wrong = []
    for label, make in BAD.items():
        result = None
        try:
            result = getattr(mvdb, name)(**{**FUNCTION_CALLS[name], argument: make()})
        except BaseException as error:
            if not calls.is_promised(error, own=(Own,)):
                wrong.append(f"{label}: {type(error).__name__}: {str(error)[:200]}")
        finally:
            calls.end(result)
            Path("opened.mvdb").unlink(missing_ok=True)
            Path("repaired.mvdb").unlink(missing_ok=True)
    assert not wrong
