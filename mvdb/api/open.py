"""`mvdb.open`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

from mvdb.api import open_options
from mvdb.api.collection_access import write_new
from mvdb.api.collection_registry import CollectionRegistry
from mvdb.api.database import Database
from mvdb.api.engine import Engine
from mvdb.api.open_collection import FileParts, OpenCollection
from mvdb.api.open_options import Options
from mvdb.limits import Limits
from mvdb.repair.verify_collections import check_all_small_tables
from mvdb.state import encoder_identity, lexical_identity, settings
from mvdb.storage.environment import Environment
from mvdb.threads import shield


def open(
    path: str | os.PathLike[str],
    *,
    dim: int | None = None,
    bits: int = settings.DEFAULT_BITS,
    tenants: bool | None = None,
    readonly: bool = False,
    create: bool = True,
    encoder: Any = None,
    lexical: bool | str | Mapping[str, Any] | None = None,
    durability: str = "full",
    map_size: int | None = None,
    allow_encoder_mismatch: bool = False,
    prefetch: str = "hint",
    background: bool = True,
    memory: int | None = None,
) -> Database:
    """Opens the database in the file `path`; creates the file if it does not exist.

    Args:
        path: one file. While it is open for writing there is a second, `path + "-lock"`.
        dim: dimensions of a token vector, 1..4096; needed to create (or taken from the encoder),
            later checked when given.
        bits: bits per dimension of a residual, 1, 2, 4 or 8, fixed at creation and later checked
            when given; 16 keeps float16 vectors and searches them exactly.
        tenants: whether each document belongs to a tenant, fixed at creation and later checked when
            given (docs/howto-tenants.md). True: every call names a tenant, and sees and changes
            documents of this one alone. None: False for a new file.
        readonly: refuse writes; opens read-only files and media and writes no lock file.
        create: False: a missing file is an error.
        encoder: an object with `encode_documents`, `encode_queries`, `dim` and `name`
            (`mvdb.encoders`); encodes documents and queries that are given as text.
        lexical: whether texts are also indexed by their words, for searches with `mode="lexical"`;
            None: yes in a new file, and as it is in an existing one. A language, such as
            "english": yes, with words reduced to their stems (needs PyStemmer, `[stem]`). A
            mapping of "stemmer", "k1" and "b": the same, with these parameters of BM25 (1.2 and
            0.75). Later checked when given; `Database.optimize` changes it.
        durability: "full": a commit that has returned survives power loss. "relaxed": a crash of
            the system may lose the last commits, never the consistency.
        map_size: bytes of address space to reserve at least; the reservation grows on demand.
        allow_encoder_mismatch: use `encoder` though the vectors in the file come from another one.
        prefetch: means of prefetching lists and records: "hint" gives hints to the system, "read"
            lets threads read the pages (for systems that ignore hints), "off" leaves all reads to
            page faults.
        background: merge segments and add centroids in a background thread, after commits and once
            some seconds after opening; False leaves all but small merges to `optimize`.
        memory: bytes of the process's own tables: scratch memory of queries and working memory of
            builds; at least 32 MiB, default 768 MiB. Centroids are not counted, nor are pages of
            the file, which belong to the system.

    Raises:
        PathNotFoundError: no such file, and create is False or readonly True; no such folder.
        PathError: the system refuses the path for another reason.
        DimensionMismatch: the file has another `dim`.
        FormatError: not an mvdb file, a directory, or made by a newer mvdb or on a machine of
            another word size or byte order.
        CorruptionError: the file is damaged.
        InvalidInputError: the file has other `bits` or `tenants`, or its words are indexed
            otherwise than `lexical` says, or an argument is invalid; the message names the
            argument. ":memory:" and "" are refused: a database is a file.
    """
    options = open_options.check(
        path,
        dim=dim,
        bits=bits,
        tenants=tenants,
        readonly=readonly,
        create=create,
        encoder=encoder,
        lexical=lexical,
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
    """Opens the file that checked options name; creates it if it does not exist."""

    environment = Environment.open(
        options.path,
        readonly=options.readonly,
        create=options.create and not options.readonly,
        initialise=lambda txn: write_new(
            txn, options.for_new_file(), options.lexical_for_new_file()
        ),
        check=check_all_small_tables,
        durability=options.durability,
        map_size=options.map_size,
        limits=limits,
    )
    try:
        file = FileParts.of(environment.path, options, limits)
        with environment.read() as txn:
            collection = OpenCollection(environment, file, txn)
            stored, lexical = encoder_identity.load(txn), lexical_identity.load(txn)
        options.check_stored(collection.settings)
        options.check_lexical(lexical)
        registry = CollectionRegistry(environment, file, options)
        engine = Engine(collection, options.encoder, stored, registry)
        collection.maintenance.opened()
        return engine
    except BaseException:
        environment.close()
        raise
