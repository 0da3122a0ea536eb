"""The codes of errors in answers: stable names for programs, beside the message for people."""

from __future__ import annotations

import mvdb

PARSE_ERROR = "parse_error"
LINE_TOO_LONG = "line_too_long"
INVALID_REQUEST = "invalid_request"
UNKNOWN_METHOD = "unknown_method"
INVALID_PARAMS = "invalid_params"
INTERNAL = "internal"

CODES: dict[type[BaseException], str] = {
    mvdb.BusyError: "busy",
    mvdb.CancelledError: "cancelled",
    mvdb.ClosedError: "closed",
    mvdb.CorruptionError: "corruption",
    mvdb.DimensionMismatch: "dimension_mismatch",
    mvdb.DuplicateIdError: "duplicate_id",
    mvdb.EncoderMismatchError: "encoder_mismatch",
    mvdb.FilterError: "filter",
    mvdb.FormatError: "format",
    mvdb.InvalidInputError: "invalid_input",
    mvdb.NotFoundError: "not_found",
    mvdb.PathError: "path",
    mvdb.QueryError: "query",
    mvdb.ReadOnlyError: "read_only",
    mvdb.StorageFullError: "storage_full",
    mvdb.WriteFailedError: "write_failed",
    mvdb.WrongThreadError: INTERNAL,
    mvdb.Error: INTERNAL,
    ImportError: "missing_library",
    MemoryError: "out_of_memory",
    ValueError: "invalid_input",
    OSError: "system",
    BaseException: INTERNAL,
}
"""A class without a line has the code of its nearest base."""


def code_of(error: BaseException) -> str:
    """The code for an exception."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)


def message_of(error: BaseException) -> str:
    """The message for an exception; with its kind where that is no error of a caller."""
    message = str(error)
    if isinstance(error, (ValueError, OSError, ImportError, mvdb.Error)) and message:
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
