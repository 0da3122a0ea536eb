"""Full disks, failing writes, and what is left afterwards."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest
from processes import PREAMBLE, ROOT, run

from mvdb.errors import (
    BusyError,
    ClosedError,
    CorruptionError,
    FormatError,
    PathDeniedError,
    PathError,
    PathExistsError,
    PathIsFolderError,
    PathNotFoundError,
    ReadOnlyError,
    StorageFullError,
    WriteFailedError,
)
from mvdb.limits import Limits
from mvdb.storage import commit, failures
from mvdb.storage.environment import Environment
from tests.support.patience import PATIENCE

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX limits")


def failure(kind: type[lmdb.Error], code: int = 0, text: str = "mdb_txn_commit") -> lmdb.Error:
    """An error as py-lmdb raises it: made in Python it has no code."""
    error = kind(text)
    error.code = code  # type: ignore[misc]
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (failure(lmdb.MapFullError, 0), StorageFullError),
        (failure(lmdb.DiskError, errno.ENOSPC), StorageFullError),
        (failure(lmdb.Error, errno.EFBIG), StorageFullError),
        (OSError(errno.ENOSPC, "full"), StorageFullError),
        (OSError(errno.EIO, "bad"), WriteFailedError),
        (failure(lmdb.CorruptedError, 0), CorruptionError),
        (failure(lmdb.PageNotFoundError, 0), CorruptionError),
        (failure(lmdb.InvalidError, 0), FormatError),
        (failure(lmdb.ReadonlyError, errno.EACCES), ReadOnlyError),
        (failure(lmdb.PanicError, 0), WriteFailedError),
        (failure(lmdb.ReadersFullError, 0), BusyError),
        (
            failure(lmdb.Error, 0, "Attempt to operate on closed/deleted/dropped object."),
            ClosedError,
        ),
        (failure(lmdb.BadTxnError, 0), failures.UnexpectedStorageError),
    ],
)
def test_translation(error: Exception, expected: type[Exception]) -> None:
    translated = failures.translate(error, "trying", "/some/file")
    assert type(translated) is expected
    assert "/some/file: trying" in str(translated)


def test_what_is_not_translated() -> None:
    for error in (ClosedError("x"), TypeError("x")):
        assert failures.translate(error, "trying", "x") is error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PermissionError(13, "no", "y"), PathDeniedError),
        (FileNotFoundError(2, "gone", "y"), PathNotFoundError),
        (FileExistsError(17, "there", "y"), PathExistsError),
        (IsADirectoryError(21, "folder", "y"), PathIsFolderError),
        (OSError(40, "loop", "y"), PathError),
    ],
)
def test_errors_of_paths_are_ours_and_the_builtin_ones(
    error: OSError, expected: type[OSError]
) -> None:
    translated = failures.translate(error, "trying", "/some/file")
    assert type(translated) is expected
    assert isinstance(translated, type(error))
    assert isinstance(translated, OSError)
    assert (translated.errno, translated.filename) == (error.errno, "y")
    assert str(translated) == f"/some/file: trying: {error.strerror} (y)"


def fail_commits(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(txn: object) -> None:
        txn.abort()  # type: ignore[attr-defined]
        raise error

    monkeypatch.setattr(commit, "commit_lmdb", fail)


def write(environment: Environment, value: bytes) -> None:
    with environment.write(timeout=PATIENCE) as txn:
        txn.put("ids", b"k", value)


def read(environment: Environment) -> bytes:
    with environment.read() as txn:
        return bytes(txn.get("ids", b"k") or b"")


@pytest.mark.parametrize(
    "error",
    [failure(lmdb.Error, errno.EIO), OSError(errno.EIO, "bad"), failure(lmdb.BadTxnError, 0)],
)
def test_a_failed_commit_poisons(
    path: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with Environment.open(path) as environment, Environment.open(path) as other:
        write(environment, b"1")
        assert environment.poisoned is None
        fail_commits(monkeypatch, error)
        with pytest.raises(WriteFailedError, match="reopen"):
            write(environment, b"2")
        monkeypatch.undo()
        for handle in (environment, other):
            assert handle.poisoned is not None
            with pytest.raises(WriteFailedError, match="earlier failure"):
                write(handle, b"3")
            assert read(handle) == b"1"
    with Environment.open(path) as environment:
        write(environment, b"4")
        assert read(environment) == b"4"


def test_no_room_at_commit(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    full = failure(lmdb.DiskError, errno.ENOSPC)
    with Environment.open(path) as environment:
        fail_commits(monkeypatch, full)
        with pytest.raises(StorageFullError, match="rolled back"):
            write(environment, b"1")
        monkeypatch.undo()
        assert environment.poisoned is None
        write(environment, b"2")
    with Environment.open(path, durability="relaxed") as environment:
        fail_commits(monkeypatch, full)
        with pytest.raises(WriteFailedError):
            write(environment, b"3")
        assert environment.poisoned is not None


LIMITED = """
    import resource
    environment = Environment.open(path)
    with environment.write() as txn:
        txn.put("ids", b"kept", b"v" * 5000)
    size = os.path.getsize(path)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + int(sys.argv[2]), hard))
    def attempt(count):
        with environment.write() as txn:
            for number in range(count):
                txn.put("segments", b"%04d" % number, b"x" * 9000)
    try:
        attempt(200)
        print("no error")
    except errors.StorageFullError as error:
        assert isinstance(error, OSError)
        print("full")
    with environment.read() as txn:
        assert txn.count("segments") == 0
        assert bytes(txn.get("ids", b"kept")) == b"v" * 5000
    assert environment.poisoned is None, environment.poisoned
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    attempt(20)
    environment.close()
    os.utime(path)
    with Environment.open(path) as environment, environment.read() as txn:
        print(txn.count("segments"))
