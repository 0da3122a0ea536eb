"""The exceptions of mvdb. Each inherits the builtin that fits: ``except ValueError`` works."""

from __future__ import annotations


def shown(value: object) -> str:
    """What was given, for a message: in one line of at most 100 characters."""
    try:
        text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    except (ValueError, RecursionError):  # too many digits for Python to write, or nested too deep
        text = f"such {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= 100 else text[:100] + "..."


class Error(Exception):
    """Base of every exception that mvdb raises on its own account."""

    def __str__(self) -> str:
        # KeyError would show the repr of its argument; a message is a sentence, not a key.
        return str(self.args[0]) if self.args else ""


class DimensionMismatch(Error, ValueError):
    """Vectors (or ``dim=``) have another number of dimensions than the file."""


class DuplicateIdError(Error, KeyError):
    """``insert`` met an id that is already there."""


class NotFoundError(Error, KeyError):
    """An id that the call needs is not in the database."""


class FilterError(Error, ValueError):
    """A filter is malformed; the message names the path of the fault."""


class ClosedError(Error, RuntimeError):
    """The database, snapshot or transaction is closed, or was opened before ``fork()``."""


class ReadOnlyError(Error, RuntimeError):
    """A write through a handle opened with ``readonly=True``."""


class BusyError(Error, TimeoutError):
    """Another writer kept the file for longer than the timeout."""


class LockFileError(BusyError):
    """The file is open elsewhere in a way that this opening cannot be reconciled with: with another
    lock file, through LMDB itself, or where locks do not reach."""


class CorruptionError(Error, OSError):
    """Bytes of the file are not what was written. Nothing was computed from them."""


class FormatError(Error, ValueError):
    """Not an mvdb file, or one made by a newer version or an unlike machine."""


class StorageFullError(Error, OSError):
    """The disk, a quota or the reserved address space is full; the transaction was rolled back."""


class WriteFailedError(Error, OSError):
    """The system failed to write or sync. This handle refuses further writes; reopen the file."""


class EncoderMismatchError(Error, ValueError):
    """Text was given to a database whose vectors were made by another encoder."""


class InvalidInputError(Error, ValueError):
    """Ids, vectors, texts or metadata that cannot be stored; the message names which and why."""


class CancelledError(Error, RuntimeError):
    """``cancel`` of a long call ended it. Nothing half-done is left: what the call says is kept."""


class QueryError(InvalidInputError):
    """The text of a query is malformed, and ``strict=True``; the message names the position."""


class WrongThreadError(Error, RuntimeError):
    """A write transaction can be ended by the thread alone that began it."""


class PathError(Error, OSError):
    """The system refuses what a path was to be used for; the message says why."""

    def __reduce__(self) -> tuple[object, ...]:
        state = {**vars(self), "errno": self.errno, "filename": self.filename}
        return type(self), self.args, state


class PathNotFoundError(PathError, FileNotFoundError):
    """There is no such file, or no such folder."""


class PathExistsError(PathError, FileExistsError):
    """There is a file of that name already."""


class PathDeniedError(PathError, PermissionError):
    """The file or its folder must not be used like that."""


class PathIsFolderError(PathError, IsADirectoryError):
    """A folder where a file is needed."""


class PathChangedError(PathError):
    """The file was moved, deleted or replaced while it was open. Nothing was written."""
