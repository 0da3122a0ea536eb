"""`--collection`: the commands on a collection of a file."""

from __future__ import annotations

import json

from conftest import ENCODER, CommandLine

import mvdb

LINES = "".join(
    json.dumps({"id": name, "text": text, "metadata": {"kind": kind}}) + "\n"
    for name, text, kind in (
        ("a", "meeting about apples at noon", "fruit"),
        ("b", "a letter about whales", "animal"),
        ("c", "pears are in the basket", "fruit"),
    )
)


def test_a_collection_has_its_own_documents(notes: CommandLine) -> None:
    of = ("--collection", "mail")
    notes.ok("index", "-", "n.mvdb", *of, "--bits", "4", "-q", *ENCODER, stdin=LINES)
    assert notes.ok("count", "n.mvdb").out == "3\n"
    assert notes.ok("count", "n.mvdb", *of, "--filter", '{"kind": "fruit"}').out == "2\n"
    info = notes.ok("info", "n.mvdb", "--json").json
    assert (info["collections"], info["bits"]) == (["mail"], 2)
    assert "collections       mail\n" in notes.ok("info", "n.mvdb").out
    info = notes.ok("info", "n.mvdb", *of, "--json").json
    assert (info["documents"], info["bits"], info["encoder"]) == (3, 4, "words")
    hits = notes.ok("search", "n.mvdb", "whales", *of, *ENCODER, "--json").json["hits"]
    assert hits[0]["id"] == "b"
    assert notes.ok("similar", "n.mvdb", "a", *of, "--json").json["hits"][0]["id"] in ("b", "c")
    values = notes.ok("facets", "n.mvdb", "kind", *of, "--json").json["values"]
    assert values[0] == {"value": "fruit", "count": 2}
    assert notes.ok("list", "n.mvdb", *of, "--json").json["documents"][0]["id"] == "a"
    lines = notes.ok("export", "n.mvdb", *of).out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a", "b", "c"]
    again = notes.ok("index", "-", "n.mvdb", *of, *ENCODER, "--json", stdin=LINES).json
    assert again["file"] == "n.mvdb"
    assert notes.ok("delete", "n.mvdb", "a", "x", *of, "--json").json["deleted"] == 1
    notes.ok("optimize", "n.mvdb", *of, "-q")
    assert notes.ok("verify", "n.mvdb", "--json").json["documents"] == 5
    notes.ok("compact", "n.mvdb", "-q")
    with mvdb.open(notes.folder / "n.mvdb") as db:
        assert list(db.collection("mail").ids()) == ["b", "c"]


def test_a_new_file_with_a_collection(notes: CommandLine) -> None:
    notes.ok("index", "-", "new.mvdb", "--collection", "mail", "-q", *ENCODER, stdin=LINES)
    assert notes.ok("count", "new.mvdb").out == "0\n"
    assert notes.ok("count", "new.mvdb", "--collection", "mail").out == "3\n"


def test_an_unknown_collection_is_not_made(notes: CommandLine) -> None:
    for command in (("count", "n.mvdb"), ("delete", "n.mvdb", "a"), ("optimize", "n.mvdb")):
        outcome = notes(*command, "--collection", "mial")
        assert outcome.code == 1
        assert outcome.err.startswith("mvdb: error: n.mvdb: no collection 'mial'; its collections")
    assert notes.ok("info", "n.mvdb", "--json").json["collections"] == []
