"""Arrow data as record batches of bounded size: what is in memory, streams, datasets and files."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mvdb.errors import InvalidInputError, shown
from mvdb.extras import pyarrow
from mvdb.ingest.arrow.arrow_columns import COLUMNS
from mvdb.limits import Limits
from mvdb.storage.failures import translate, translating

_UNKNOWN_ROWS = 1024
"""Rows of a batch read from a dataset that does not tell how large its rows are."""
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
_IPC_MAGIC = b"ARROW1"


def count(value: Any) -> int | None:
    """Rows of Arrow data where that is known without reading it, else None."""
    if hasattr(value, "count_rows"):
        # Parquet and Arrow files say it in their footers, other files would have to be read.
        format_name = getattr(getattr(value, "format", None), "default_extname", None)
        return int(value.count_rows()) if format_name in ("parquet", "arrow", "feather") else None
    if hasattr(value, "num_rows"):
        return int(value.num_rows)
    return len(value) if hasattr(type(value), "__len__") else None


def record_batches(value: Any, rows: int, limits: Limits) -> Generator[Any, None, None]:
    """Arrow data as pyarrow.RecordBatch of at most `rows` rows, each read on demand.

    Raises InvalidInputError for a stream of something else than rows with columns."""
    source: Any
    arrow = pyarrow()
    if isinstance(value, arrow.RecordBatch):
        source = [value]
    elif isinstance(value, arrow.Table):
        source = value.to_batches(max_chunksize=rows)
    elif isinstance(value, arrow.RecordBatchReader):
        source = value
    elif hasattr(type(value), "__arrow_c_stream__"):
        source = _from_stream(arrow, value)
    else:
        source = _from_dataset(value, rows, limits)
    yield from _slices(source, rows)


def _slices(source: Iterable[Any], rows: int) -> Iterator[Any]:
    """Batches of at most `rows` rows; an empty one passes, for its schema is to be checked."""
    for batch in source:
        for start in range(0, max(1, batch.num_rows), rows):
            yield batch.slice(start, rows)


def _from_stream(arrow: Any, value: Any) -> Any:
    try:
        return arrow.RecordBatchReader.from_stream(value)
    except (arrow.ArrowException, TypeError) as error:
        raise InvalidInputError(
            f"batches: {type(value).__name__} is no stream of record batches ({error})"
        ) from error


def _from_dataset(dataset: Any, rows: int, limits: Limits) -> Any:
    """Batches of a dataset. pyarrow holds a few row groups, as a whole, whatever the size of the
    batches."""
    fragments = dataset.get_fragments()
    metadata = getattr(next(iter(fragments), None), "metadata", None)
    options: dict[str, Any] = {}
    if metadata is None:
        rows = min(rows, _UNKNOWN_ROWS)
    else:
        rows = _batch_rows(metadata, rows, limits)
        options["fragment_scan_options"] = pyarrow("dataset").ParquetFragmentScanOptions(
            use_buffered_stream=True, buffer_size=limits.arrow_read_bytes, pre_buffer=False
        )
    # Threads of pyarrow read on without a bound while a batch is inserted, whatever readahead says.
    return dataset.to_batches(
        columns=_needed(dataset.schema.names),
        batch_size=rows,
        batch_readahead=1,
        fragment_readahead=1,
        use_threads=False,
        **options,
    )


class ArrowFile:
    """A file that holds Arrow data: .parquet, or .arrow and .feather (Arrow IPC)."""

    SUFFIXES = (".parquet", ".arrow", ".feather")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises InvalidInputError for another suffix or what is no regular file, and PathError."""
        self.path = Path(path)
        _refuse_unencodable(self.path)
        if os.path.isdir(self.path):
            raise InvalidInputError(f"{self.path}: a directory; give pyarrow.dataset.dataset(path)")
        if self.path.suffix.lower() not in self.SUFFIXES:
            raise InvalidInputError(
                f"{self.path}: a file {', '.join(self.SUFFIXES)} is needed, not "
                f"{self.path.suffix or 'one without a suffix'}"
            )
        with translating("reading", str(self.path)):
            self._magic = _first_bytes(self.path)
        self._is_parquet = self.path.suffix.lower() == ".parquet"

    def count(self) -> int | None:
        """Rows of the file, from its footer; None for an IPC stream, which has none."""
        with self._named():
            if self._is_parquet:
                return int(pyarrow("parquet").read_metadata(self.path).num_rows)
            if self._magic != _IPC_MAGIC:
                return None
            return int(pyarrow("dataset").dataset(self.path, format="ipc").count_rows())

    def record_batches(self, rows: int, limits: Limits) -> Generator[Any, None, None]:
        """Its content as pyarrow.RecordBatch of at most `rows` rows. Parquet is read in pieces of
        about `arrow_batch_bytes`, whatever its row groups; an IPC file batch by batch.

        Raises InvalidInputError for a file that is not what its suffix says."""
        with self._named():
            source = self._parquet(rows, limits) if self._is_parquet else self._ipc()
            yield from _slices(map(_validated, source), rows)

    def _parquet(self, rows: int, limits: Limits) -> Iterator[Any]:
        # Without pre_buffer and with a buffer columns are read as they are needed; otherwise a
        # row group is read as a whole first.
        with pyarrow("parquet").ParquetFile(
            self.path, buffer_size=limits.arrow_read_bytes, pre_buffer=False
        ) as file:
            yield from file.iter_batches(
                batch_size=_batch_rows(file.metadata, rows, limits),
                columns=_needed(file.schema_arrow.names),
            )

    def _ipc(self) -> Iterator[Any]:
        # Not mapped: a mapped file that somebody shortens ends the process.
        arrow = pyarrow()
        with arrow.OSFile(str(self.path)) as file:
            if self._magic != _IPC_MAGIC:
                yield from arrow.ipc.open_stream(file)
                return
            reader = arrow.ipc.open_file(file)
            for i in range(reader.num_record_batches):
                yield reader.get_batch(i)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Says in which file pyarrow found a fault."""
        arrow = pyarrow()
        try:
            yield
        except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                # The system's, not a fault of the content.
                raise translate(error, "reading", str(self.path)) from error
            raise InvalidInputError(f"{self.path}: not readable ({_one_line(error)})") from error


def _validated(batch: Any) -> Any:
    """pyarrow believes offsets and texts of a file unless it is asked to look."""
    batch.validate(full=True)
    return batch


def _refuse_unencodable(path: Path) -> None:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInputError(
            f"batches: {shown(str(path))}: pyarrow takes names in UTF-8 alone; rename the file"
        ) from None


def _first_bytes(path: Path) -> bytes:
    # O_NONBLOCK: opening a FIFO must not hang.
    descriptor = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidInputError(f"{path}: not a regular file, and read more than once")
        return file.read(len(_IPC_MAGIC))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _batch_rows(metadata: Any, rows: int, limits: Limits) -> int:
    """Rows of about `arrow_batch_bytes` in memory, by the mean over a Parquet file: at most `rows`,
    and such that `rows` is made of full batches."""
    size = 0
    for i in range(metadata.num_row_groups):
        group = metadata.row_group(i)
        for j in range(group.num_columns):
            column = group.column(j)
            # A column with a dictionary is larger in memory than in the file.
            width = _WIDTHS.get(column.physical_type, 0)
            size += max(column.total_uncompressed_size, column.num_values * width)
    fitting: int = max(1, limits.arrow_batch_bytes * metadata.num_rows // max(1, size))
    parts = -(-rows // fitting)
    return -(-rows // parts)


def _needed(names: Sequence[str]) -> list[str] | None:
    """The columns to read; None: all, which become metadata if no column `metadata` exists."""
    return [name for name in names if name in COLUMNS] if "metadata" in names else None
