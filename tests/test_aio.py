"""`mvdb.aio`: the same names and answers as `mvdb`, an event loop that goes on, turns of writers,
and cancellation at every await."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

import mvdb
import mvdb.aio
from tests.helpers import DIM, FakeEncoder, content, fill, matrix
from tests.support.patience import PATIENCE

OPEN: dict[str, Any] = {"dim": DIM, "durability": "relaxed", "background": False}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.mvdb"


def run(main: Coroutine[Any, Any, Any]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(main, PATIENCE)

    asyncio.run(bounded())


async def until(condition: Callable[[], object]) -> None:
    """Waits for an event of another thread or task."""
    while not condition():
        await asyncio.sleep(0.005)


class Slow(FakeEncoder):
    """An encoder that waits for permission, and notes its threads."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Event()
        self.begun = threading.Event()
        self.threads: set[int] = set()

    def encode_documents(self, texts: Any) -> Any:
        self.threads.add(threading.get_ident())
        self.begun.set()
        self.may_go_on.wait(PATIENCE)
        return super().encode_documents(texts)

    encode_queries = encode_documents


# ---- the same names ----

PAIRS = [
    (mvdb.Database, mvdb.aio.Database),
    (mvdb.Snapshot, mvdb.aio.Snapshot),
    (mvdb.Transaction, mvdb.aio.Transaction),
]


@pytest.mark.parametrize(("kind", "twin"), PAIRS)
def test_every_public_name_has_a_twin(kind: type, twin: type) -> None:
    names = [name for name in dir(kind) if not name.startswith("_")]
    assert len(names) > 10
    for name in names:
        original, other = getattr(kind, name), getattr(twin, name)
        if inspect.isfunction(original) and name not in ("transaction", "snapshot", "close"):
            assert inspect.signature(other) == inspect.signature(original), name
            assert other.__doc__, name
    assert inspect.signature(mvdb.aio.open) == inspect.signature(mvdb.open)


def test_the_same_answers(path: Path) -> None:
    with mvdb.open(path, **OPEN) as db:
        fill(db, 30)
        query = matrix(3)
        expected = db.search(query, 5, filter={"even": True})
        batch = db.search_batch([query, matrix(4)], 3)
        texts = [hit.text for hit in expected]
        others: list[Any] = [
            db.rerank(query, [1, 2]),
            db.more_like(3),
            db.get([1, "none"]),
            db.count({"even": True}),
            db.facets("even"),
            db.profile(query).hits,
            db.verify(),
        ]

    async def main() -> None:
        async with mvdb.aio.open(path, **OPEN) as db:
            found = await db.search(query, 5, filter={"even": True})
            assert await db.search_batch([query, matrix(4)], 3) == batch
            assert [
                await db.rerank(query, [1, 2]),
                await db.more_like(3),
                await db.get([1, "none"]),
                await db.count({"even": True}),
                await db.facets("even"),
                (await db.profile(query)).hits,
                await db.verify(),
            ] == others
            assert [name async for name in db.ids()] == list(range(30))
            documents = [one.id async for one in db.documents({"n": {"$gte": 25}})]
            assert documents == [25, 26, 27, 28, 29]
            assert await db.contains(3)
            assert not await db.contains("3")
            assert (await db.stats()).documents == 30
            assert (db.dim, db.bits, db.path, db.readonly) == (DIM, 2, path, False)
        assert found == expected
        assert [hit.text for hit in found] == texts  # read before the database was closed

    run(main())