"""


@posix
@pytest.mark.parametrize("room", [0, 1, 4096, 5000, 40_000, 300_001])
def test_a_file_size_limit(path: str, room: int) -> None:
    assert run(LIMITED, path, room).split() == ["full", "20"]


@posix
def test_a_limit_during_a_transaction_larger_than_memory_for_it(path: str) -> None:
    """liblmdb spills dirty pages before the commit once there are 128 Ki of them."""
    out = run(
        """
        import resource
        environment = Environment.open(path)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        try:
            with environment.write() as txn:
                for number in range(140_000):
                    txn.put("segments", b"%08d" % number, b"x" * 2040)
        except errors.StorageFullError:
            print("full")
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        with environment.write() as txn:
            txn.put("segments", b"k", b"v")
        environment.close()
        os.utime(path)
        with Environment.open(path) as environment, environment.read() as txn:
            print(txn.count("segments"))
        """,
        path,
        timeout=PATIENCE,
    )
    assert out.split() == ["full", "1"]


@posix
def test_creation_and_copies_without_room(path: str, tmp_path: Path) -> None:
    script = """
        import resource
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        def limit(size):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        def full(action):
            try:
                action()
            except errors.StorageFullError:
                return
            raise AssertionError("no error")
        for size in (0, 100, 4096, 8192, 12_000, 16_000):
            limit(size)
            full(lambda: Environment.open(path))
            assert os.listdir(os.path.dirname(path)) == []
        limit(hard)
        environment = Environment.open(path)
        with environment.write() as txn:
            txn.put("segments", b"k", os.urandom(1_000_000))
        limit(500_000)
        full(lambda: environment.copy(path + "-copy"))
        full(environment.compact)
        limit(hard)
        with environment.write() as txn:
            txn.put("segments", b"l", b"v")
        environment.compact()
        environment.close()
        assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
        print("ok")
    """
    assert run(script, path) == "ok"


def strace(path: str, script: str, *options: str) -> tuple[int, str, str]:
    """Run a script under strace: exit status, what it printed, the trace."""
    program = shutil.which("strace")
    if program is None or sys.platform != "linux":
        pytest.skip("no strace")
    trace = path + ".trace"
    command = [program, "-f", "-o", trace, *options, sys.executable, "-c", PREAMBLE + script, path]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if "ptrace" in done.stderr and "not permitted" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    return done.returncode, done.stdout, Path(trace).read_text()


COMMITS = """
environment = Environment.open(path, durability={durability!r})
def commit(value):
    with environment.write() as txn:
        txn.put("ids", b"k", value)
commit(b"0")
os.stat("/begin")if False else os.access("/begin-marker", 0)
commit(b"1")
os.access("/end-marker", 0)
environment.close()
"""


@pytest.mark.parametrize(("durability", "syncs", "direct"), [("full", 1, 1), ("relaxed", 1, 0)])
def test_syncs_of_a_small_commit(path: str, durability: str, syncs: int, direct: int) -> None:
    script = COMMITS.format(durability=durability)
    _, _, trace = strace(
        path,
        script,
        "-y",
        "-e",
        "trace=fsync,fdatasync,sync_file_range,pwrite64,openat,access,faccessat,faccessat2",
    )
    within = re.split(r".*-marker.*\n", trace)[1]
    assert len(re.findall(r"\b(?:fsync|fdatasync)\(", within)) == syncs
    # The meta page goes through a descriptor of its own, opened with O_DSYNC: a sync of its own.
    synchronous = re.findall(r"openat\(.*test\.mvdb\".*O_DSYNC.*\) = (\d+)", trace)
    writes = re.findall(r"pwrite64\((\d+)<", within)
    assert sum(number in synchronous for number in writes) == direct


FAILING = """
environment = Environment.open(path)
def commit(value):
    with environment.write() as txn:
        txn.put("ids", b"k", value * 5000)
