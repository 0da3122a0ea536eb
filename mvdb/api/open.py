"""`mvdb.open`."""

from __future__ import annotations

import os
import warnings
from typing import Any

from mvdb.api import open_options
from mvdb.api.database import Database
from mvdb.api.engine import Engine
from mvdb.api.open_options import Options
from mvdb.limits import Limits
from mvdb.repair import verify
from mvdb.state import manifest, settings
from mvdb.state.manifest import Manifest
from mvdb.storage.environment import Environment, WriteTransaction
from mvdb.threads import shield


def open(
    path: str | os.PathLike[str],
    *,
    dim: int | None = None,
    bits: int = settings.DEFAULT_BITS,
    readonly: bool = False,
    create: bool = True,
    encoder: Any = None,
    durability: str = "full",
    map_size: int | None = None,
    allow_encoder_mismatch: bool = False,
    prefetch: str = "hint",
    background: bool = True,
    memory: int | None = None,
) -> Database:
    """Opens the database in the file `path`, creating it when it is not there.

    Args:
        path: one file. While it is open for writing there is a second, `path + "-lock"`.
        dim: dimensions of a token vector, 1..4096; needed to create (or taken from the encoder),
            later checked when given.
        bits: bits per dimension of a residual, 1, 2, 4 or 8, fixed at creation and later checked
            when given; 16 keeps float16 vectors and searches them exactly.
        readonly: refuse writes; opens read-only files and media and writes no lock file.
        create: False: a missing file is an error.
        encoder: an object with `encode_documents`, `encode_queries`, `dim` and `name`
            (`mvdb.encoders`); lets texts stand for vectors.
        durability: "full": a commit that has returned survives power loss. "relaxed": a crash of
            the system may lose the last commits, never the consistency.
        map_size: bytes of address space to reserve at least; grows by itself.
        allow_encoder_mismatch: use `encoder` though the vectors in the file come from another one.
        prefetch: how searches ask for what they will need from the file: "hint" tells the system,
            "read" has threads read it (where hints are ignored), "off" leaves it to page faults.
        background: keep the index in order in a thread of its own, after commits and, where they
            left something to do, some seconds after opening; False leaves all but small merges to
            `optimize`.
        memory: bytes that the process's own tables may take, centroids apart: what queries keep,
            and what building works in; at least 32 MiB, default 768 MiB. The file's pages in
            memory are the system's and not counted.

    Raises:
        PathNotFoundError: no such file, and create is False or readonly True; no such folder.
        PathError: the system refuses the path otherwise.
        DimensionMismatch: the file has another `dim`.
        FormatError: not an mvdb file, a directory, or made by a newer mvdb or an unlike machine.
        CorruptionError: damaged.
        InvalidInputError: the file has other `bits`, or an argument cannot be; the message names
            it. ":memory:" and "" are refused: a database is a file.
    """
    options = open_options.check(
        path,
        dim=dim,
        bits=bits,
        readonly=readonly,
        create=create,
        encoder=encoder,
        durability=durability,
        map_size=map_size,
        allow_encoder_mismatch=allow_encoder_mismatch,
        prefetch=prefetch,
        background=background,
        memory=memory,
    )

    engine = shield.run(lambda: open_engine(options, Limits()), Engine.close)
    if engine.encoder_problem is not None:
        warnings.warn(engine.encoder_problem, stacklevel=2)
    return Database(engine)


def open_engine(options: Options, limits: Limits) -> Engine:
    """The file that checked options ask for, opened; created where it does not exist."""

    def initialise(txn: WriteTransaction) -> None:
        settings.store(txn, options.for_new_file())
        manifest.store(txn, Manifest())

    environment = Environment.open(
        options.path,
        readonly=options.readonly,
        create=options.create and not options.readonly,
        initialise=initialise,
        check=verify.check_small_tables,
        durability=options.durability,
        map_size=options.map_size,
        limits=limits,
    )
    try:
        return Engine(environment, options, limits)
    except BaseException:
        environment.close()
        raise
