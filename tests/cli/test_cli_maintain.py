"""The commands that look after a file."""

from __future__ import annotations

from conftest import CommandLine


def test_info(notes: CommandLine) -> None:
    numbers = notes.ok("info", "n.mvdb", "--json").json
    assert numbers["documents"] == 3
    assert (numbers["dim"], numbers["bits"], numbers["encoder"]) == (64, 2, "words")
    assert numbers["file_bytes"] == (notes.folder / "n.mvdb").stat().st_size
    lines = notes.ok("info", "n.mvdb").out.splitlines()
    assert "documents  3" in [" ".join(line.split()).replace(" ", "  ") for line in lines]


def test_verify(notes: CommandLine) -> None:
    report = notes.ok("verify", "n.mvdb", "--json").json
    assert report["ok"]
    assert report["documents"] == 3
    assert report["problems"] == []
    assert notes.ok("verify", "n.mvdb", "--shallow").out.startswith("n.mvdb: ok: ")


def damage(cli: CommandLine) -> None:
    """Turns a bit in what the text of the files is kept in."""
    path = cli.folder / "n.mvdb"
    data = bytearray(path.read_bytes())
    place = data.index(b"notes/sky/sky.txt#1")
    data[place] ^= 1
    path.write_bytes(data)


def test_damage_is_found(notes: CommandLine) -> None:
    damage(notes)
    outcome = notes("verify", "n.mvdb")
    assert outcome.code == 1
    assert outcome.err.startswith("mvdb: error: ")
    assert len(outcome.err.splitlines()) == 1


def test_repair_salvages_into_a_new_file(notes: CommandLine) -> None:
    damage(notes)
    before = (notes.folder / "n.mvdb").read_bytes()
    answer = notes.ok("repair", "n.mvdb", "new.mvdb", "--json").json
    assert answer["recovered"] + answer["lost"] == 3
    assert answer["recovered"] >= 2
    assert (notes.folder / "n.mvdb").read_bytes() == before
    assert notes.ok("verify", "new.mvdb", "--json").json["ok"]
    assert notes("repair", "n.mvdb", "new.mvdb").code == 1


def test_delete(notes: CommandLine) -> None:
    shown = notes.ok("delete", "n.mvdb", "notes/code.py#1", "nothing").out
    assert shown == "1 document deleted, 1 not found\n"
    answer = notes.ok("delete", "n.mvdb", "notes/fruit.md#1", "notes/fruit.md#1", "--json").json
    assert answer == {"file": "n.mvdb", "deleted": 1, "not_found": 0}
    assert [line["id"] for line in notes.export()] == ["notes/sky/sky.txt#1"]


def test_delete_integers(mvdb_cli: CommandLine) -> None:
    mvdb_cli.index("-", "n.mvdb", stdin='{"id": 1, "text": "a"}\n{"id": "1", "text": "b"}\n')
    mvdb_cli.ok("delete", "n.mvdb", "--integers", "1")
    assert [line["id"] for line in mvdb_cli.export()] == ["1"]
    outcome = mvdb_cli("delete", "n.mvdb", "--integers", "one")
    assert (outcome.code, len(outcome.err.splitlines())) == (1, 1)


def test_optimize_and_compact_keep_everything(notes: CommandLine) -> None:
    before = notes.export()
    answer = notes.ok("optimize", "n.mvdb", "--json").json
    assert answer["file_bytes"] == (notes.folder / "n.mvdb").stat().st_size
    notes.ok("compact", "n.mvdb")
    answer = notes.ok("compact", "n.mvdb", "--to", "small.mvdb", "--json").json
    assert answer["file"] == "small.mvdb"
    assert notes.export() == notes.export("small.mvdb") == before


def test_backup(notes: CommandLine) -> None:
    notes.ok("backup", "n.mvdb", "copy.mvdb")
    assert notes.export("copy.mvdb") == notes.export()
    again = notes("backup", "n.mvdb", "copy.mvdb")
    assert (again.code, len(again.err.splitlines())) == (1, 1)
    assert "copy.mvdb" in again.err
