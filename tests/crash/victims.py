"""The processes that get killed. They are forked from a server that has mvdb imported already, so
that a start costs milliseconds."""

from __future__ import annotations

import multiprocessing
import struct
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import mvdb
from mvdb.limits import Limits
from tests.crash.workload import Config, State, model_of, next_step, perform
from tests.support.model import check_content, make_entry
from tests.support.opening import opened

BEGIN, DONE, READY, FAILED = 1, 2, 3, 4
_MESSAGE = struct.Struct("<BQ")

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.crash.victims"])


def start(target: Any, *args: Any) -> tuple[BaseProcess, Connection]:
    """Starts target(pipe, *args) in a process of its own; the pipe's reading end is ours."""
    reader, writer = _context.Pipe(duplex=False)
    process = _context.Process(target=target, args=(writer, *args), daemon=True)
    process.start()
    writer.close()
    return process, reader


def receive_one(pipe: Connection) -> tuple[int, int]:
    """The next thing that a process says. EOFError: it has ended."""
    what, number = _MESSAGE.unpack(pipe.recv_bytes())
    return what, number


def receive(pipe: Connection) -> list[tuple[int, int]]:
    """Everything that a process has said before its death."""
    messages: list[tuple[int, int]] = []
    try:
        while True:
            messages.append(receive_one(pipe))
    except EOFError:
        pipe.close()
    return messages


def say(pipe: Connection, what: int, number: int = 0) -> None:
    """One small write: it arrives whole or not at all."""
    pipe.send_bytes(_MESSAGE.pack(what, number))


def limits_of(config: Config) -> Limits:
    """The limits of a configuration."""
    return Limits(
        train_documents=config.train_documents,
        flush_bytes=20_000,
        base_tokens=256,
        fanout=4,
        chunk_bytes=20_000,
        listed_tokens=config.listed_tokens,
        cluster_documents=8,
        extent_bytes=2000,
        growth=config.growth,
        extended_at_once=0,
        commit_tokens=config.commit_tokens,
        step_bytes=config.step_bytes,
    )


def write_on(pipe: Connection, path: str, config: Config, sequence: int, state: State) -> None:
    """Opens the file and does step after step from `sequence` on, until it is killed."""
    try:
        db = opened(
            path,
            limits_of(config),
            dim=config.dim,
            bits=config.bits,
            durability=config.durability,
            background=config.background,
        )
        say(pipe, READY)
        while True:
            step, state = next_step(config, sequence, state)
            say(pipe, BEGIN, sequence)
            perform(db, config, step)
            say(pipe, DONE, sequence)
            sequence += 1
    except BaseException:
        say(pipe, FAILED, sequence)
        raise


def create(pipe: Connection, path: str) -> None:
    """Creates path0, path1, ... and leaves them open."""
    say(pipe, READY)
    created = []
    for number in range(1000):
        say(pipe, BEGIN, number)
        created.append(mvdb.open(f"{path}{number}", dim=3, bits=2))
        say(pipe, DONE, number)


def compact(pipe: Connection, path: str) -> None:
    """Compacts the file in place, again and again."""
    db = mvdb.open(path)
    say(pipe, READY)
    for number in range(1000):
        say(pipe, BEGIN, number)
        db.compact()
        say(pipe, DONE, number)


def backup(pipe: Connection, path: str, target: str) -> None:
    """Copies the file to target0, target1, ..."""
    db = mvdb.open(path)
    say(pipe, READY)
    for number in range(1000):
        say(pipe, BEGIN, number)
        db.backup(f"{target}{number}")
        say(pipe, DONE, number)


MAINTAINED = Limits(
    train_documents=40,
    base_tokens=64,
    fanout=3,
    commit_tokens=0,
    listed_tokens=150,
    cluster_documents=8,
    extent_bytes=500,
    chunk_bytes=2000,
    step_bytes=300,
    growth=1.3,
    extended_at_once=0,
)
"""With these there is always something to be done, in many steps."""


def maintain(pipe: Connection, path: str, background: bool, first: int) -> None:
    """Inserts documents of the sample model from number `first` on, a few a commit; what that makes
    due is done in the background, or by `optimize` after every tenth commit."""
    try:
        db = opened(path, MAINTAINED, background=background)
        say(pipe, READY)
        for number in range(first, 1 << 20, 3):
            say(pipe, BEGIN, number)
            names = [number, number + 1, number + 2]
            entries = [make_entry(name, 1, 3) for name in names]
            db.insert(
                names,
                [entry.vectors for entry in entries],
                texts=[entry.text for entry in entries],
                metadata=[entry.metadata for entry in entries],
            )
            say(pipe, DONE, number)
            if not background and number % 30 == 0:
                db.optimize()
    except BaseException:
        say(pipe, FAILED)
        raise


def check_here(pipe: Connection, path: str, config: Config, state: State) -> None:
    """Opens the file in this process and compares it with a state."""
    try:
        with mvdb.open(path, readonly=True) as db:
            report = db.verify()
            assert report.ok, report.problems
            check_content(db, model_of(config, state), config.bits)
    except BaseException:
        say(pipe, FAILED)
        raise
    say(pipe, DONE)
