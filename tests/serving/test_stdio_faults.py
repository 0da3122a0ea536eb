"""A faulty line or call has one clear error as its answer, and the process lives on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mvdb
from mvdb.serving import messages
from mvdb.serving.error_codes import CODES, code_of
from mvdb.serving.lines import MAX_LINE
from mvdb.serving.messages import Refusal, Request
from tests.serving.sidecar import ENCODER, ROOT, Sidecar


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with Sidecar(tmp_path_factory.mktemp("faults"), *ENCODER) as process:
        process.call("insert", ids=["a", "b"], texts=["one text", "two texts"])
        yield process


def refused(sidecar: Sidecar, line: bytes) -> tuple[Any, str, str]:
    """Id, code and message of the answer to a line; the process answers the next request."""
    sidecar.write(line + b"\n")
    message = sidecar.next()
    assert message.keys() == {"id", "error"}
    assert message["error"].keys() == {"code", "message"}
    assert sidecar.call("count") == 2
    return message["id"], message["error"]["code"], message["error"]["message"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"nonsense", "parse_error"),
        (b"{", "parse_error"),
        (b'{"id": 1, "method": "count"} {}', "parse_error"),
        (b'\xff\xfe{"id": 1}', "parse_error"),
        (b'{"id": 1, "method": "search", "params": {"k": NaN}}', "parse_error"),
        (b'{"id": 1, "method": "search", "params": {"k": -Infinity}}', "parse_error"),
        (b'{"id": ' + b"9" * 5000 + b', "method": "count"}', "parse_error"),
        (b"[" * 200_000, "parse_error"),
        (b"[]", "invalid_request"),
        (b'"count"', "invalid_request"),
        (b"{}", "invalid_request"),
        (b'{"method": "count"}', "invalid_request"),
        (b'{"id": null, "method": "count"}', "invalid_request"),
        (b'{"id": true, "method": "count"}', "invalid_request"),
        (b'{"id": 1.5, "method": "count"}', "invalid_request"),
        (b'{"id": [1], "method": "count"}', "invalid_request"),
    ],
    ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else value,
)
def test_lines_that_are_no_requests(sidecar: Sidecar, line: bytes, code: str) -> None:
    assert refused(sidecar, line)[:2] == (None, code)


@pytest.mark.parametrize(
    ("rest", "code", "named"),
    [
        ('"params": {}', "invalid_request", "method"),
        ('"method": 5', "invalid_request", "method"),
        ('"method": "count", "params": [1]', "invalid_request", "params"),
        ('"method": "count", "params": null', "invalid_request", "params"),
        ('"method": "count", "progress": 1', "invalid_request", "progress"),
        ('"method": "search", "query": "x"', "invalid_request", "'query'"),
        ('"method": "Count"', "unknown_method", "count"),
        ('"method": "close"', "unknown_method", "'close'"),
        ('"method": "__init__"', "unknown_method", "search"),
        ('"method": "count", "params": {"filters": {}}', "invalid_params", "filter"),
        ('"method": "optimize", "params": {"progress": 1}', "invalid_params", "progress"),
        ('"method": "insert", "params": {"texts": "x"}', "invalid_params", "ids"),
        ('"method": "facets"', "invalid_params", "field"),
        ('"method": "cancel"', "invalid_params", "id"),
        ('"method": "cancel", "params": {"id": null}', "invalid_params", "id"),
        ('"method": "cancel", "params": {"id": 1, "x": 2}', "invalid_params", "id"),
    ],
)
def test_requests_that_are_no_calls(sidecar: Sidecar, rest: str, code: str, named: str) -> None:
    id, found, message = refused(sidecar, f'{{"id": "\\ud800", {rest}}}'.encode())
    assert (id, found) == ("\ud800", code)
    assert named in message


@pytest.mark.parametrize(
    ("method", "params", "code", "named"),
    [
        ("search", {}, "invalid_input", "query"),
        ("search", {"query": 5}, "invalid_input", "query"),
        ("search", {"query": [[1, 2], [3]]}, "invalid_input", "query"),
        ("search", {"query": [["1", "2"]]}, "invalid_input", "query"),
        ("search", {"query": [[1.0, 2.0]]}, "dimension_mismatch", "2 dimensions"),
        ("search", {"query": [[10**400] * 64]}, "invalid_input", "query"),
        ("search", {"query": "x", "k": 0}, "invalid_input", "k"),
        ("search", {"query": "x", "k": "5"}, "invalid_input", "k"),
        ("search", {"query": "x", "filter": {"$x": 1}}, "filter", "$x"),
        ("search", {"query": '"open', "strict": True}, "query", "quot"),
        ("search_batch", {"queries": "x"}, "invalid_input", "queries"),
        ("search_batch", {"queries": [[[1], [2, 3]]]}, "invalid_input", "queries[0]"),
        ("insert", {"ids": "a", "texts": "again"}, "duplicate_id", "a"),
        ("insert", {"ids": ["c"], "texts": ["x"], "metadata": [5]}, "invalid_input", "metadata"),
        ("insert", {"ids": ["c"], "embeddings": [[1]]}, "invalid_input", "'c'"),
        ("insert", {"ids": 1.5, "texts": "x"}, "invalid_input", "1.5"),
        ("insert", {"ids": "c", "texts": "\ud800"}, "invalid_input", "text"),
        ("update", {"ids": "c", "metadata": {}}, "not_found", "c"),
        ("more_like", {"id": "c"}, "not_found", "c"),
        ("delete", {}, "invalid_input", "ids"),
        ("documents", {"limit": 0}, "invalid_input", "limit"),
        ("documents", {"limit": True}, "invalid_input", "limit"),
        ("documents", {"limit": None, "after": 1.5}, "invalid_input", "after"),
        ("backup", {"path": 5}, "invalid_input", "path"),
        ("backup", {"path": "no/such/folder/x"}, "path", "no/such/folder"),
    ],
)
def test_calls_that_fail(
    sidecar: Sidecar, method: str, params: dict[str, Any], code: str, named: str
) -> None:
    found, message = sidecar.error(method, **params)
    assert found == code, message
    assert named in message
    assert sidecar.call("count") == 2


def test_a_huge_line_is_passed_over(sidecar: Sidecar) -> None:
    request = {"id": 1, "method": "count", "params": {"filter": {"x": "y" * MAX_LINE}}}
    assert refused(sidecar, json.dumps(request).encode())[:2] == (None, "line_too_long")
    text = "y" * (MAX_LINE - 1000)
    assert sidecar.error("count", filter={text: {"$x": 1}})[0] == "filter"


def test_blank_lines_are_no_lines(sidecar: Sidecar) -> None:
    sidecar.write(b"\n  \r\n")
    assert sidecar.call("count") == 2


@given(st.binary(max_size=60))
def test_any_bytes_are_a_request_or_refused(line: bytes) -> None:
    with_refusals(line)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
KEYS = ("id", "method", "params", "progress", "more")


@given(JSON | st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_json_is_a_request_or_refused(value: Any) -> None:
    with_refusals(json.dumps(value).encode())


def with_refusals(line: bytes) -> None:
    outcome: Request | Refusal
    try:
        outcome = messages.parse(line)
    except Refusal as refusal:
        outcome = refusal
    if isinstance(outcome, Request):
        assert {"id", "method"} <= json.loads(line).keys() <= set(KEYS)
    else:
        assert outcome.code in ("parse_error", "invalid_request")
        assert str(outcome)


PAGE = (ROOT / "docs" / "howto-sidecar.md").read_text(encoding="utf-8")


def test_every_error_of_the_api_has_a_documented_code() -> None:
    kinds = [kind for name in mvdb.__all__ if isinstance(kind := getattr(mvdb, name), type)]
    errors = [kind for kind in kinds if issubclass(kind, Exception)]
    assert len(errors) > 20
    for kind in errors:
        code = code_of(kind("x"))
        assert code != "internal" or kind in (mvdb.Error, mvdb.WrongThreadError), kind
    for code in CODES.values():
        assert f"`{code}`" in PAGE


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--readonly",), "n.mvdb"),
        (("--no-encoder",), "dim"),
        (("--encoder", "no_such_module:make"), "no_such_module"),
        (("--collection", "none", *ENCODER), "none"),
        ((*ENCODER, "--dim", "3"), "3"),
    ],
)
def test_a_server_that_cannot_start_says_why(
    tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    with Sidecar(tmp_path, *arguments) as process:
        assert process.process.wait() == 1
        errors = process.errors().splitlines()
        assert errors[-1].startswith("mvdb: error: ")
        assert reason in errors[-1]
        assert "Traceback" not in process.errors()
        assert process.rest() == []
    assert not (tmp_path / "n.mvdb").exists()


def test_a_file_of_another_encoder_is_refused(tmp_path: Path) -> None:
    with Sidecar(tmp_path, *ENCODER) as process:
        process.call("insert", ids="a", texts="text")
    with Sidecar(tmp_path, "--encoder", "tests.cli.words_encoder:make_other") as process:
        assert process.process.wait() == 1
        assert "was made with the encoder 'words'" in process.errors()
