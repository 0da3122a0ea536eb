from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from processes import Child, run

from mvdb.errors import BusyError, CorruptionError, FormatError
from mvdb.storage import atomic_file, creation, envelope
from mvdb.storage.environment import Environment
from mvdb.storage.format import FORMAT_KEY, MAGIC, Kind
from mvdb.storage.write_transaction import WriteTransaction
from tests.support.patience import PATIENCE


def mark(txn: WriteTransaction) -> None:
    txn.put("meta", b"who", b"me")


def test_a_new_file_has_what_initialise_wrote(path: str, tmp_path: Path) -> None:
    with Environment.open(path, initialise=mark) as environment:
        with environment.read() as txn:
            assert bytes(txn.get("meta", b"who") or b"") == b"me"
        assert environment.path == path
        assert environment.size() > 0
    assert os.listdir(tmp_path) == ["test.mvdb"]


def test_initialise_is_not_called_for_a_file_that_exists(path: str) -> None:
    Environment.open(path).close()

    def refuse(txn: WriteTransaction) -> None:
        raise AssertionError

    Environment.open(path, initialise=refuse).close()


def test_what_initialise_raises_leaves_nothing(path: str, tmp_path: Path) -> None:
    def fail(txn: WriteTransaction) -> None:
        txn.put("meta", b"a", b"b")
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        Environment.open(path, initialise=fail)
    assert os.listdir(tmp_path) == []


def test_missing_files_and_folders(path: str, tmp_path: Path) -> None:
    for options in ({"create": False}, {"readonly": True}):
        with pytest.raises(FileNotFoundError, match="no such database"):
            Environment.open(path, **options)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match="no such folder"):
        Environment.open(tmp_path / "missing" / "test.mvdb")
    with pytest.raises(IsADirectoryError, match="is a directory"):
        Environment.open(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"x", "not an mvdb file"),
        (b"Once upon a time\n" * 1000, "not an mvdb file"),
        (b"SQLite format 3\x00" + bytes(10_000), "not an mvdb file"),
        (bytes(16) + b"\xbe\xef\xc0\xde" + bytes(10_000), "other byte order"),
        (bytes(12) + b"\xde\xc0\xef\xbe\x01" + bytes(10_000), "32-bit"),
        (bytes(16) + b"\xde\xc0\xef\xbe\x03\0\0\0" + bytes(10_000), "data version 3.*version 1"),
        (bytes(24) + b"\xde\xc0\xef\xbe\x03\0\0\0" + bytes(10_000), "data version 3.*version 1"),
    ],
)
def test_foreign_files(path: str, content: bytes, words: str) -> None:
    Path(path).write_bytes(content)
    for readonly in (False, True):
        with pytest.raises(FormatError, match=words):
            Environment.open(path, readonly=readonly)
    assert Path(path).read_bytes() == content


def test_a_fifo_is_refused_without_hanging(path: str) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no FIFOs here")
    os.mkfifo(path)
    with pytest.raises(FormatError, match="not a regular file"):
        Environment.open(path, readonly=True)


def test_an_lmdb_file_of_somebody_else(path: str) -> None:
    import lmdb

    with (
        lmdb.open(path, subdir=False, max_dbs=9, lock=False) as other,
        other.begin(write=True) as t,
    ):
        t.put(b"k", b"v")
    with pytest.raises(FormatError, match="not one of mvdb"):
        Environment.open(path)


def test_a_newer_format_names_both_versions(path: str) -> None:
    with Environment.open(path) as environment, environment.write() as txn:
        body = MAGIC + (7).to_bytes(4, "little") + b"what only version 7 knows"
        txn.put("meta", FORMAT_KEY, envelope.seal(Kind.META, FORMAT_KEY, body))
    with pytest.raises(FormatError, match="file format 7; this mvdb reads up to format 1"):
        Environment.open(path)


def test_a_damaged_format_record(path: str) -> None:
    with Environment.open(path) as environment, environment.write() as txn:
        value = bytearray(txn.get("meta", b"format") or b"")
        value[-1] ^= 1
        txn.put("meta", b"format", value)
    with pytest.raises(CorruptionError, match="checksum"):
        Environment.open(path)


def test_bad_options(path: str) -> None:
    with pytest.raises(ValueError, match="durability"):
        Environment.open(path, durability="none")
    with pytest.raises(ValueError, match="map_size"):
        Environment.open(path, map_size=0)


