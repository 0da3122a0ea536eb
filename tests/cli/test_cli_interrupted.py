"""Runs of ``mvdb index`` that end in the middle, and the same command given again."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import ENCODER, CommandLine

import mvdb
from tests.support.patience import PATIENCE

KILLS = int(os.environ.get("MVDB_KILLS", "4"))
SEED = int(os.environ.get("MVDB_SEED", "20261127"))
FILES, PARAGRAPHS = 60, 12  # some six batches
HALF = {"WORDS_ENCODER_BATCHES": "5"}
"""For a run that comes no further than that, whenever it is stopped."""


@pytest.fixture
def many(mvdb_cli: CommandLine) -> CommandLine:
    for number in range(FILES):
        text = "\n\n".join(
            f"File {number}, part {part}: " + "word " * 125 for part in range(PARAGRAPHS)
        )
        mvdb_cli.write(f"notes/{number}.txt", text)
    return mvdb_cli


def documents(cli: CommandLine) -> int:
    """What has been committed so far; 0 while there is no file."""
    try:
        with mvdb.open(cli.folder / "n.mvdb", readonly=True) as db:
            return len(db)
    except FileNotFoundError:
        return 0


def stop_in_the_middle(
    cli: CommandLine, process: subprocess.Popen[bytes], sign: signal.Signals
) -> bytes:
    deadline = time.monotonic() + PATIENCE
    while documents(cli) < 2 * 128:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(sign)
    return process.communicate(timeout=PATIENCE)[1]


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_the_same_command_completes_it(many: CommandLine, sign: signal.Signals) -> None:
    process = many.start("index", "notes", "n.mvdb", *ENCODER, environment=HALF)
    message = stop_in_the_middle(many, process, sign)
    before = documents(many)
    if sign == signal.SIGINT:
        assert process.returncode == 130
        warning, error = message.decode().splitlines()
        stated = re.fullmatch(
            rf"mvdb: warning: at least (\d+) of {FILES * PARAGRAPHS} passages are stored; "
            "the same command goes on from there",
            warning,
        )
        # A commit may be durable and not yet counted: one batch, which ends with a file.
        assert stated is not None
        assert before - (128 + PARAGRAPHS) < int(stated[1]) <= before
        assert error == "mvdb: error: interrupted"
    else:
        assert process.returncode == -signal.SIGKILL
    assert 0 < before < FILES * PARAGRAPHS
    assert many.ok("verify", "n.mvdb", "--json").json["ok"]

    summary = many.index("notes", "n.mvdb")
    # Whole files only were there, and those were not done again.
    assert summary["files"]["unchanged"] == before // PARAGRAPHS
    assert before % PARAGRAPHS == 0
    assert summary["passages"]["written"] == FILES * PARAGRAPHS - before

    wanted = {f"notes/{n}.txt#{p}" for n in range(FILES) for p in range(1, PARAGRAPHS + 1)}
    lines = many.export()
    assert len(lines) == len(wanted)
    assert {line["id"] for line in lines} == wanted
    assert len({line["text"] for line in lines}) == len(wanted)


def test_records_go_on_where_they_stopped(mvdb_cli: CommandLine) -> None:
    lines = "\n".join(json.dumps({"id": n, "text": f"record {n}"}) for n in range(1280)).encode()
    process = mvdb_cli.start(
        "index", "-", "n.mvdb", *ENCODER, environment=HALF, stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(lines)
    process.stdin.flush()
    stop_in_the_middle(mvdb_cli, process, signal.SIGKILL)
    before = documents(mvdb_cli)
    summary = mvdb_cli.index("-", "n.mvdb", stdin=lines)
    assert summary["passages"]["kept"] == before > 0
    assert len(mvdb_cli.export()) == 1280


def test_a_reader_that_has_seen_enough_is_no_error(many: CommandLine) -> None:
    many.index("notes", "n.mvdb")
    process = many.start("export", "n.mvdb")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["id"] == "notes/0.txt#1"
    process.stdout.close()
    assert process.wait(timeout=PATIENCE) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""


def test_output_that_cannot_be_written_is_an_error(notes: CommandLine) -> None:
    if sys.platform != "linux":
        pytest.skip("needs /dev/full")
    with open("/dev/full", "wb") as full:
        process = notes.start("export", "n.mvdb", stdout=full)
        _, message = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert message.decode().startswith("mvdb: error: ")
    assert len(message.decode().splitlines()) == 1


def test_interrupted_at_random_it_ends_like_an_uninterrupted_run(
    many: CommandLine, tmp_path: Path
) -> None:
    """Nothing is encoded twice but the batch in flight. `MVDB_KILLS=20` is the long form."""
    many.write("notes/long.txt", "\n\n".join(f"Part {n}. " + "word " * 125 for n in range(300)))
    started = time.monotonic()
    many.index("notes", "whole.mvdb")
    seconds = time.monotonic() - started
    random_moments = random.Random(SEED)
    log = {"WORDS_ENCODER_LOG": str(tmp_path / "encoded.log")}
    for _ in range(KILLS):
        process = many.start("index", "notes", "n.mvdb", *ENCODER, environment=log)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds * random_moments.uniform(0.3, 1))
        process.send_signal(random_moments.choice([signal.SIGKILL, signal.SIGINT]))
        process.communicate(timeout=PATIENCE)
    many.ok("index", "notes", "n.mvdb", *ENCODER, environment=log)
    assert many.export("n.mvdb") == many.export("whole.mvdb")
    passages = FILES * PARAGRAPHS + 300
    encoded = sum(map(int, (tmp_path / "encoded.log").read_text().split()))
    in_flight = 128 + PARAGRAPHS  # small files are stored whole, a long one in parts of 128
    assert passages <= encoded <= passages + KILLS * in_flight
