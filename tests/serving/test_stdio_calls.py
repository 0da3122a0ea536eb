"""Calls side by side: their order, progress, cancellation, and the end of the process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import mvdb
from mvdb.serving.backlog import MAX_CALLS, Backlog
from mvdb.serving.lines import LineWriter, read_lines
from mvdb.serving.methods import Lane, Method
from mvdb.serving.stdio_server import StdioServer
from mvdb.serving.watch import Watch
from tests.serving.sidecar import ENCODER, Sidecar
from tests.support.patience import PATIENCE


def codes(messages: list[dict[str, Any]]) -> dict[Any, Any]:
    """The outcome of each call: its result, or the code of its error."""
    return {
        one["id"]: one["error"]["code"] if "error" in one else one["result"] for one in messages
    }


def test_changes_keep_their_order_and_reads_do_not_wait(tmp_path: Path) -> None:
    with Sidecar(tmp_path, *ENCODER) as process:
        process.call("insert", ids="a", texts="first")
        process.send("upsert", as_id="slow", ids="a", texts="slow one")
        process.send("upsert", as_id="next", ids="a", texts="last one")
        assert process.call("get", ids="a")[0]["text"] == "first"
        assert process.call("verify")["ok"]
        process.gate.touch()
        assert [process.next()["id"] for _ in range(2)] == ["slow", "next"]
        assert process.call("get", ids="a")[0]["text"] == "last one"


def test_an_id_is_free_once_its_answer_has_come(tmp_path: Path) -> None:
    with Sidecar(tmp_path, *ENCODER) as process:
        process.send("upsert", as_id="x", ids="a", texts="slow")
        process.send("count", as_id="x")
        message = process.next()
        assert message["id"] == "x"
        assert message["error"]["code"] == "invalid_request"
        process.gate.touch()
        assert process.next() == {"id": "x", "result": None}
        process.send("count", as_id="x")
        assert process.next() == {"id": "x", "result": 1}


def test_a_call_that_waits_is_cancelled_at_once(tmp_path: Path) -> None:
    with Sidecar(tmp_path, *ENCODER) as process:
        process.send("insert", as_id="runs", ids="a", texts="slow")
        process.send("insert", as_id="waits", ids="b", texts="never")
        process.send("cancel", as_id="cancel", id="waits")
        found = codes([process.next(), process.next()])
        assert found == {"waits": "cancelled", "cancel": True}
        assert process.call("cancel", id="waits") is False
        assert process.call("cancel", id="nobody") is False
        process.gate.touch()
        assert process.next() == {"id": "runs", "result": None}
        assert [one["id"] for one in process.call("documents")["documents"]] == ["a"]


def test_indexing_reports_and_is_cancelled_and_goes_on(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(200):
        (notes / f"{number:03}.txt").write_text(f"Note {number} is slow.")
    with Sidecar(tmp_path, *ENCODER) as process:
        process.send("index", as_id="index", listen=True, sources=["notes"])
        first = process.next()
        assert first["id"] == "index"
        assert first["progress"] == {"step": "looking"}
        assert process.next()["progress"] == {"done": 1, "total": 200}
        process.wait_for("encoding 128")  # the first batch of files, which waits for the gate
        assert process.call("cancel", id="index") is True
        process.gate.touch()
        assert codes([process.answer("index")]) == {"index": "cancelled"}
        assert process.call("count") == 128
        done = process.call("index", sources=["notes"])
        assert done["files"]["unchanged"] == 128
        assert process.call("count") == 200


def test_progress_comes_only_where_it_is_asked_for(tmp_path: Path) -> None:
    queries = ["some words"] * 20
    with Sidecar(tmp_path, *ENCODER) as process:
        process.call("insert", ids=["a", "b"], texts=["some words", "others"])
        process.send("search_batch", as_id=1, queries=queries, fields=[])
        assert process.next()["result"][0][0]["id"] == "a"
        process.send("search_batch", as_id=2, listen=True, queries=queries, fields=[])
        lines = [process.next()]
        while "progress" in lines[-1]:
            lines.append(process.next())
        assert lines[-2]["progress"] == {"done": 20, "total": 20}
        process.send("optimize", as_id=3, listen=True)
        assert isinstance(process.next()["progress"]["step"], str)
        process.answer(3)


def test_the_end_of_the_input_answers_what_was_asked(tmp_path: Path) -> None:
    with Sidecar(tmp_path, *ENCODER) as process:
        process.send("insert", as_id=1, ids="a", texts="slow")
        process.send("insert", as_id=2, ids="b", texts="quick")
        process.write(b'{"id": 3, "method": "count"}')  # the last line has no end
        threading.Timer(0.2, process.gate.touch).start()
        found = codes(process.end())
        assert found.keys() == {1, 2, 3}
        assert (found[1], found[2]) == (None, None)
    with mvdb.open(tmp_path / "n.mvdb", readonly=True) as db:
        assert set(db.ids()) == {"a", "b"}


def test_nobody_reads_the_answers(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with Sidecar(tmp_path, *ENCODER, stdout=writing) as process:
        os.close(writing)
        process.send("insert", ids="a", texts="text")
        assert process.process.wait(PATIENCE) == 0
        assert "error" not in process.errors()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15), (signal.SIGKILL, -9)]
)
def test_signals_end_the_process_and_keep_the_file_whole(
    tmp_path: Path, number: int, code: int
) -> None:
    with Sidecar(tmp_path, *ENCODER) as process:
        process.call("insert", ids="a", texts="answered, therefore stored")
        process.send("insert", ids="b", texts="slow")
        process.call("count")
        process.process.send_signal(number)
        if number == signal.SIGINT:
            process.gate.touch()  # encoding cannot be interrupted
        assert process.process.wait(PATIENCE) == code
        assert "Traceback" not in process.errors()
    with mvdb.open(tmp_path / "n.mvdb") as db:
        assert "a" in db
        assert db.verify().ok


def test_output_of_libraries_goes_to_standard_error(tmp_path: Path) -> None:
    with Sidecar(tmp_path, *ENCODER) as process:
        process.call("insert", ids="a", texts="text")
        process.end()
        assert "loading the model" in process.errors()
        assert "loaded by a library in C" in process.errors()
        assert "encoding 1" in process.errors()


def waiting(begun: threading.Event, ended: list[bool]) -> Method:
    """A method that runs until it is cancelled."""

    def run(db: mvdb.Database, params: dict[str, Any], watch: Watch) -> None:
        begun.set()
        ended.append(watch.cancel.wait(PATIENCE))

    return Method(Lane.READ, run)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell of readers of a pipe")
def test_calls_of_an_application_that_died_are_cancelled(tmp_path: Path) -> None:
    requests, to_server = os.pipe()
    from_server, answers = os.pipe()
    begun, ended = threading.Event(), list[bool]()
    with mvdb.open(tmp_path / "n.mvdb", dim=2) as db:
        server = StdioServer(db, requests, answers, extra={"wait": waiting(begun, ended)})
        thread = threading.Thread(target=server.run)
        thread.start()
        os.write(to_server, b'{"id": 1, "method": "wait"}\n')
        assert begun.wait(PATIENCE)
        os.close(to_server)
        os.close(from_server)
        thread.join()
    os.close(requests)
    os.close(answers)
    assert ended == [True]


def test_more_requests_than_are_held_are_all_answered(tmp_path: Path) -> None:
    with Sidecar(tmp_path, *ENCODER) as process:
        process.send("insert", as_id="slow", ids=-1, texts="slow")
        number = 3 * MAX_CALLS
        for place in range(number):
            process.send("insert", as_id=place, ids=place, embeddings=[[1.0] * 64])
        process.gate.touch()
        assert [process.next()["id"] for _ in range(number + 1)] == ["slow", *range(number)]
        assert process.call("count") == number + 1


def enter(backlog: Backlog, entered: threading.Event) -> None:
    backlog.enter(1)
    entered.set()


def test_the_backlog_is_bounded_by_calls_and_by_bytes() -> None:
    for backlog, sizes in [(Backlog(calls=2, bytes=100), (1, 1)), (Backlog(9, 100), (60, 40))]:
        for size in sizes:
            backlog.enter(size)
        entered = threading.Event()
        thread = threading.Thread(target=enter, args=(backlog, entered))
        thread.start()
        assert not entered.wait(0.05)
        backlog.leave(sizes[0])
        assert entered.wait(PATIENCE)
        thread.join()
    alone = Backlog(calls=2, bytes=10)
    alone.enter(1000)  # one call always has room


@pytest.mark.parametrize("ends", [b"", b"\n"])
def test_lines_of_any_length_come_whole_or_not_at_all(ends: bytes) -> None:
    sizes = [0, 1, 99, 100, 101, 65_535, 65_536, 65_537, 300_000, 5, 100]
    lines = [bytes([97 + place]) * size for place, size in enumerate(sizes)]
    for most in (100, 65_536, 1 << 20):
        input, output = os.pipe()

        def write(output: int = output) -> None:
            with open(output, "wb") as file:
                file.write(b"\n".join(lines) + ends)

        thread = threading.Thread(target=write)
        thread.start()
        found = list(read_lines(input, most))
        thread.join()
        os.close(input)
        assert found == [line if len(line) <= most else None for line in lines]


def test_lines_of_several_threads_stay_whole() -> None:
    input, output = os.pipe()
    writer = LineWriter(output)
    messages = [{"id": place, "result": f"{place}\n\u2028" * 30_000} for place in range(8)]
    threads = [threading.Thread(target=writer.write, args=(one,)) for one in messages]

    def write() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os.close(output)

    writing = threading.Thread(target=write)
    writing.start()
    lines = list(read_lines(input))
    writing.join()
    os.close(input)
    assert len(lines) == len(messages)
    assert all(line is not None and line.isascii() for line in lines)
