"""``mvdb import`` and ``mvdb export``: indexes of other engines, files, and the way back."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from conftest import ENCODER, CommandLine
from test_cli_interrupted import stop_in_the_middle

import mvdb
from tests.importers.index_writers import Plaid, write_chroma, write_colbert, write_fast_plaid
from tests.importers.test_import_plaid import documents


@pytest.mark.parametrize(
    ("name", "write"), [("fast-plaid", write_fast_plaid), ("colbert", write_colbert)]
)
def test_an_index_of_plaid(mvdb_cli: CommandLine, name: str, write: object) -> None:
    index = Plaid(documents(12))
    write(mvdb_cli.folder / "index", index)  # type: ignore[operator]
    mvdb_cli.write("texts.tsv", "".join(f"{i}\tdocument number {i}\n" for i in range(12)))
    outcome = mvdb_cli.ok("import", "index", "n.mvdb", "--texts", "texts.tsv", "--json").json
    assert (outcome["from"], outcome["imported"], outcome["known"]) == (name, 12, 0)
    with mvdb.open(mvdb_cli.folder / "n.mvdb") as db:
        assert (len(db), db.bits, db.dim) == (12, 4, 16)
        assert db.search(index.decoded()[7], k=1)[0].id == 7
        assert db.search(text="document 7", k=1)[0].text == "document number 7"
        db.delete([3, 4])
    again = mvdb_cli.ok("import", "index", "n.mvdb", "--json").json
    assert (again["imported"], again["known"], again["documents"]) == (2, 10, 12)


def test_faults_are_one_line_and_leave_no_file(mvdb_cli: CommandLine) -> None:
    folder = write_fast_plaid(mvdb_cli.folder / "index", Plaid(documents(12)))
    (folder / "1.residuals.npy").unlink()
    np.save(folder.parent / "plain.npy", np.ones(3))
    mvdb_cli.write("bad.jsonl", '{"id": 1, "vectors": [[1, 2], [3]]}\n')
    for arguments, reason in [
        (("index",), "1.residuals.npy"),
        (("nothing",), "nothing: no such file or folder"),
        (("plain.npy",), "--from"),
        (("bad.jsonl",), "line 1"),
        (("index", "--table", "x"), "table"),
    ]:
        source, *rest = arguments
        outcome = mvdb_cli("import", source, "n.mvdb", *rest)
        assert (outcome.code, outcome.out) == (1, ""), outcome
        assert reason in outcome.err
        assert len(outcome.err.splitlines()) == 1
        assert not (mvdb_cli.folder / "n.mvdb").exists()


def test_texts_are_encoded(mvdb_cli: CommandLine) -> None:
    records = [("a", "red apples", {"n": 1}), ("b", "the blue sky", {}), ("c", None, {})]
    write_chroma(mvdb_cli.folder / "chroma", records)
    outcome = mvdb_cli.ok("import", "chroma", "n.mvdb", *ENCODER, "--json").json
    assert (outcome["imported"], outcome["left_out"]) == (2, 1)
    assert mvdb_cli.search("n.mvdb", "blue")[0]["id"] == "b"
    with mvdb.open(mvdb_cli.folder / "n.mvdb") as db:
        assert db.stats().encoder == "words"
    other = mvdb_cli("import", "chroma", "n.mvdb", "--encoder", "words_encoder:make_other")
    assert other.code == 1
    assert "encoder" in other.err


def test_a_collection_of_a_file(mvdb_cli: CommandLine) -> None:
    write_colbert(mvdb_cli.folder / "index", Plaid(documents(6), bits=2))
    mvdb_cli.ok("import", "index", "n.mvdb", "--collection", "other", "--bits", "16", "-q")
    with mvdb.open(mvdb_cli.folder / "n.mvdb") as db:
        assert len(db) == 0
        assert db.collection("other", bits=16).bits == 16
        assert len(db.collection("other", bits=16)) == 6


def tenants_file(path: Path) -> None:
    rng = np.random.default_rng(3)
    with mvdb.open(path, dim=8, tenants=True, bits=16) as db:
        for tenant in ("acme", "globex"):
            ids = [7, "7", f"only {tenant}"]
            vectors = [rng.standard_normal((2, 8)) for _ in ids]
            metadata = [{"owner": tenant}, None, {"tenant": "x"}]
            db.insert(ids, vectors, texts=[tenant, None, "é"], metadata=metadata, tenant=tenant)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_all_tenants_there_and_back(mvdb_cli: CommandLine, kind: str) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="the extra arrow is not installed")
    tenants_file(mvdb_cli.folder / "t.mvdb")
    name = f"t.{kind}"
    outcome = mvdb_cli.ok("export", "t.mvdb", name, "--all-tenants", "--vectors", "--json").json
    assert outcome["documents"] == 6
    mvdb_cli.ok("import", name, "u.mvdb", "--bits", "16", "-q")
    with (
        mvdb.open(mvdb_cli.folder / "t.mvdb") as before,
        mvdb.open(mvdb_cli.folder / "u.mvdb") as after,
    ):
        assert after.tenants() == before.tenants() == {"acme": 3, "globex": 3}
        for tenant in before.tenants():
            assert list(after.documents(tenant=tenant)) == list(before.documents(tenant=tenant))
            for id in before.ids(tenant=tenant):
                (old,), (new,) = before.vectors(id, tenant=tenant), after.vectors(id, tenant=tenant)
                assert np.array_equal(old, new)


def test_documents_of_tenants_do_not_meet_in_a_file_without(mvdb_cli: CommandLine) -> None:
    tenants_file(mvdb_cli.folder / "t.mvdb")
    mvdb_cli.ok("export", "t.mvdb", "t.jsonl", "--all-tenants", "--vectors", "-q")
    with mvdb.open(mvdb_cli.folder / "u.mvdb", dim=8):
        pass
    for more in ((), ("--collection", "c")):
        outcome = mvdb_cli("import", "t.jsonl", "u.mvdb", *more)
        assert (outcome.code, len(outcome.err.splitlines())) == (1, 1)
        assert "tenants" in outcome.err
    write_colbert(mvdb_cli.folder / "index", Plaid(documents(6), bits=2))
    mvdb_cli.ok("import", "index", "v.mvdb", "--tenant", "acme", "-q")
    assert mvdb_cli.ok("tenants", "v.mvdb", "--json").json["tenants"] == {"acme": 6}


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_an_import_that_was_stopped_goes_on(mvdb_cli: CommandLine, sign: signal.Signals) -> None:
    records = [(f"id {i}", f"text {i}", {"n": i}) for i in range(1800)]
    write_chroma(mvdb_cli.folder / "chroma", records)
    command = ("import", "chroma", "n.mvdb", *ENCODER)
    half = {"WORDS_ENCODER_BATCHES": "2"}
    process = mvdb_cli.start(*command, environment=half)
    stop_in_the_middle(mvdb_cli, process, sign)
    with mvdb.open(mvdb_cli.folder / "n.mvdb") as db:
        before = len(db)
        assert 0 < before < 1800
    outcome = mvdb_cli.ok(*command, "--json").json
    assert (outcome["imported"], outcome["known"]) == (1800 - before, before)
    assert sorted(line["text"] for line in mvdb_cli.export()) == sorted(t for _, t, _ in records)


def test_export_refuses_what_cannot_be_meant(mvdb_cli: CommandLine) -> None:
    tenants_file(mvdb_cli.folder / "t.mvdb")
    mvdb_cli.write("there.jsonl", "kept")
    for arguments, reason in [
        (("--tenant", "acme", "--to", "parquet"), "DST.parquet"),
        (("x.jsonl", "--tenant", "acme", "--all-tenants"), "one of them"),
        (("there.jsonl", "--tenant", "acme"), "there.jsonl"),
        (("x.jsonl",), "separates tenants"),
    ]:
        outcome = mvdb_cli("export", "t.mvdb", *arguments)
        assert (outcome.code, outcome.out) == (1, "")
        assert reason in outcome.err
    assert (mvdb_cli.folder / "there.jsonl").read_text() == "kept"
    assert sorted(path.name for path in mvdb_cli.folder.iterdir()) == ["t.mvdb", "there.jsonl"]


def test_lines_of_export_are_those_of_the_file(mvdb_cli: CommandLine) -> None:
    tenants_file(mvdb_cli.folder / "t.mvdb")
    whose = ("--tenant", "acme", "--vectors")
    printed = mvdb_cli.ok("export", "t.mvdb", *whose).out.splitlines()
    mvdb_cli.ok("export", "t.mvdb", "t.jsonl", *whose, "-q")
    written = (mvdb_cli.folder / "t.jsonl").read_text(encoding="utf-8").splitlines()
    assert list(map(json.loads, printed)) == list(map(json.loads, written))
    assert len(printed) == 3