def test_errors_are_the_same(path: Path) -> None:
    async def main() -> None:
        with pytest.raises(mvdb.PathNotFoundError):
            await mvdb.aio.open(path, create=False)
        async with mvdb.aio.open(path, **OPEN) as db:
            await db.insert(1, matrix(1), texts="one")
            with pytest.raises(mvdb.DuplicateIdError):
                await db.insert(1, matrix(1))
            with pytest.raises(mvdb.NotFoundError):
                await db.more_like(2)
            with pytest.raises(mvdb.InvalidInputError, match=r"^k: "):
                await db.search(matrix(1), 0)
            with pytest.raises(mvdb.InvalidInputError, match=r"^timeout: "):
                db.transaction(timeout="x")  # type: ignore[arg-type]
            with pytest.raises(mvdb.InvalidInputError, match=r"^cancel: "):
                await db.verify(cancel=5)  # type: ignore[arg-type]
            with pytest.raises(mvdb.InvalidInputError, match=r"^limit: "):
                async for _ in db.documents(limit=0):
                    pass
            assert [name async for name in db.ids()] == [1]

    run(main())


# ---- the loop goes on, and one writes at a time ----


def test_the_loop_goes_on_while_a_call_runs(path: Path) -> None:
    encoder = Slow()

    async def main() -> None:
        async with mvdb.aio.open(path, encoder=encoder, **OPEN) as db:
            task = asyncio.create_task(db.insert("a", texts="one two"))
            await until(encoder.begun.is_set)
            assert await db.search(matrix(1)) == []  # readers do not wait for the writer
            assert not task.done()
            encoder.may_go_on.set()
            await task
            assert (await db.search("one"))[0].id == "a"

    run(main())


def test_many_tasks_write_in_one_thread(path: Path) -> None:
    encoder = Slow()
    encoder.may_go_on.set()

    async def main() -> None:
        async with mvdb.aio.open(path, encoder=encoder, **OPEN) as db:

            async def work(number: int) -> None:
                async with db.transaction() as txn:
                    await txn.upsert([number, "last"], texts=[f"word{number}", f"by {number}"])
                    await asyncio.sleep(0)
                    hits = await txn.search(matrix(1), 3, ids=[number])
                    assert [hit.text for hit in hits] == [f"word{number}"]  # its own write
                await db.update(number, metadata={"n": number})
                assert (await db.get(number))[0] is not None

            await asyncio.gather(*(work(number) for number in range(25)))
            assert await db.count({"n": {"$exists": True}}) == 25
        assert len(encoder.threads) == 1
        assert threading.get_ident() not in encoder.threads

    run(main())
    assert len(content(path)) == 26


def test_a_second_transaction_waits_for_its_turn(path: Path) -> None:
    async def main() -> None:
        async with mvdb.aio.open(path, **OPEN) as db:
            order = []

            async def second() -> None:
                await db.insert("second", matrix(2))
                order.append("second")

            async with db.transaction() as txn:
                task = asyncio.create_task(second())
                with pytest.raises(mvdb.BusyError, match="this task"):
                    await db.insert("own", matrix(3))

                async def impatient(timeout: float) -> None:
                    async with db.transaction(timeout=timeout):
                        pass

                for timeout in (0, 0.01):
                    with pytest.raises(mvdb.BusyError, match="another task"):
                        await asyncio.create_task(impatient(timeout))
                await txn.insert("first", matrix(1))
                order.append("first")
            await task
            assert order == ["first", "second"]
            async with db.transaction(timeout=0):
                pass

    run(main())
    assert set(content(path)) == {"first", "second"}


def test_a_block_that_fails_is_rolled_back(path: Path) -> None:
    async def main() -> None:
        async with mvdb.aio.open(path, **OPEN) as db:

            async def fails() -> None:
                async with db.transaction() as txn:
                    await txn.insert("a", matrix(1))
                    raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await fails()
            assert await db.count() == 0
            txn = await db.transaction()
            await txn.insert("b", matrix(1))
            await txn.commit()
            await txn.rollback()
            with pytest.raises(mvdb.ClosedError):
                await txn.insert("c", matrix(1))
            async with db.snapshot() as snapshot:
                await db.insert("d", matrix(1))
                assert [name async for name in snapshot.ids()] == ["b"]
            assert await db.count() == 2

    run(main())


