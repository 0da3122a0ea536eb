"""Columns of record batches as the arguments of insert: checked, and vectors without a copy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvdb.documents import metadata as metadata_json
from mvdb.errors import DimensionMismatch, InvalidInputError
from mvdb.extras import pyarrow

COLUMNS = ("id", "embeddings", "text", "metadata")
TENANT = "tenant"
"""A column of its own where tenants are separated; elsewhere a field of the metadata."""
SPARSE = "sparse"
"""Learned sparse vectors where its type is a map; else a field of the metadata."""
_ID = "string or int64"
_VECTORS = "list<fixed_size_list<float32>[{dim}]> (or of float16, float64 or plain lists)"
_TEXT = "string"
_METADATA = "struct, or string with a JSON object"
_SPARSE = "map<string, float32> or map<int64, float32> (or of other integers and floats)"


class Converter:
    """Turns record batches of one stream into the arguments of insert, counting rows for its
    messages (from 0, over the whole stream)."""

    def __init__(self, dim: int, *, encodes: bool, separates: bool) -> None:
        """encodes: the database has an encoder, so that texts may stand for embeddings. separates:
        it separates tenants."""
        self._dim = dim
        self._encodes = encodes
        self._separates = separates
        self._columns = (*COLUMNS, TENANT) if separates else COLUMNS
        self._row = 0
        self._schema: Any = None
        self._types = pyarrow().types
        self._compute = pyarrow("compute")

    def arguments(self, batch: Any) -> dict[str, Any]:
        """`ids`, `embeddings` as (flat, lengths), `texts`, `metadata`, `tenant` and `sparse` of a
        record batch. flat is (tokens, dim) in the batch's own memory.

        Raises InvalidInputError or DimensionMismatch that names the column, and the row where it is
        one row's fault."""
        if batch.schema is not self._schema:
            self._check(batch.schema)
            self._schema = batch.schema
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        result: dict[str, Any] = {
            "ids": self._ids(columns["id"]),
            "embeddings": None,
            "texts": None,
            "metadata": self._metadata(columns, batch.num_rows),
        }
        if "embeddings" in columns:
            result["embeddings"] = self._vectors(columns["embeddings"])
        if "text" in columns:
            result["texts"] = columns["text"].to_pylist()
        if self._separates and TENANT in columns:
            self._refuse_null(columns[TENANT], TENANT, "every document needs a tenant")
            result["tenant"] = columns[TENANT].to_pylist()
        if self._has_sparse(columns):
            result["sparse"] = self._sparse(columns[SPARSE])
        self._row += batch.num_rows
        return result

    # ---- schema ----

    def _check(self, schema: Any) -> None:
        names = schema.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InvalidInputError(f"column {twice[0]!r}: there are {names.count(twice[0])} of it")
        fields = {field.name: field.type for field in schema}
        self._require(fields, "id", _ID)
        if "embeddings" not in fields and not (self._encodes and "text" in fields):
            self._require(fields, "embeddings", _VECTORS.format(dim=self._dim))
        for name, kind in fields.items():
            if name == "id":
                self._expect(name, kind, self._is_id(kind), _ID)
            elif name == "embeddings":
                self._check_vectors(kind)
            elif name == "text":
                self._expect(name, kind, self._is_text(kind) or self._types.is_null(kind), _TEXT)
            elif name == TENANT and self._separates:
                self._expect(name, kind, self._is_text(kind), _TEXT)
            elif name == SPARSE and self._types.is_map(kind):
                self._expect(name, kind, self._is_sparse(kind), _SPARSE)
            elif name == "metadata":
                self._expect(name, kind, self._is_metadata(kind), _METADATA)
            elif "metadata" not in fields:
                self._check_json(name, kind)

    def _require(self, fields: Mapping[str, Any], name: str, expected: str) -> None:
        if name not in fields:
            found = ", ".join(map(repr, fields)) or "none"
            raise InvalidInputError(
                f"column {name!r} is missing; found {found}; expected {expected}"
            )

    def _expect(self, name: str, kind: Any, fits: bool, expected: str) -> None:
        if not fits:
            raise InvalidInputError(f"column {name!r}: found {kind}, expected {expected}")

    def _is_text(self, kind: Any) -> bool:
        types = self._types
        if types.is_dictionary(kind):
            return self._is_text(kind.value_type)
        is_view = getattr(types, "is_string_view", lambda kind: False)
        return bool(types.is_string(kind) or types.is_large_string(kind) or is_view(kind))

    def _is_id(self, kind: Any) -> bool:
        return self._is_text(kind) or bool(self._types.is_integer(kind))

    def _is_metadata(self, kind: Any) -> bool:
        if self._types.is_struct(kind):
            self._check_json("metadata", kind)
            return True
        return self._is_text(kind) or bool(self._types.is_null(kind))

    def _is_sparse(self, kind: Any) -> bool:
        return self._is_id(kind.key_type) and self._is_float(kind.item_type)

    def _has_sparse(self, columns: Mapping[str, Any]) -> bool:
        return SPARSE in columns and bool(self._types.is_map(columns[SPARSE].type))

    def _is_list(self, kind: Any) -> bool:
        types = self._types
        return bool(
            types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        )

    def _check_vectors(self, kind: Any) -> None:
        expected = _VECTORS.format(dim=self._dim)
        token: Any = kind.value_type if self._is_list(kind) else None
        fits = token is not None and self._is_list(token) and self._is_float(token.value_type)
        self._expect("embeddings", kind, fits, expected)
        if self._types.is_fixed_size_list(token) and token.list_size != self._dim:
            raise DimensionMismatch(
                f"column 'embeddings': found vectors of {token.list_size} dimensions ({kind}), the "
                f"file has {self._dim}"
            )

    def _is_float(self, kind: Any) -> bool:
        return bool(self._types.is_floating(kind))

    def _check_json(self, name: str, kind: Any) -> None:
        """Whether values of the type are JSON's; a date, say, has to be converted by who knows in
        which form it is to be filtered on."""
        types = self._types
        if types.is_struct(kind):
            for i in range(kind.num_fields):
                field = kind.field(i)
                self._check_json(f"{name}.{field.name}", field.type)
        elif self._is_list(kind) or types.is_dictionary(kind):
            self._check_json(name, kind.value_type)
        else:
            plain = types.is_boolean, types.is_integer, types.is_floating, types.is_null
            fits = self._is_text(kind) or any(is_kind(kind) for is_kind in plain)
            expected = "a type that JSON has (string, integer, float, bool, list or struct of them)"
            self._expect(name, kind, fits, f"{expected}, for metadata")

    # ---- values ----

    def _refuse_null(self, column: Any, name: str, needed: str) -> None:
        if column.null_count:
            row = self._row + int(np.argmax(self._nulls(column)))
            raise InvalidInputError(f"row {row}, column {name!r}: null; {needed}")

    def _nulls(self, column: Any) -> NDArray[np.bool_]:
        nulls: NDArray[np.bool_] = column.is_null().to_numpy(zero_copy_only=False)
        return nulls

    def _lengths(self, lists: Any) -> NDArray[np.int64]:
        lengths: NDArray[np.int64] = (
            self._compute.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
        )
        return lengths

    def _ids(self, column: Any) -> list[Any]:
        self._refuse_null(column, "id", "every document needs an id")
        ids: list[Any] = column.to_pylist()
        return ids

    def _vectors(self, column: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """flat (tokens, dim) and lengths: views of the Arrow values, which `flatten` does not copy
        when there is no null."""
        self._refuse_null(column, "embeddings", "every document needs token vectors")
        lengths = self._lengths(column)
        tokens = column.flatten()
        if tokens.null_count:
            row = self._owner(lengths, int(np.argmax(self._nulls(tokens))))
            raise InvalidInputError(f"row {row}, column 'embeddings': a token vector is null")
        if not self._types.is_fixed_size_list(tokens.type):
            self._check_widths(lengths, self._lengths(tokens))
        values = tokens.flatten()
        if values.null_count:
            token = int(np.argmax(self._nulls(values))) // self._dim
            row = self._owner(lengths, token)
            raise InvalidInputError(f"row {row}, column 'embeddings': a vector has a null value")
        return values.to_numpy(zero_copy_only=True).reshape(-1, self._dim), lengths

    def _check_widths(self, lengths: NDArray[np.int64], widths: NDArray[np.int64]) -> None:
        wrong = widths != self._dim
        if wrong.any():
            token = int(np.argmax(wrong))
            raise DimensionMismatch(
                f"row {self._owner(lengths, token)}, column 'embeddings': found a vector of "
                f"{widths[token]} dimensions, the file has {self._dim}"
            )

    def _owner(self, lengths: NDArray[np.int64], token: int) -> int:
        """The row, within the stream, that a token of the batch belongs to."""
        return self._row + int(np.searchsorted(np.cumsum(lengths), token, side="right"))

    def _sparse(self, column: Any) -> list[dict[Any, float] | None]:
        vectors: list[dict[Any, float] | None] = []
        for index, pairs in enumerate(column.to_pylist()):
            vectors.append(None if pairs is None else dict(pairs))
            if pairs is not None and len(vectors[-1] or ()) < len(pairs):
                raise InvalidInputError(
                    f"row {self._row + index}, column {SPARSE!r}: a term is there twice"
                )
        return vectors

    def _metadata(self, columns: Mapping[str, Any], rows: int) -> list[Any] | None:
        entries: list[Any]
        if "metadata" in columns:
            entries = columns["metadata"].to_pylist()
            if self._is_text(columns["metadata"].type):
                entries = [self._parse(i, entry) for i, entry in enumerate(entries)]
        else:
            own = (*self._columns, SPARSE) if self._has_sparse(columns) else self._columns
            others = {name: columns[name].to_pylist() for name in columns if name not in own}
            if not others:
                return None
            entries = [
                dict(zip(others, row, strict=True)) for row in zip(*others.values(), strict=True)
            ]
        return [
            None if entry is None else self._written(i, entry) for i, entry in enumerate(entries)
        ]

    def _parse(self, index: int, text: str | None) -> Any:
        try:
            return None if text is None else json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(
                f"row {self._row + index}, column 'metadata': found a string that is not JSON "
                f"({error}), expected a JSON object"
            ) from None

    def _written(self, index: int, entry: Any) -> bytes:
        # Here and not later: an insert knows the place in the batch only.
        try:
            return metadata_json.written(entry, f"row {self._row + index}, column 'metadata'")
        except (ValueError, TypeError) as error:
            raise InvalidInputError(str(error)) from None
