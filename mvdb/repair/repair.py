"""`mvdb.repair`: a new file with the documents of a damaged file that verify."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mvdb.arguments import file_path
from mvdb.errors import PathExistsError
from mvdb.hooks import Cancel, Hooks, Progress
from mvdb.repair.salvage_collections import FileSalvager
from mvdb.storage.environment import Environment
from mvdb.storage.lmdb.sweep_pages import SalvagedFile
from mvdb.types import Value


@dataclass(frozen=True)
class Repair(Value):
    """Outcome of `repair`.

    Attributes:
        recovered: documents in the new file.
        lost: live documents of the damaged file that could not be proved intact.
        texts_lost: recovered documents whose text and metadata were damaged (now None).
        weights_lost: recovered documents of segments whose learned sparse vectors were damaged
            (now None).
        collections_lost: names of collections whose settings or manifest are damaged, so that
            nothing tells how many documents they had. The numbers above include the documents of
            all other collections."""

    recovered: int
    lost: int
    texts_lost: int
    weights_lost: int = 0
    collections_lost: tuple[str, ...] = ()


def repair(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Repair:
    """Copies the documents of the database `src`, and of its collections, that verify into the new
    file `dst`.

    Does not need the page structure of `src`, and never changes `src`, which must not be open for
    writing. `progress` is called with documents recovered, and the live documents of `src`; for
    `cancel` see `Database.verify`. A cancelled call leaves no file `dst`.

    Raises:
        PathNotFoundError, PathError: no file `src`, or one that the system refuses to read.
        PathExistsError: there is a file `dst`.
        FormatError: `src` is not an mvdb file, or no manifest of it is left.
        CorruptionError: the settings of `src` are damaged.
        CancelledError: `cancel` ended the call.
    """
    hooks = Hooks.checked(progress, cancel)
    source, target = file_path("src", src), file_path("dst", dst)
    if os.path.exists(target):
        raise PathExistsError(f"{target}: exists already; repair writes a new file")
    with SalvagedFile(source) as file:
        return _copy(file, target, hooks)


def _copy(file: SalvagedFile, dst: str, hooks: Hooks) -> Repair:
    """On return nothing refers to the file any more, so that it can be closed."""
    folder = os.path.dirname(os.path.abspath(dst))
    salvager = FileSalvager(file, folder, hooks)
    Environment.open(dst, initialise=salvager.copy_to).close()
    tally = salvager.tally
    lost = tally.lost, tally.texts_lost, tally.weights_lost
    return Repair(tally.recovered, *lost, tuple(salvager.lost))
