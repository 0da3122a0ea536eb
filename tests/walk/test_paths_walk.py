"""Every call that takes a path, with what else a path may lead to: folders, FIFOs, sockets,
devices, links, names that are too long, not UTF-8, or taken by something else.

`repair` raised FileNotFoundError and other errors of the system as they were, and waited for ever
for a FIFO; so did every opening beside a FIFO named like its lock file. Where a folder had that
name, a new database was made and then could not be opened."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mvdb
from mvdb.cli import main
from tests.helpers import content
from tests.support import rights
from tests.support.children import in_child
from tests.walk import calls
from tests.walk.calls import DIM, matrix

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kinds of files of Linux")

SECONDS = 60.0


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.mvdb"
    calls.new_database(path).close()
    return path


def _socket(path: Path) -> None:
    folder = os.getcwd()
    os.chdir(path.parent)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)
    os.chdir(folder)


def _database(path: Path) -> Path:
    calls.new_database(path).close()
    return path


def _beside(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """A database, and something in the place of its lock file."""

    def both(path: Path) -> None:
        _database(path)
        make(path.with_name(path.name + "-lock"))

    return both


KINDS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_bytes(b"a text" * 1000),
    "head of a database": lambda path: path.write_bytes(
        _database(path.with_name("whole.mvdb")).read_bytes()[:5000]
    ),
    "folder": lambda path: path.mkdir(),
    "FIFO": os.mkfifo,
    "socket": _socket,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link into a missing folder": lambda path: path.symlink_to("no/where"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to a folder": lambda path: path.symlink_to("."),
    "link to /dev/null": lambda path: path.symlink_to("/dev/null"),
    "link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "link to /dev/full": lambda path: path.symlink_to("/dev/full"),
    "link to /proc": lambda path: path.symlink_to("/proc/self/new"),
    "link to memory": lambda path: path.symlink_to("/proc/self/mem"),
    "lock file is a folder": _beside(Path.mkdir),
    "lock file is a FIFO": _beside(os.mkfifo),
    "lock file is a link to itself": _beside(lambda path: path.symlink_to(path.name)),
    "lock file is a dangling link": _beside(lambda path: path.symlink_to("no/where")),
    "lock file is /dev/null": _beside(lambda path: path.symlink_to("/dev/null")),
    "lock file is the database": _beside(lambda path: path.symlink_to(path.name[:-5])),
    "lock file alone is a folder": lambda path: path.with_name(path.name + "-lock").mkdir(),
    "lock file alone is a FIFO": lambda path: os.mkfifo(path.with_name(path.name + "-lock")),
}


def _below(path: Path) -> Path:
    path.write_bytes(b"")
    return path / "a.mvdb"


PATHS: dict[str, Callable[[Path], Any]] = {
    **{
        f"{name}, {suffix}": lambda folder, make=make, suffix=suffix: _made(
            folder / f"made{suffix}", make
        )
        for name, make in KINDS.items()
        for suffix in (".mvdb", ".parquet", ".arrow")
    },
    "missing folder": lambda folder: folder / "no" / "a.mvdb",
    "below a file": lambda folder: _below(folder / "a"),
    "below a link to itself": lambda folder: (
        _made(folder / "loop", lambda path: path.symlink_to(path.name)) / "a.mvdb"
    ),
    "long name": lambda folder: folder / ("n" * 256),
    "long path": lambda folder: folder / "/".join(["n" * 200] * 30),
    "surrogate": lambda folder: f"{folder}/\ud800.parquet",
    "NUL": lambda folder: f"{folder}/a\0b.parquet",
    "not UTF-8": lambda folder: os.fsdecode(os.fsencode(folder) + b"/\xff.parquet"),
    "not UTF-8, bytes": lambda folder: os.fsencode(folder) + b"/\xff.mvdb",
    "of another kind": lambda folder: 5,
    "/": lambda folder: "/",
    "/proc": lambda folder: "/proc/new.mvdb",
}


def _made(path: Path, make: Callable[[Path], object]) -> Path:
    make(path)
    return path


def _use(path: Any) -> Iterator[str]:
    for options in ({"dim": DIM}, {"create": False}, {"readonly": True}):
        yield from calls.walk_file(path, **options)


def _call(source: Path, name: str, path: Any) -> None:
    with mvdb.open(source) as db:
        getattr(db, name)(path)


OPERATIONS: dict[str, Callable[[Path, Any], object]] = {
    "repair from": lambda source, path: mvdb.repair(path, source.with_name("repaired")),
    "repair to": lambda source, path: mvdb.repair(source, path),
    "backup": lambda source, path: _call(source, "backup", path),
    "compact": lambda source, path: _call(source, "compact", path),
    "insert_batches": lambda source, path: _call(source, "insert_batches", path),
}


def _wrong(source: Path, path: Any) -> list[str]:
    wrong = list(_use(path))
    for name, operation in OPERATIONS.items():
        try:
            operation(source, path)
        except BaseException as error:
            if not calls.is_promised(error):
                wrong.append(f"{name}: {error!r}")
    return wrong


@pytest.mark.parametrize("name", PATHS)
def test_paths(tmp_path: Path, source: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "paths").mkdir()
    monkeypatch.chdir(tmp_path)
    path = PATHS[name](tmp_path / "paths")
    assert not in_child(lambda: _wrong(source, path), SECONDS)
    assert len(content(source)) == 5


@pytest.mark.parametrize("what", ["folder", "file", "nothing"])
def test_without_rights(tmp_path: Path, source: Path, what: str) -> None:
    if not rights.CAN_GIVE_UP:
        pytest.skip("permissions do not bind here")
    folder = tmp_path / "denied"
    folder.mkdir()
    path = _database(folder / "a.mvdb")
    path.chmod({"folder": 0o644, "file": 0, "nothing": 0o444}[what])
    folder.chmod({"folder": 0, "file": 0o755, "nothing": 0o555}[what])

    def work() -> list[str]:
        rights.give_up()
        return _wrong(source, path) + _wrong(source, folder / "new.mvdb")

    try:
        assert not in_child(work, SECONDS)
    finally:
        folder.chmod(0o755)


NAMES: dict[str, bytes] = {
    "not UTF-8": b"\xff\xfe\x80.mvdb",
    "250 bytes": b"n" * 250,
    "250 bytes of letters beyond ASCII": "ß".encode() * 125,
    "a line end": b"a\nb.mvdb",
    "pattern": b"[a]*?.mvdb",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["bytes", "str"])
def test_unusual_names_work(tmp_path: Path, name: str, form: str) -> None:
    """A name of 250 bytes in 125 letters was refused: its temporary file's was shortened to so many
    letters, not bytes."""
    folder = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)
    raw = folder + b"/" + NAMES[name]
    path: Any = raw if form == "bytes" else os.fsdecode(raw)
    with mvdb.open(path, dim=DIM) as db:
        db.insert(1, matrix(1))
        assert os.fsencode(db.path) == raw
        db.backup(raw[:-1] + b"2")
        db.compact()
        assert not list(calls.walk(db))
    mvdb.repair(path, raw[:-1] + b"3")
    with mvdb.open(raw[:-1] + b"3", readonly=True) as db:
        assert db.verify().ok


@pytest.mark.parametrize("length", [251, 255, 256])
def test_a_name_too_long_for_its_lock_file_creates_nothing(
    tmp_path: Path, source: Path, length: int
) -> None:
    """`backup` made files that nothing could open."""
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / ("n" * length)
    attempts: list[Callable[[], object]] = [
        lambda: mvdb.open(path, dim=DIM),
        lambda: mvdb.repair(source, path),
        lambda: _call(source, "backup", path),
        lambda: _call(source, "compact", path),
    ]
    for attempt in attempts:
        with pytest.raises(mvdb.PathError, match="lock file"):
            attempt()
        assert not list(folder.iterdir())


def test_a_lock_file_that_cannot_be_made_creates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.mvdb"
    (tmp_path / "a.mvdb-lock").mkdir()
    with pytest.raises(mvdb.PathIsFolderError, match=r"a\.mvdb-lock"):
        mvdb.open(path, dim=DIM)
    assert not path.exists()


COMMANDS: dict[str, list[str]] = {
    "info": ["info", "PATH"],
    "verify": ["verify", "PATH"],
    "export": ["export", "PATH"],
    "optimize": ["optimize", "PATH"],
    "compact": ["compact", "PATH"],
    "compact to": ["compact", "SOURCE", "--to", "PATH"],
    "backup": ["backup", "SOURCE", "PATH"],
    "repair from": ["repair", "PATH", "NEW"],
    "repair to": ["repair", "SOURCE", "PATH"],
    "delete": ["delete", "PATH", "1"],
    "index from": ["index", "--encoder", "tests.cli.words_encoder:make", "PATH", "NEW"],
    "index to": ["index", "--encoder", "tests.cli.words_encoder:make", "TEXT", "PATH"],
    "search": ["search", "--encoder", "tests.cli.words_encoder:make", "PATH", "words"],
    "eval": ["eval", "--mode", "lexical", "PATH", "--queries", "TOPICS", "--run-out", "NEW"],
    "eval from": ["eval", "--run-in", "PATH", "--qrels", "TOPICS"],
    "eval to": ["eval", "--mode", "lexical", "SOURCE", "--queries", "TOPICS", "--run-out", "PATH"],
}


@pytest.mark.parametrize("name", PATHS)
def test_the_command_line_says_it_in_one_line(
    tmp_path: Path, source: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("some words")
    (tmp_path / "topics.tsv").write_text("q\twords\t1\n")
    (tmp_path / "paths").mkdir()
    path = PATHS[name](tmp_path / "paths")
    if not isinstance(path, (str, Path)) or "\0" in str(path):
        pytest.skip("no argument of a program")
    words = {
        "PATH": str(path),
        "SOURCE": str(source),
        "NEW": str(tmp_path / "new"),
        "TEXT": str(tmp_path / "text.txt"),
        "TOPICS": str(tmp_path / "topics.tsv"),
    }

    def work() -> list[str]:
        wrong = []
        for command, arguments in COMMANDS.items():
            if command == "index from" and str(path) == "/":
                continue  # this is possible, and takes long
            if command in ("eval from", "eval to") and name.startswith("FIFO"):
                continue  # runs and judgements may come through pipes, which are waited for
            Path(words["NEW"]).unlink(missing_ok=True)
            code = main([words.get(word, word) for word in arguments])
            _, said = capfd.readouterr()
            lines = [line for line in said.splitlines() if "warning" not in line]
            # 2 and more than a line: what `argparse` says of wrong usage.
            if code not in (0, 1) or (code == 1) != (len(lines) == 1) or "Traceback" in said:
                wrong.append(f"{command}: {code}, {said[:300]!r}")
        return wrong

    assert not in_child(work, SECONDS)