def test_links_and_relative_paths(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    link = tmp_path / "other" / "link.mvdb"
    link.symlink_to(path)  # to a file that is not there yet
    with Environment.open(link) as environment:
        assert environment.path == path
    monkeypatch.chdir(tmp_path)
    with Environment.open("test.mvdb", create=False) as environment:
        assert environment.path == path


def test_names_with_unusual_characters(tmp_path: Path) -> None:
    for name in ("a b[c]*?.mvdb", "ünïcode ☃", "x" * 240, "-lock"):
        for _ in range(2):
            Environment.open(tmp_path / name).close()
        assert os.listdir(tmp_path) == [name]
        os.unlink(tmp_path / name)


def test_of_two_creators_one_opens_the_others_file(path: str, tmp_path: Path) -> None:
    script = """
        def mark(txn):
            txn.put("meta", b"who", b"%d" % os.getpid())
        say("ready"); hear()
        with Environment.open(path, initialise=mark) as environment:
            with environment.read() as txn:
                say(bytes(txn.get("meta", b"who")).decode())
            hear()
    """
    for _ in range(3):
        with Child(script, path) as one, Child(script, path) as two:
            for child in (one, two):
                child.expect("ready")
            for child in (one, two):
                child.tell()
            winners = {one.hear(), two.hear()}
            assert len(winners) == 1
            assert winners <= {str(one.process.pid), str(two.process.pid)}
            for child in (one, two):
                child.tell()
                child.finish()
        assert os.listdir(tmp_path) == ["test.mvdb"]
        os.unlink(path)


def test_a_loser_without_hard_links_does_not_replace(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError("no hard links")

    monkeypatch.setattr(os, "link", no_links)
    assert creation.create_file(path, mark)
    assert not creation.create_file(path, None)
    with Environment.open(path) as environment, environment.read() as txn:
        assert txn.get("meta", b"who") is not None
    assert os.listdir(tmp_path) == ["test.mvdb"]


def test_killed_during_creation(path: str, tmp_path: Path) -> None:
    """At whatever moment: afterwards there is no file or a whole one, and no litter for long."""
    script = """
        def slow(txn):
            for number in range(200):
                txn.put("segments", b"%d" % number, b"x" * 50_000)
        say("go")
        Environment.open(path, initialise=slow)
        say("created")
        hear()
    """
    seen = set()
    for attempt in range(12):
        with Child(script, path) as child:
            child.expect("go")
            time.sleep(attempt * 0.004)
            child.kill()
        exists = os.path.exists(path)
        seen.add(exists)
        with Environment.open(path) as environment, environment.read() as txn:
            assert txn.count("segments") == (200 if exists else 0)
        assert os.listdir(tmp_path) == ["test.mvdb"]
        os.unlink(path)
    assert seen, "never killed in time"


@pytest.mark.parametrize("step", ["link", "unlink", "fsync", "close"])
def test_killed_at_a_step_of_publication(path: str, tmp_path: Path, step: str) -> None:
    script = """
        import signal
        original = getattr(os, sys.argv[2])
        def killing(*arguments, **options):
            original(*arguments, **options)
            os.kill(os.getpid(), signal.SIGKILL)
        say("go")
        setattr(os, sys.argv[2], killing)
        Environment.open(path)
    """
    with Child(script, path, step) as child:
        child.expect("go")
        child.process.wait(PATIENCE)
        assert child.process.returncode == -9
    Environment.open(path).close()
    os.unlink(path)
    Environment.open(path).close()
    assert os.listdir(tmp_path) == ["test.mvdb"]


def test_a_temporary_file_in_use_is_left_alone(path: str, tmp_path: Path) -> None:
    with atomic_file.temporary_beside(path) as (temporary, _):
        atomic_file.remove_stale(path)
        assert os.path.exists(temporary)
    assert os.listdir(tmp_path) == []


def test_removed_while_open_and_made_again(path: str, tmp_path: Path) -> None:
    """Found in review: the lock file of a removed database is the one a new one would share."""
    with Environment.open(path, initialise=mark) as old:
        os.unlink(path)
        with Environment.open(path) as new:
            with new.write() as txn:
                txn.put("ids", b"k", b"v")
            with old.read() as txn:
                assert txn.get("ids", b"k") is None
                assert txn.get("meta", b"who") is not None
    Environment.open(path, readonly=True).close()
    assert os.listdir(tmp_path) == ["test.mvdb"]


def test_opened_directly_with_lmdb(path: str) -> None:
    import lmdb

    Environment.open(path).close()
    with lmdb.open(path, subdir=False), pytest.raises(BusyError, match="opened directly"):
        Environment.open(path)


def test_a_process_that_ends_without_closing_leaves_a_clean_file(path: str, tmp_path: Path) -> None:
    run(
        """
        environment = Environment.open(path)
        with environment.write() as txn:
            txn.put("ids", b"k", b"v")
        """,
        path,
    )
    assert os.listdir(tmp_path) == ["test.mvdb"]
