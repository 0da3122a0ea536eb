"""What the writer process does, as a pure function of a seed: step n turns one state into the next.

A state is a dict of ids and the versions of their documents; the writer and its parent compute the
same ones without talking. Every step that changes content also sets the text of the document
``clock`` to the step's number, so that a reader can tell which state a file claims to be in.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

import mvdb
from tests.support.model import Entry, Id, Model, make_entry

CLOCK = "clock"
METADATA = 1 << 32
"""A version is that of vectors, text and metadata; when the metadata was updated later, the version
of that update times METADATA is added."""

State = dict[Id, int]


@dataclass(frozen=True)
class Config:
    """A file and the thresholds under which it is written."""

    seed: int
    bits: int
    dim: int
    train_documents: int
    limit: int
    """About so many documents at most."""
    durability: str = "full"
    max_tokens: int = 5
    listed_tokens: int = 1 << 20
    growth: float = 3.0
    commit_tokens: int = 1 << 18
    step_bytes: int = 8 << 20
    background: bool = True


@dataclass
class Step:
    """One call or transaction: `kind`, and for transactions their writes in order."""

    kind: str
    writes: list[tuple[str, list[Id], int]] = field(default_factory=list)
    """("upsert" | "insert" | "update" | "delete" | "search", ids, version)"""


def make_config(seed: int) -> Config:
    """A random configuration; every sixth crosses the real threshold of training."""
    rng = np.random.default_rng([seed, 1])
    large = bool(rng.random() < 1 / 6)
    extra = np.random.default_rng([seed, 6])
    return Config(
        seed=seed,
        bits=int(rng.choice([1, 2, 4, 8, 16])),
        dim=int(rng.choice([3, 16, 48])),
        train_documents=1000 if large else int(rng.integers(20, 120)),
        limit=1150 if large else 250,
        durability="relaxed" if rng.random() < 0.25 else "full",
        max_tokens=3 if large else 5,
        listed_tokens=int(extra.choice([100, 400, 1 << 20])),
        growth=float(extra.choice([1.3, 2.0, 1e9])),
        commit_tokens=int(extra.choice([0, 300, 1 << 18])),
        step_bytes=int(extra.choice([500, 8 << 20])),
        background=bool(extra.random() < 0.7),
    )


def next_step(config: Config, sequence: int, state: State) -> tuple[Step, State]:
    """Step number `sequence` (1, 2, ...) and the state after it."""
    rng = np.random.default_rng([config.seed, 2, sequence])
    after = dict(state)
    names = [name for name in state if name != CLOCK]
    roll = rng.random()
    if config.limit > 1000 and len(state) < 1000 and roll > 0.5:
        roll = 1.0  # soon across the threshold
    if roll < 0.08:
        return Step("optimize"), after
    if roll < 0.14:
        return Step("compact"), after
    if roll < 0.20:
        return Step("rolled back", _random_writes(rng, sequence, dict(state), config, 8)), after
    if roll < 0.25 and names:
        return Step("duplicate", [("insert", [names[0]], sequence)]), after
    if roll < 0.55:
        writes = _random_writes(rng, sequence, after, config, 1)
    elif roll < 0.85:
        writes = _random_writes(rng, sequence, after, config, int(rng.integers(2, 12)))
    else:
        writes = [_bulk(rng, sequence, after, config)]
    writes.append(("upsert", [CLOCK], sequence))
    after[CLOCK] = sequence
    return Step("writes", writes), after


def _random_writes(
    rng: np.random.Generator, sequence: int, state: State, config: Config, count: int
) -> list[tuple[str, list[Id], int]]:
    """Writes as a transaction makes them; changes `state`."""
    writes: list[tuple[str, list[Id], int]] = []
    for i in range(count):
        names = [name for name in state if name != CLOCK]
        kind = rng.choice(["insert", "insert", "upsert", "update", "delete", "search"])
        version = sequence * 16 + i % 16
        some = [names[j] for j in {int(j) for j in rng.integers(0, len(names), 4)}] if names else []
        if kind == "insert" and len(state) < config.limit:
            fresh: list[Id] = [
                sequence * 10_000 + 100 * i + j for j in range(int(rng.integers(1, 9)))
            ]
            if rng.random() < 0.5:
                fresh = [f"schlüssel {name}" for name in fresh]
            writes.append(("insert", fresh, version))
            state.update(dict.fromkeys(fresh, version))
        elif kind == "upsert" and some:
            writes.append(("upsert", some, version))
            state.update(dict.fromkeys(some, version))
        elif kind == "update" and some:
            writes.append(("update", some, version))
            state.update((name, state[name] % METADATA + METADATA * version) for name in some)
        elif kind == "delete" and some:
            writes.append(("delete", [*some, "never there"], version))
            for name in some:
                del state[name]
        elif kind == "search":
            writes.append(("search", [], version))
    return writes


def _bulk(
    rng: np.random.Generator, sequence: int, state: State, config: Config
) -> tuple[str, list[Id], int]:
    names = [name for name in state if name != CLOCK]
    if len(names) >= config.limit:
        gone = [names[i] for i in np.sort(rng.permutation(len(names))[: len(names) * 2 // 3])]
        for name in gone:
            del state[name]
        return "delete", gone, sequence
    fresh: list[Id] = [-(sequence * 10_000 + j) for j in range(config.limit // 3)]
    state.update(dict.fromkeys(fresh, sequence))
    return "insert", fresh, sequence


@lru_cache(maxsize=20_000)
def entry_of(name: Id, version: int, dim: int, max_tokens: int) -> Entry:
    """The document of an id and a version."""
    entry = make_entry(name, version % METADATA, dim, max_tokens)
    if name == CLOCK:
        return Entry(entry.vectors, str(version), None)
    if version < METADATA:
        return entry
    return replace(entry, metadata=make_entry(name, version // METADATA, dim, max_tokens).metadata)


def model_of(config: Config, state: State) -> Model:
    """The documents of a state."""
    return {
        name: entry_of(name, version, config.dim, config.max_tokens)
        for name, version in state.items()
    }


class _OnPurpose(Exception):
    pass


def perform(db: mvdb.Database, config: Config, step: Step) -> None:
    """Does a step."""
    if step.kind == "optimize":
        db.optimize()
    elif step.kind == "compact":
        with contextlib.suppress(mvdb.BusyError):  # the parent has the file open, too
            db.compact()
    elif step.kind == "duplicate":
        with contextlib.suppress(mvdb.DuplicateIdError), db.transaction() as txn:
            _write_all(txn, config, [("insert", ["kept by no one"], 1), *step.writes])
    elif step.kind == "rolled back":
        with contextlib.suppress(_OnPurpose), db.transaction() as txn:
            _write_all(txn, config, step.writes)
            raise _OnPurpose
    else:
        with db.transaction() as txn:
            _write_all(txn, config, step.writes)


def _write_all(
    txn: mvdb.Transaction, config: Config, writes: list[tuple[str, list[Id], int]]
) -> None:
    for kind, names, version in writes:
        if kind == "delete":
            txn.delete(names)
            continue
        if kind == "search":
            txn.search(np.ones((1, config.dim), np.float32), 3)
            continue
        entries = [entry_of(name, version, config.dim, config.max_tokens) for name in names]
        if kind == "update":
            txn.update(names, metadata=[entry.metadata for entry in entries])
            continue
        write: Any = txn.insert if kind == "insert" else txn.upsert
        write(
            names,
            [entry.vectors for entry in entries],
            texts=[entry.text for entry in entries],
            metadata=[entry.metadata for entry in entries],
        )
