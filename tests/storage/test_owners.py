"""A write transaction is ended by the thread that began it, and by nobody else.

liblmdb's mutex belongs to a thread: a commit in another one left it locked, and every writer of
every process waited for ever, whatever its timeout."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable

import pytest
from processes import Child

from mvdb.errors import BusyError, ClosedError, WrongThreadError
from mvdb.storage.environment import Environment, WriteTransaction


def in_thread(work: Callable[[], object]) -> BaseException | None:
    """What a thread raises that does this."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="other")
    thread.start()
    thread.join()
    return raised[0] if raised else None


def others_can_write(path: str) -> None:
    """Another process gets the lock."""
    script = """
        with Environment.open(path) as environment, environment.write(timeout=10) as txn:
            txn.put("ids", b"theirs", b"v")
        say("written")
    """
    with Child(script, path) as child:
        child.expect("written")
        child.finish()


@pytest.mark.parametrize("end", ["commit", "abort", "close"])
def test_another_thread_cannot_end_it(environment: Environment, path: str, end: str) -> None:
    txn = environment.write()
    txn.put("ids", b"k", b"v")
    error = in_thread(getattr(txn, end))
    assert isinstance(error, WrongThreadError)
    assert "'MainThread'" in str(error)
    assert "'other'" in str(error)
    with environment.read() as reader:
        assert reader.get("ids", b"k") is None
    txn.put("ids", b"l", b"v")
    txn.commit()
    with environment.read() as reader:
        assert reader.count("ids") == 2
    others_can_write(path)


def test_the_main_thread_cannot_end_another_ones(environment: Environment, path: str) -> None:
    begun: list[WriteTransaction] = []
    ready, go = threading.Event(), threading.Event()

    def work() -> None:
        begun.append(environment.write())
        ready.set()
        assert go.wait(60)
        begun[0].commit()

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(60)
    begun[0].put("ids", b"k", b"v")
    with pytest.raises(WrongThreadError):
        begun[0].commit()
    with pytest.raises(BusyError, match="another thread"):
        environment.write(timeout=0.1)
    go.set()
    thread.join()
    with environment.read() as reader:
        assert reader.get("ids", b"k") is not None
    others_can_write(path)


def test_one_that_another_thread_collects(environment: Environment, path: str) -> None:
    """The main thread's is rolled back at once, by the thread that began it in its stead."""
    held = [environment.write()]
    held[0].put("ids", b"k", b"v")
    assert in_thread(held.clear) is None
    gc.collect()
    others_can_write(path)
    with environment.read() as reader:
        assert reader.get("ids", b"k") is None


def test_one_that_is_collected_while_its_thread_goes_on(
    environment: Environment, path: str
) -> None:
    held: list[WriteTransaction] = []
    ready, lost, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        held.append(environment.write())
        ready.set()
        assert lost.wait(60)
        environment.read().close()  # its next call
        ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(60)
    held.clear()
    gc.collect()
    with pytest.raises(BusyError):  # not by the collector's thread
        environment.write(timeout=0.1)
    lost.set()
    assert ended.wait(60)
    with environment.write(timeout=10) as txn:
        txn.put("ids", b"k", b"v")
    thread.join()
    others_can_write(path)


@pytest.mark.parametrize("keep", [True, False])
def test_one_whose_thread_has_ended(environment: Environment, path: str, keep: bool) -> None:
    held: list[WriteTransaction] = []

    def work() -> None:
        held.append(environment.write())
        held[0].put("ids", b"lost", b"v")

    assert in_thread(work) is None
    if not keep:
        held.clear()
    with environment.write(timeout=10) as txn:
        assert txn.get("ids", b"lost") is None
        txn.put("ids", b"k", b"v")
    if keep:
        with pytest.raises(ClosedError):
            held[0].get("ids", b"k")
    others_can_write(path)
    held.clear()
    with environment.read() as reader:
        assert reader.count("ids") == 2


def test_one_that_was_rolled_back_is_collected_later(environment: Environment) -> None:
    """Collecting it rolled back the transaction that was open by then."""
    held: list[WriteTransaction] = []
    assert in_thread(lambda: held.append(environment.write())) is None
    with environment.write(timeout=10) as txn:
        txn.put("ids", b"k", b"v")
        held.clear()
        gc.collect()
        environment.read().close()
        txn.put("ids", b"l", b"v")
    with environment.read() as reader:
        assert reader.count("ids") == 2