commit(b"0")
done = [b"0"]
outcome = "no error"
for number in range(1, 4):
    try:
        commit(b"%d" % number)
        done.append(b"%d" % number)
    except errors.WriteFailedError:
        outcome = "failed"
        assert environment.poisoned
        break
    except errors.StorageFullError:
        outcome = "full"
        assert not environment.poisoned
with environment.read() as txn:
    assert bytes(txn.get("ids", b"k")) in (done[-1] * 5000, b"%d" % number * 5000)
    if outcome == "full":
        assert bytes(txn.get("ids", b"k")) == done[-1] * 5000
environment.close()
os.utime(path)
with Environment.open(path) as environment:
    commit(b"9")
print(outcome)
"""


@pytest.mark.parametrize(
    ("inject", "outcomes"),
    [
        ("fdatasync:error=EIO:when=2", {"failed"}),
        ("fdatasync:error=EIO:when=3", {"failed"}),
        ("writev:error=EIO:when=2", {"failed"}),
        ("writev:error=ENOSPC:when=3", {"full"}),
        ("pwrite64:error=EIO:when=2", {"failed"}),
        ("pwrite64:error=ENOSPC:when=2", {"failed"}),
        ("writev,pwrite64:error=EINTR:when=3", {"no error"}),
        ("fdatasync:error=ENOSPC:when=2", {"full"}),
    ],
)
def test_injected_failures(path: str, inject: str, outcomes: set[str]) -> None:
    Environment.open(path).close()
    calls = inject.split(":")[0]
    _, out, _ = strace(path, FAILING, "-e", f"trace={calls}", "-e", f"inject={inject}")
    assert out.strip() in outcomes


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("call", ["writev", "pwrite64", "fdatasync", "fsync"])
def test_every_write_and_sync_fails_once(path: str, call: str, error: str) -> None:
    """No failure anywhere loses the last commit or leaves a file that cannot be opened."""
    Environment.open(path).close()
    source = Path(path).read_bytes()
    script = FAILING.replace('commit(b"0")\n', TOLERANT, 1)
    # There is one fsync per session: a second failure would be one of the session that repairs.
    for number in range(1, 2 if call == "fsync" else 5):
        Path(path).write_bytes(source)
        inject = f"inject={call}:error={error}:when={number}"
        strace(path, script, "-e", f"trace={call}", "-e", inject)


TOLERANT = """
try:
    commit(b"0")
except (errors.WriteFailedError, errors.StorageFullError):
    environment.close()
    environment = Environment.open(path)
    commit(b"0")
"""


def test_a_full_map_is_no_failed_write(path: str) -> None:
    small = Limits(reserved_bytes=1 << 20, map_room=1 << 20, map_slack=1 << 20)
    with Environment.open(path, map_size=1 << 20, limits=small) as environment:
        with pytest.raises(StorageFullError, match="map_size"), environment.write() as txn:
            txn.put("ids", b"k", bytes(4 << 20))
        assert environment.poisoned is None
        txn = environment.write()
        with pytest.raises(StorageFullError):
            txn.put("ids", b"k", bytes(4 << 20))
        for refused in (lambda: txn.put("ids", b"k", b"v"), txn.commit):
            with pytest.raises(StorageFullError):
                refused()
        txn.abort()
        write(environment, b"1")
        assert read(environment) == b"1"


def test_disk_is_full_knows_limits(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(path).write_bytes(b"x")
    assert not failures.disk_is_full(path, 1)
    assert failures.disk_is_full(path, 1 << 62)
    assert not failures.disk_is_full(path + "-missing", 1 << 62)


def test_sync(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Environment.open(path, durability="relaxed") as environment:
        write(environment, b"1")
        environment.sync()
    calls: list[str] = []
    check: Callable[[object], None] = lambda txn: calls.append("checked")  # noqa: E731
    with Environment.open(path, check=check) as environment:
        assert read(environment) == b"1"
    assert not calls or sys.platform != "linux"
