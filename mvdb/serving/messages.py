"""Requests and answers: JSON objects, one a line (docs/howto-sidecar.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from mvdb.errors import shown
from mvdb.serving.error_codes import INVALID_REQUEST, PARSE_ERROR

RequestId = str | int

_KEYS = {"id", "method", "params", "progress"}


class Refusal(Exception):
    """A line that is no valid request. id: that of the request, None where it has none."""

    def __init__(self, code: str, message: str, id: RequestId | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.id = id


@dataclass(frozen=True)
class Request:
    """One call. wants_progress: whether lines of progress may precede the answer."""

    id: RequestId
    method: str
    params: dict[str, Any]
    wants_progress: bool


def parse(line: bytes) -> Request:
    """The request of a line; raises Refusal."""
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise Refusal(PARSE_ERROR, "the line is nested too deeply") from None
    except ValueError as error:
        raise Refusal(PARSE_ERROR, f"the line is not JSON in UTF-8: {error}") from None
    if not isinstance(value, dict):
        raise Refusal(INVALID_REQUEST, 'a request is an object {"id", "method", "params"?}')
    id = value.get("id")
    if isinstance(id, bool) or not isinstance(id, (str, int)):
        raise Refusal(INVALID_REQUEST, f"id: a string or an integer is needed, not {shown(id)}")
    return _checked(id, value)


def _checked(id: RequestId, value: dict[str, Any]) -> Request:
    method, params = value.get("method"), value.get("params", {})
    wants_progress = value.get("progress", False)
    unknown = value.keys() - _KEYS
    if unknown:
        names = ", ".join(shown(name) for name in sorted(unknown))
        fault = f"unknown keys of the request: {names}; arguments belong into params"
    elif not isinstance(method, str):
        fault = f"method: a string is needed, not {shown(method)}"
    elif not isinstance(params, dict):
        fault = f"params: an object of arguments by name is needed, not {shown(params)}"
    elif not isinstance(wants_progress, bool):
        fault = f"progress: true or false is needed, not {shown(wants_progress)}"
    else:
        return Request(id, method, params, wants_progress)
    raise Refusal(INVALID_REQUEST, fault, id)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def result(id: RequestId, value: Any) -> dict[str, Any]:
    """The answer of a call that succeeded."""
    return {"id": id, "result": value}


def failure(id: RequestId | None, code: str, message: str) -> dict[str, Any]:
    """The answer of a call that failed, or to a line that is no request."""
    return {"id": id, "error": {"code": code, "message": message}}


def progress(id: RequestId, **figures: Any) -> dict[str, Any]:
    """A line between a request and its answer."""
    return {"id": id, "progress": figures}
