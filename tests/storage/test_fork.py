from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable

import pytest

from mvdb.errors import ClosedError
from mvdb.storage.environment import Environment
from tests.support.patience import PATIENCE

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def in_child(work: Callable[[], None]) -> int:
    """Run ``work`` in a forked child; its process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def wait(child: int) -> None:
    assert os.waitpid(child, 0)[1] == 0


def test_the_parents_handle_is_refused_in_the_child(environment: Environment) -> None:
    reader = environment.read()
    writer = environment.write()
    writer.put("ids", b"k", b"v")

    def work() -> None:
        for refused in (environment.read, environment.write, environment.sync):
            with pytest.raises(ClosedError, match="before fork"):
                refused()
        with pytest.raises(ClosedError):
            writer.put("ids", b"k", b"w")
        with pytest.raises(ClosedError):
            writer.commit()
        reader.close()
        writer.abort()
        environment.close()
        environment.close()

    wait(in_child(work))
    writer.commit()
    reader.close()
    with environment.read() as txn:
        assert bytes(txn.get("ids", b"k") or b"") == b"v"


def test_the_child_opens_the_file_itself(environment: Environment, path: str) -> None:
    with environment.write() as txn:
        txn.put("ids", b"parent", b"v")
    reader = environment.read()

    def work() -> None:
        with Environment.open(path) as own:
            with own.write(timeout=PATIENCE) as txn:
                assert txn.get("ids", b"parent") is not None
                txn.put("ids", b"child", b"v")
            wait(in_child(lambda: Environment.open(path).close()))

    wait(in_child(work))
    assert reader.get("ids", b"child") is None
    reader.close()
    with environment.read() as txn:
        assert txn.get("ids", b"child") is not None
    assert os.path.exists(path + "-lock")


def test_a_snapshot_of_the_parent_survives_the_end_of_a_child(environment: Environment) -> None:
    """A child must not release the reader slot it inherited: it lies in shared memory."""
    with environment.write() as txn:
        txn.put("ids", b"k", b"v" * 5000)
    reader = environment.read()
    value = reader.get("ids", b"k")
    child = os.fork()
    if child == 0:
        os.execv("/bin/true", ["true"])
    wait(child)

    def work() -> None:
        nonlocal reader, value
        del value
        reader.close()
        del reader

    wait(in_child(work))
    for number in range(20):
        with environment.write() as txn:
            txn.put("ids", b"k", b"%d" % (number % 10) * 5000)
    assert value is not None
    assert bytes(value) == b"v" * 5000
    reader.close()


def test_a_living_child_does_not_keep_the_parents_locks(path: str) -> None:
    """Forked workers that outlive their parent inherit its descriptors."""
    environment = Environment.open(path)
    ready, told = os.pipe()
    child = in_child(lambda: (os.read(ready, 1), None)[1])
    try:
        environment.close()
        assert not os.path.exists(path + "-lock")
        with Environment.open(path) as again, again.write(timeout=PATIENCE) as txn:
            txn.put("ids", b"k", b"v")
    finally:
        os.write(told, b"x")
        wait(child)
        os.close(ready)
        os.close(told)


def test_normal_exit_of_a_child_with_inherited_handles(path: str) -> None:
    from processes import run

    out = run(
        """
        environment = Environment.open(path)
        with environment.write() as txn:
            txn.put("ids", b"k", b"v" * 5000)
        reader = environment.read()
        value = reader.get("ids", b"k")
        child = os.fork()
        if child == 0:
            sys.exit(0)  # the interpreter tears everything down
        assert os.waitpid(child, 0)[1] == 0
        for _ in range(10):
            with environment.write(timeout=PATIENCE) as txn:
                txn.put("ids", b"k", os.urandom(5000))
        assert bytes(value) == b"v" * 5000
        print("ok")
        """,
        path,
    )
    assert out == "ok"


def test_killed_parent_with_a_living_child(path: str) -> None:
    from processes import Child

    script = """
        environment = Environment.open(path)
        txn = environment.write()
        child = os.fork()
        if child == 0:
            time.sleep(FOR_EVER)
            os._exit(0)
        say(str(child)); hear()
    """
    with Child(script, path) as parent:
        child = int(parent.hear())
        parent.kill()
        try:
            with Environment.open(path) as environment, environment.write(timeout=PATIENCE) as txn:
                txn.put("ids", b"k", b"v")
        finally:
            os.kill(child, signal.SIGKILL)
