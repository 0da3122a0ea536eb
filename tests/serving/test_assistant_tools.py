"""``mvdb mcp`` as an assistant meets it: a process, asked by the official package's own client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from tests.cli.words_encoder import WordsEncoder
from tests.serving.sidecar import ENCODER, ROOT
from tests.support.patience import PATIENCE

TEXTS = {
    "boat": "Caulk the seams before you paint the hull. " + "More on boats. " * 2000,
    "bread": "Bake the bread before the sun is up",
    7: "Gulls follow the ferry for bread",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with mvdb.open(tmp_path / "n.mvdb", encoder=WordsEncoder()) as db:
        db.insert(
            list(TEXTS),
            texts=list(TEXTS.values()),
            metadata=[{"year": 2020 + place % 2} for place in range(len(TEXTS))],
        )
    return tmp_path / "n.mvdb"


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@asynccontextmanager
async def assistant(file: Path, *arguments: str) -> AsyncIterator[Any]:
    """A client that is connected with the process."""
    from mcp.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "mvdb", "mcp", str(file), *ENCODER, *arguments],
        env=environment(),
        cwd=file.parent,
    )
    with (file.parent / "stderr").open("w") as errors:
        async with Client(stdio_client(server, errlog=errors)) as client:
            yield client


def ask(file: Path, questions: Callable[[Any], Awaitable[None]], *arguments: str) -> None:
    """Runs questions against a process."""
    anyio = pytest.importorskip("anyio", reason="the extra mcp is not installed")
    pytest.importorskip("mcp.client", reason="the extra mcp is not installed")

    async def run() -> None:
        with anyio.fail_after(PATIENCE):
            async with assistant(file, *arguments) as client:
                await questions(client)

    anyio.run(run)
    errors = (file.parent / "stderr").read_text()
    assert "Traceback" not in errors
    assert "--no-encoder" in arguments or "loaded by a library in C" in errors


async def result(client: Any, tool: str, **arguments: Any) -> Any:
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer
    return answer.structured_content["result"]


async def fault(client: Any, tool: str, **arguments: Any) -> str:
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error, answer
    return str(answer.content[0].text)


def test_tools_answer_as_the_api(file: Path) -> None:
    async def questions(client: Any) -> None:
        with mvdb.open(file, readonly=True, encoder=WordsEncoder()) as db:
            for k, filter in [(1, None), (3, None), (3, {"year": 2020})]:
                found = await result(client, "search", query="bread hull", k=k, filter=filter)
                hits = db.search("bread hull", k, filter=filter)
                assert [one["id"] for one in found] == [hit.id for hit in hits]
                assert [one["score"] for one in found] == [round(hit.score, 4) for hit in hits]
                assert [one["metadata"] for one in found] == [hit.metadata for hit in hits]
            similar = await result(client, "similar", id=7, k=2)
            assert [one["id"] for one in similar] == [hit.id for hit in db.more_like(7, 2)]
            facets = await result(client, "facets", field="year")
            assert [(one["value"], one["count"]) for one in facets] == db.facets("year")
        assert await result(client, "facets", field="nothing") == []

    ask(file, questions)


def test_long_texts_come_in_parts(file: Path) -> None:
    async def questions(client: Any) -> None:
        (hit,) = await result(client, "search", query="caulk", k=1)
        assert (hit["id"], hit["text"], hit["more"]) == ("boat", TEXTS["boat"][:2000], True)
        text, more = "", True
        while more:
            part, missing = await result(client, "get", ids=["boat", "none"], begin=len(text))
            assert missing is None
            assert len(part["text"]) <= 20_000
            text, more = text + part["text"], part["more"]
        assert text == TEXTS["boat"]

    ask(file, questions)


def test_mistakes_are_told_to_the_assistant(file: Path) -> None:
    async def questions(client: Any) -> None:
        assert "'none'" in await fault(client, "similar", id="none")
        assert "$near" in await fault(client, "search", query="x", filter={"a": {"$near": 1}})
        assert "1 to 50" in await fault(client, "search", query="x", k=51)
        assert "1 to 20" in await fault(client, "get", ids=list(range(21)))
        assert "begin" in await fault(client, "get", ids=[7], begin=-1)
        assert "query" in await fault(client, "search", words="x")
        assert len(await result(client, "search", query="bread")) == 3

    ask(file, questions)


def test_nothing_is_written_unless_allowed(file: Path) -> None:
    before = file.read_bytes()

    async def questions(client: Any) -> None:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == {"search", "get", "similar", "facets"}
        assert all(tool.annotations.read_only_hint for tool in tools)
        assert all(tool.description for tool in tools)
        await fault(client, "delete", ids=["boat"])
        await result(client, "search", query="bread")

    ask(file, questions)
    assert file.read_bytes() == before


def test_an_assistant_that_may_write(file: Path) -> None:
    async def questions(client: Any) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert not tools["store"].annotations.read_only_hint
        assert tools["delete"].annotations.destructive_hint
        assert await result(client, "store", id="snow", text="Snow", metadata={"a": 1}) == "stored"
        assert (await result(client, "search", query="snow", k=1))[0]["id"] == "snow"
        assert await result(client, "delete", ids=["boat", 9]) == 1
        assert "id" in await fault(client, "store", id="", text="y")

    ask(file, questions, "--write")
    with mvdb.open(file, readonly=True) as db:
        assert set(db.ids()) == {7, "bread", "snow"}


def test_a_tenant_is_all_that_its_assistant_sees(tmp_path: Path) -> None:
    file = tmp_path / "n.mvdb"
    with mvdb.open(file, encoder=WordsEncoder(), tenants=True) as db:
        for name in ("anna", "bert"):
            db.insert("1", texts=f"note of {name}", metadata={"of": name}, tenant=name)
        db.insert("2", texts="another note", tenant="anna")

    async def questions(client: Any) -> None:
        (hit,) = await result(client, "search", query="note")
        assert hit["text"] == "note of bert"
        assert await result(client, "get", ids=["2"]) == [None]
        assert await result(client, "similar", id="1") == []
        assert await result(client, "facets", field="of") == [{"value": "bert", "count": 1}]

    ask(file, questions, "--tenant", "bert")


def test_words_alone_are_found_without_an_encoder(tmp_path: Path) -> None:
    with mvdb.open(tmp_path / "n.mvdb", dim=4) as db:
        db.insert("a", np.ones((1, 4)), texts="some words")

    async def questions(client: Any) -> None:
        assert [one["id"] for one in await result(client, "search", query="words")] == ["a"]

    ask(tmp_path / "n.mvdb", questions, "--no-encoder")


@pytest.mark.parametrize("version", [None, "1.30.0"])
def test_a_missing_or_old_package_is_named(file: Path, version: str | None) -> None:
    """Stands in for an environment without the package, or with one before 2."""
    program = (
        "import importlib.metadata as metadata, sys\n"
        "def version(name, given=metadata.version):\n"
        "    if name != 'mcp': return given(name)\n"
        f"    found = {version!r}\n"
        "    if found is None: raise metadata.PackageNotFoundError(name)\n"
        "    return found\n"
        "metadata.version = version\n"
        "from mvdb.cli import main\n"
        f"sys.exit(main(['mcp', {str(file)!r}, '--no-encoder']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.stderr.count("\n") == 1, done.stderr
    assert (done.returncode, done.stdout) == (1, "")
    assert "mvdb-engine[mcp]" in done.stderr
    assert (version or "not installed") in done.stderr


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mvdb", "mcp", "none.mvdb", "--no-encoder"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "none.mvdb" in done.stderr
    assert not list(tmp_path.iterdir())
