"""JSON lines as records: the one reader of `mvdb index -` and `mvdb import`.

Whatever is wrong with a line is said with its number, before anything of it is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from mvdb.documents import ids, metadata, tenants
from mvdb.errors import InvalidInputError
from mvdb.importers.choices import METADATA, Roles

MAX_LINE = 1 << 28
"""Bytes of a line: 256 MiB, a million numbers of a vector take about 20 MiB."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def json_records(file: BinaryIO, name: str) -> Iterator[JsonRecord]:
    """The record of each line that is not blank. name: of the file, for messages.

    Raises InvalidInputError for the first line that is none."""
    for number in count(1):
        line = file.readline(MAX_LINE + 1)
        where = f"{name}: line {number}"
        if not line:
            return
        if len(line) > MAX_LINE:
            raise InvalidInputError(f"{where}: longer than {MAX_LINE:,} bytes")
        line = line.removeprefix(_BYTE_ORDER_MARK)  # of files that were joined, any may begin so
        if line.strip():
            yield JsonRecord(_object(line, where), where, len(line))


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{where}: not UTF-8 ({error})") from None
    except RecursionError:
        raise InvalidInputError(f"{where}: nested too deep") from None
    except ValueError as error:
        raise InvalidInputError(f"{where}: not JSON ({error})") from None
    if not isinstance(value, dict):
        raise InvalidInputError(f"{where}: a JSON object is needed")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


@dataclass(frozen=True)
class JsonRecord:
    """A record with fields that are checked when they are asked for. Each method takes the name of
    a field and raises InvalidInputError that begins with the place of the record.

    Attributes:
        fields: the values by name.
        where: the file and the number of the line.
        length: bytes of the line."""

    fields: dict[str, Any]
    where: str
    length: int

    def id(self, name: str) -> str | int:
        """The id of the document."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise self._fault(f"{name!r}: a string or an integer is needed")
        try:
            ids.encode(value)
        except InvalidInputError as error:
            raise self._fault(str(error)) from None
        return value

    def text(self, name: str, *, is_needed: bool) -> str | None:
        """The text; None, or a blank one, only if it is not needed."""
        value = self.fields.get(name)
        if value is None and not is_needed:
            return None
        if not isinstance(value, str) or (is_needed and not value.strip()):
            not_blank = " that is not blank" if is_needed else ""
            raise self._fault(f"{name!r}: a string{not_blank} is needed")
        try:
            value.encode()
        except UnicodeEncodeError:  # JSON can write it
            fault = "a string with a lone surrogate is not Unicode text"
            raise self._fault(f"{name!r}: {fault}") from None
        return value

    def vectors(self, name: str, dim: int | None = None) -> NDArray[np.float32]:
        """The token vectors (n, dim); dim: their dimensions, if they are known."""
        try:
            with np.errstate(over="ignore"):
                matrix = np.array(self.fields.get(name), dtype=np.float32)
        except (ValueError, TypeError, OverflowError):
            matrix = np.empty(0, np.float32)
        if matrix.ndim != 2 or not matrix.size:
            raise self._fault(f"{name!r}: the token vectors are no list of vectors of one length")
        if dim is not None and matrix.shape[1] != dim:
            raise self._fault(
                f"{name!r}: vectors of {matrix.shape[1]} dimensions; the first record has {dim}"
            )
        if not np.isfinite(matrix).all():
            raise self._fault(f"{name!r}: a number beyond the range of float32")
        if not matrix.any():
            raise self._fault(f"{name!r}: all numbers are 0; a vector needs a direction")
        return matrix

    def metadata(self, fields: Roles) -> dict[str, Any] | None:
        """The content of the field `metadata` or, without it, the fields without a role."""
        value: dict[str, Any] | None
        if METADATA in self.fields and not fields.others:
            value = self.fields[METADATA]
            if not isinstance(value, (dict, type(None))):
                raise self._fault(f"{METADATA!r}: an object is needed")
        else:
            names = fields.metadata_names(self.fields)
            value = {name: self.fields[name] for name in names} or None
        if value is not None:
            self._check_metadata(value)
        return value

    def _check_metadata(self, value: dict[str, Any]) -> None:
        try:
            metadata.validate_metadata(value, METADATA)
            if self.length > metadata.MAX_BYTES // 8:  # else its written form is small enough
                metadata.dumps(value)
        except (ValueError, TypeError) as error:
            raise self._fault(str(error)) from None

    def tenant(self, name: str) -> str:
        """To whom the document belongs."""
        try:
            return tenants.check_name(self.fields.get(name), name)
        except InvalidInputError as error:
            raise self._fault(str(error)) from None

    def _fault(self, message: str) -> InvalidInputError:
        return InvalidInputError(f"{self.where}: {message}")
