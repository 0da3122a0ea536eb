"""The one function that turns errors of liblmdb and of the system into errors of mvdb.

`translate` never raises and keeps no state; callers write ``raise translate(...) from error``.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import Final

import lmdb

from mvdb.errors import (
    BusyError,
    ClosedError,
    CorruptionError,
    Error,
    FormatError,
    PathDeniedError,
    PathError,
    PathExistsError,
    PathIsFolderError,
    PathNotFoundError,
    ReadOnlyError,
    StorageFullError,
    WriteFailedError,
)

FULL_CODES: Final = frozenset(
    getattr(errno, name) for name in ("ENOSPC", "EFBIG", "EDQUOT") if hasattr(errno, name)
)
"""errno values that mean: no room, and nothing is broken."""

_LIMITS: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN))
"""errno values that mean: the process or the system has no more descriptors, memory or threads."""

_CORRUPT: Final = (lmdb.CorruptedError, lmdb.PageNotFoundError)
_FORMAT: Final = (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.IncompatibleError)


_PATH_ERRORS: Final = {
    PathNotFoundError: FileNotFoundError,
    PathExistsError: FileExistsError,
    PathDeniedError: PermissionError,
    PathIsFolderError: IsADirectoryError,
}
"""The builtin error that each error of mvdb stands for."""

_SHORT: Final = 1 << 16
"""A disk with less room than this many bytes counts as full."""


class UnexpectedStorageError(Error, RuntimeError):
    """liblmdb reported something that correct use of it never brings about: a bug of mvdb."""


def code_of(error: BaseException) -> int:
    """The errno (or LMDB code) of an error; 0 without one."""
    if isinstance(error, lmdb.Error):
        return int(getattr(error, "code", 0) or 0)
    if isinstance(error, OSError):
        return int(error.errno or 0)
    return 0


def is_full(error: BaseException, written: str | None = None) -> bool:
    """Whether the error says that disk, quota, file size limit or map are full.

    liblmdb reports a short write as EIO although its usual cause is a full disk; with ``written``,
    the file that was being written, the two are told apart.
    """
    if isinstance(error, lmdb.MapFullError) or code_of(error) in FULL_CODES:
        return True
    short = code_of(error) == errno.EIO and isinstance(error, lmdb.Error)
    return short and written is not None and disk_is_full(written, _SHORT)


def translate(error: BaseException, doing: str, path: str, written: str | None = None) -> Exception:
    """The mvdb error for ``error``, met while ``doing`` something with the file ``path``.
    ``written``: see `is_full`.

    Errors of mvdb and foreign Python errors (TypeError, KeyboardInterrupt's kin) come back as they
    are.
    """
    if isinstance(error, Error) or not isinstance(error, (lmdb.Error, OSError)):
        return error if isinstance(error, Exception) else UnexpectedStorageError(repr(error))
    where = f"{path}: {doing}"
    if isinstance(error, lmdb.MapFullError):
        return StorageFullError(
            f"{where}: the reserved address space is full; the transaction was rolled back. "
            "Reopen with a larger map_size"
        )
    if is_full(error, written):
        return StorageFullError(
            f"{where}: no room left ({_reason(error)}); the transaction was rolled back. "
            "Free space or raise the limit, then repeat"
        )
    if isinstance(error, _CORRUPT):
        return CorruptionError(
            f"{where}: the file is damaged ({error}). Restore a backup or repair"
        )
    if isinstance(error, _FORMAT):
        return FormatError(f"{where}: not a file this library can read ({error})")
    if isinstance(error, lmdb.ReadonlyError):
        return ReadOnlyError(f"{where}: the file or the handle is read-only")
    if isinstance(error, lmdb.PanicError):
        return WriteFailedError(
            f"{where}: an earlier write failed and liblmdb refuses further ones; reopen the file"
        )
    if isinstance(error, lmdb.ReadersFullError):
        return BusyError(f"{where}: too many readers have the file open at once")
    if code_of(error) == errno.EIO:
        return WriteFailedError(
            f"{where}: input/output error; check the disk, then reopen the file"
        )
    if isinstance(error, lmdb.LockError):
        return BusyError(
            f"{where}: the lock file cannot be used ({error}): another process has it locked, "
            "perhaps one of another container that has the same process number"
        )
    if isinstance(error, OSError):
        return _path_error(error, where)
    if code_of(error) in _LIMITS:
        return _path_error(OSError(code_of(error), os.strerror(code_of(error))), where)
    if "closed" in str(error):
        return ClosedError(f"{where}: already closed")
    return UnexpectedStorageError(f"{where}: {error}")


@contextlib.contextmanager
def translating(doing: str, path: str) -> Iterator[None]:
    """Raises the errors of the block translated by `translate`."""
    try:
        yield
    except (lmdb.Error, OSError) as error:
        failure = translate(error, doing, path)
        if failure is error:
            raise
        raise failure from error


def _path_error(error: OSError, where: str) -> PathError:
    matching = (ours for ours, builtin in _PATH_ERRORS.items() if isinstance(error, builtin))
    kind = next(matching, PathError)
    name = error.filename
    named = f" ({os.fsdecode(name)})" if isinstance(name, (str, bytes)) else ""
    failure = kind(f"{where}: {error.strerror or error}{named}")
    failure.errno, failure.filename = error.errno, name
    return failure


def disk_is_full(path: str, needed: int) -> bool:
    """Whether the file system of ``path`` or the process's file size limit lacks ``needed`` bytes.

    Unknown counts as not full.
    """
    try:
        status = os.statvfs(path)
        if status.f_bavail * status.f_frsize < needed:
            return True
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        return limit != resource.RLIM_INFINITY and os.path.getsize(path) + needed > limit
    except (OSError, AttributeError, ImportError):
        return False


def _reason(error: BaseException) -> str:
    code = code_of(error)
    return os.strerror(code) if code else str(error)