def test_a_lost_transaction_is_rolled_back(path: Path) -> None:
    async def main() -> None:
        async with mvdb.aio.open(path, **OPEN) as db:
            txn: mvdb.aio.Transaction | None = await db.transaction()
            assert txn is not None
            await txn.insert("a", matrix(1))
            txn = None
            gc.collect()
            await asyncio.create_task(db.insert("b", matrix(1)))
            assert [name async for name in db.ids()] == ["b"]

    run(main())


# ---- cancellation ----


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_cancelled_in_the_middle_of_a_transaction(path: Path) -> None:
    """At each await of the block: before, within and after a call that runs."""
    encoder = Slow()

    async def main() -> None:
        async with mvdb.aio.open(path, encoder=encoder, **OPEN) as db:
            reached = asyncio.Event()

            async def work() -> None:
                async with db.transaction() as txn:
                    await txn.insert("a", matrix(1))
                    reached.set()
                    await asyncio.sleep(PATIENCE)

            task = asyncio.create_task(work())
            await reached.wait()
            await cancelled(task)
            assert await db.count() == 0

            async def encoding() -> None:
                async with db.transaction() as txn:
                    await txn.insert("a", texts="one")

            for writes in (encoding, lambda: db.insert("a", texts="one")):
                encoder.begun.clear()
                encoder.may_go_on.clear()
                task = asyncio.create_task(writes())
                await until(encoder.begun.is_set)
                task.cancel()
                await asyncio.sleep(0.01)
                task.cancel()  # a second time, while it is rolled back
                await asyncio.sleep(0.01)
                encoder.may_go_on.set()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await db.count() == 0
            await db.insert("b", matrix(1))  # the turn was given back
            assert [name async for name in db.ids()] == ["b"]

    run(main())
    assert list(content(path)) == ["b"]


@pytest.mark.parametrize("by", ["the turn", "the writer of another handle"])
def test_cancelled_while_it_waits_to_begin(path: Path, by: str) -> None:
    async def main() -> None:
        async with mvdb.aio.open(path, **OPEN) as db:
            begins = asyncio.create_task(db.insert("never", matrix(1)))
            if by == "the turn":
                async with db.transaction() as txn:
                    await asyncio.sleep(0.05)
                    await cancelled(begins)
                    await txn.insert("a", matrix(1))
            else:
                begins.cancel()
                other = mvdb.open(path, **OPEN)
                with other, other.transaction() as sync:
                    begins = asyncio.create_task(db.insert("never", matrix(1)))
                    await asyncio.sleep(0.05)
                    await cancelled(begins)  # at once, though its thread waits
                    sync.insert("a", matrix(1))
            await db.insert("b", matrix(2))
            assert [name async for name in db.ids()] == ["a", "b"]

    run(main())


