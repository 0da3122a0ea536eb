"""Record batches with columns of any names as those that `Database.insert_batches` takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mvdb.errors import InvalidInputError
from mvdb.extras import pyarrow
from mvdb.importers.choices import Choices, Roles, roles
from mvdb.importers.source import BATCH_BYTES, Source

_MAX_ROWS = 10_000
INTEGER_IDS = "id_is_integer"
"""A column of `mvdb export`: whether the id, written as text, is an integer. It is there where a
file has ids of both types, because a column has one type."""


def rows_of(size: int, rows: int) -> int:
    """Rows of about BATCH_BYTES, of a table of `size` bytes and `rows` rows."""
    return min(_MAX_ROWS, max(1, BATCH_BYTES * rows // max(size, 1)))


def arrow_source(
    kind: str,
    schema: Any,
    batches: Callable[[], Iterator[Any]],
    total: int | None,
    choices: Choices,
    where: str,
) -> Source:
    """A source of record batches of a schema.

    Raises InvalidInputError for columns that cannot be stored."""
    names = list(schema.names)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(f"{where}: there are several columns {twice[0]!r}")
    mixed = INTEGER_IDS in names and "metadata" in names
    parts = roles([name for name in names if not (mixed and name == INTEGER_IDS)], choices, where)
    columns = _Columns(parts, schema, where, mixed=mixed)
    dim = None
    if parts.vectors is not None:
        dim = columns.stated_dim() or _first_dim(batches(), parts.vectors, where)

    def renamed() -> Iterator[Any]:
        row = 0
        for batch in batches():
            yield from columns.renamed(batch, row)
            row += batch.num_rows

    return Source(kind, dim, total, renamed, tenants=parts.tenant is not None)


class _Columns:
    """The columns of a schema and their new names."""

    def __init__(self, parts: Roles, schema: Any, where: str, *, mixed: bool) -> None:
        self._parts = parts
        self._schema = schema
        self._where = where
        self._mixed = mixed
        self._types = pyarrow().types
        if parts.metadata is not None:
            self._others = [parts.metadata]
        else:
            self._others = parts.metadata_names(schema.names)
        self._check()

    def stated_dim(self) -> int | None:
        """Dimensions of the vectors, where their type says it."""
        tokens = self._vectors_type().value_type
        return int(tokens.list_size) if self._types.is_fixed_size_list(tokens) else None

    def _check(self) -> None:
        types = self._types
        if self._parts.vectors is not None:
            kind = self._vectors_type()
            token = kind.value_type if self._is_list(kind) else None
            if token is None or not self._is_list(token):
                raise InvalidInputError(
                    f"{self._where}: column {self._parts.vectors!r}: {kind} is no list of token "
                    "vectors; encode=True (--encode) encodes the texts instead"
                )
        for name in self._others:
            kind = self._schema.field(name).type
            binary = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
            if any(is_kind(kind) for is_kind in binary):
                raise InvalidInputError(
                    f"{self._where}: column {name!r}: {kind} is no metadata; name the columns "
                    "to keep with fields= (--fields)"
                )

    def _vectors_type(self) -> Any:
        kind = self._schema.field(self._parts.vectors).type
        return getattr(kind, "storage_type", kind)  # of an extension type

    def _is_list(self, kind: Any) -> bool:
        types = self._types
        return bool(
            types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        )

    def renamed(self, batch: Any, first: int) -> Iterator[Any]:
        """Record batches of the same rows; `first`: the number of the first one."""
        arrow = pyarrow()
        parts, compute = self._parts, pyarrow("compute")
        columns = {}
        if parts.id is None:
            columns["id"] = arrow.array(range(first, first + batch.num_rows), arrow.int64())
        else:
            columns["id"] = batch.column(parts.id)
        if parts.vectors is not None:
            columns["embeddings"] = _storage(batch.column(parts.vectors))
        if parts.text is not None:
            columns["text"] = batch.column(parts.text)
        for name in self._others:
            if name in columns:
                raise InvalidInputError(
                    f"{self._where}: two columns are to be {name!r}; choose with fields= (--fields)"
                )
            columns[name] = self._plain(batch.column(name))
        if parts.tenant is not None:
            columns["tenant"] = batch.column(parts.tenant)
        result = arrow.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
        if not self._mixed:
            yield result
            return
        integers = batch.column(INTEGER_IDS)
        if not self._types.is_boolean(integers.type) or integers.null_count:
            raise InvalidInputError(
                f"{self._where}: column {INTEGER_IDS!r}: true or false is needed"
            )
        some = result.filter(integers)
        if some.num_rows:
            yield some.set_column(0, "id", compute.cast(some.column(0), arrow.int64()))
        yield result.filter(compute.invert(integers))

    def _plain(self, column: Any) -> Any:
        """Dates and times as text in the form of ISO 8601."""
        if self._types.is_temporal(column.type) and not self._types.is_duration(column.type):
            return pyarrow("compute").cast(column, pyarrow().string())
        return column


def _storage(column: Any) -> Any:
    """Values of an extension type, such as the arrays of `datasets`, in their plain form."""
    return column.storage if isinstance(column, pyarrow().ExtensionArray) else column


def _first_dim(batches: Iterator[Any], name: str, where: str) -> int | None:
    """Dimensions of the first token vector."""
    for batch in batches:
        tokens = _storage(batch.column(name)).flatten()
        if len(tokens) and tokens[0].is_valid:
            return len(tokens[0])
    raise InvalidInputError(f"{where}: column {name!r}: there is no token vector in it")
