"""Commands on a database that separates tenants."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from conftest import CommandLine

import mvdb


@pytest.fixture
def shared(mvdb_cli: CommandLine) -> CommandLine:
    """Two tenants with the same ids."""
    with mvdb.open(mvdb_cli.folder / "t.mvdb", dim=4, tenants=True) as db:
        for number, tenant in enumerate(["acme", "globex"]):
            db.insert(
                ["a", "b", 7][: 3 - number],
                np.ones((3 - number, 2, 4), np.float32),
                texts=[f"{tenant} {i}" for i in range(3 - number)],
                metadata=[{"owner": tenant}] * (3 - number),
                tenant=tenant,
            )
    return mvdb_cli


@pytest.mark.parametrize(
    "command",
    [
        ("count",),
        ("facets", "owner"),
        ("list",),
        ("similar", "a"),
        ("show", "a"),
        ("delete", "a"),
        ("export",),
    ],
)
def test_a_command_without_a_tenant_is_refused(shared: CommandLine, command: tuple[str]) -> None:
    name, *rest = command
    outcome = shared(name, "t.mvdb", *rest)
    assert (outcome.code, outcome.out, len(outcome.err.splitlines())) == (1, "", 1)
    assert "separates tenants" in outcome.err


def test_commands_of_one_tenant(shared: CommandLine) -> None:
    def ok(command: str, *arguments: str) -> Any:
        return shared.ok(command, "t.mvdb", *arguments, "--tenant", "globex", "--json")

    assert ok("count").json["count"] == 2
    assert ok("facets", "owner").json["values"] == [{"value": "globex", "count": 2}]
    assert [one["text"] for one in ok("list").json["documents"]] == ["globex 0", "globex 1"]
    assert "globex 1" in ok("similar", "a").out
    assert "acme" not in ok("similar", "a").out
    lines = shared.ok("export", "t.mvdb", "--tenant", "globex").out.splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["globex 0", "globex 1"]
    (document,) = ok("show", "a", "--context", "2").json["documents"]
    assert document["text"] == "globex 0"
    files = shared("ls", "t.mvdb")
    assert (files.code, "documents of tenants are of no file" in files.err) == (1, True)
    assert ok("delete", "a", "none").json == {"file": "t.mvdb", "deleted": 1, "not_found": 1}
    assert shared.ok("tenants", "t.mvdb").out == "3  acme\n1  globex\n"
    answer = shared.ok("tenants", "t.mvdb", "--json").json
    assert answer == {"file": "t.mvdb", "tenants": {"acme": 3, "globex": 1}}


def test_tenants_of_a_file_without_them(mvdb_cli: CommandLine) -> None:
    mvdb.open(mvdb_cli.folder / "plain.mvdb", dim=4).close()
    outcome = mvdb_cli("tenants", "plain.mvdb")
    assert (outcome.code, len(outcome.err.splitlines())) == (1, 1)
    mvdb.open(mvdb_cli.folder / "empty.mvdb", dim=4, tenants=True).close()
    assert mvdb_cli("tenants", "empty.mvdb").err == "no tenants\n"