def test_a_commit_is_carried_through(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_go_on = threading.Event(), threading.Event()
    commit = mvdb.Transaction.commit

    def slow(self: mvdb.Transaction) -> None:
        begun.set()
        may_go_on.wait(PATIENCE)
        commit(self)

    monkeypatch.setattr(mvdb.Transaction, "commit", slow)

    async def main() -> None:
        async with mvdb.aio.open(path, **OPEN) as db:
            task = asyncio.create_task(db.insert("a", matrix(1)))
            await until(begun.is_set)
            for _ in range(3):
                task.cancel()
                await asyncio.sleep(0.01)
            assert not task.done()
            may_go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await db.contains("a")

    run(main())


def test_random_cancellations_leave_whole_transactions(path: Path) -> None:
    async def main() -> None:
        async with mvdb.aio.open(path, **OPEN) as db:
            started = time.perf_counter()
            await db.insert(["warm", "up"], [matrix(1), matrix(2)])
            usual = time.perf_counter() - started

            async def pair(number: int) -> None:
                async with db.transaction() as txn:
                    await txn.insert(2 * number, matrix(number))
                    await txn.insert(2 * number + 1, matrix(number))

            done = 0
            for number in range(60):
                task = asyncio.create_task(pair(number))
                await asyncio.sleep(usual * 2 * number / 60)
                task.cancel()
                try:
                    await task
                    done += 1
                except asyncio.CancelledError:
                    pass
                names = {name async for name in db.ids()}
                assert (2 * number in names) == (2 * number + 1 in names)
            assert done < 60
            assert (await db.verify()).ok

    run(main())


def test_a_long_call_ends_when_its_task_is_cancelled(path: Path) -> None:
    ended = threading.Event()
    got = []

    def batches() -> Iterator[Any]:
        try:
            for number in range(10**6):
                got.append(number)
                yield number, matrix(number)
        finally:
            ended.set()

    async def main() -> None:
        async with mvdb.aio.open(path, **OPEN) as db:
            task = asyncio.create_task(db.insert_batches(batches(), commit_every=10))
            await until(lambda: len(got) > 50)
            await cancelled(task)
            await until(ended.is_set)
            await db.insert("after", matrix(1))
            count = await db.count()
            assert (count - 1) % 10 == 0
            assert 0 < count - 1 <= len(got)

            event = threading.Event()
            event.set()
            with pytest.raises(mvdb.CancelledError):
                await db.verify(cancel=event)

    run(main())


def test_progress_is_called_in_the_loop(path: Path) -> None:
    async def main() -> None:
        async with mvdb.aio.open(path, **OPEN) as db:
            await db.insert(list(range(20)), [matrix(i) for i in range(20)])
            reports: list[tuple[Any, ...]] = []

            def progress(*report: Any) -> None:
                assert threading.current_thread() is threading.main_thread()
                asyncio.get_running_loop()
                reports.append(report)

            await db.search_batch([matrix(i) for i in range(7)], progress=progress)
            assert reports[-1] == (7, 7)
            await db.backup(path.with_name("copy.mvdb"), progress=progress)
            assert reports[-1][0] == os.path.getsize(path.with_name("copy.mvdb"))
            steps: list[Any] = []
            await db.insert("more", matrix(1))
            await db.optimize(steps.append)
            assert steps == ["merging", "relevance"]

    run(main())


# ---- the end ----


def test_after_the_end(path: Path) -> None:
    async def main() -> None:
        db = await mvdb.aio.open(path, **OPEN)
        await db.insert("a", matrix(1))
        await asyncio.gather(db.close(), db.close())
        await db.close()
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: db.search(matrix(1)),
            lambda: db.insert("b", matrix(1)),
            lambda: db.stats(),
            lambda: db.insert_batches([]),
            db.transaction()._make,
            db.snapshot()._make,
        ]
        for call in calls:
            with pytest.raises(mvdb.ClosedError):
                await call()

    run(main())
    assert list(content(path)) == ["a"]


def test_closed_while_calls_and_a_transaction_are_under_way(path: Path) -> None:
    async def main() -> None:
        db = await mvdb.aio.open(path, **OPEN)
        await db.insert(list(range(200)), [matrix(i) for i in range(200)])
        searches = [asyncio.create_task(db.search(matrix(i))) for i in range(40)]
        txn = await db.transaction()
        await txn.insert("lost", matrix(1))
        await asyncio.sleep(0)
        await db.close()
        for result in await asyncio.gather(*searches, return_exceptions=True):
            assert isinstance(result, mvdb.ClosedError) or len(result) == 10  # type: ignore[arg-type]
        with pytest.raises(mvdb.ClosedError):
            await txn.commit()

    run(main())
    assert "lost" not in content(path)
    assert len(content(path)) == 200


def test_an_opening_that_is_cancelled_leaves_no_handle(path: Path) -> None:
    async def main() -> None:
        for _ in range(20):
            task = asyncio.create_task(mvdb.aio.open(path, **OPEN)._make())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        async with mvdb.aio.open(path, **OPEN) as db:
            await db.insert("a", matrix(1))
            await db.compact()  # needs to be alone

    run(main())
