"""JSON lines, Parquet files and saved data sets: fields by their roles, faults by their lines."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mvdb
from mvdb import importers
from mvdb.cli import main

DIM = 4


def rows(seed: int, count: int = 3) -> list[list[float]]:
    return np.random.default_rng(seed).standard_normal((count, DIM)).round(3).tolist()


def loaded(source: importers.Source, path: Path) -> dict[Any, mvdb.Document]:
    with mvdb.open(path, dim=source.dim, bits=16, tenants=source.tenants) as db:
        db.insert_batches(source.batches(), total=source.total)
        return {one.id: one for one in db.documents()}


def lines(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return path


def test_fields_have_roles(tmp_path: Path) -> None:
    one = {"id": 1, "text": "one", "vectors": rows(1), "year": 2001, "deep": {"a": [1]}}
    two = {"id": "two", "embeddings": rows(2), "vectors": rows(2), "text": None, "lang": "de"}
    source = importers.open_source(lines(tmp_path / "a.jsonl", one, two))
    assert source.dim == DIM
    found = loaded(source, tmp_path / "n.mvdb")
    assert (found[1].text, found[1].metadata) == ("one", {"year": 2001, "deep": {"a": [1]}})
    assert (found["two"].text, found["two"].metadata) == (None, {"lang": "de"})
    chosen = importers.open_source(tmp_path / "a.jsonl", fields=["lang", "year"], text="text")
    found = loaded(chosen, tmp_path / "m.mvdb")
    assert [found[1].metadata, found["two"].metadata] == [{"year": 2001}, {"lang": "de"}]


def test_fields_of_other_names_and_rows_without_ids(tmp_path: Path) -> None:
    records = [{"body": f"text {i}", "colbert": rows(i), "url": "u"} for i in range(3)]
    path = lines(tmp_path / "a.ndjson", *records)
    source = importers.open_source(path, text="body", vectors="colbert")
    found = loaded(source, tmp_path / "n.mvdb")
    assert {id: one.text for id, one in found.items()} == {0: "text 0", 1: "text 1", 2: "text 2"}
    assert found[0].metadata == {"url": "u"}


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("zst", zstandard.compress)])
def test_compressed_lines(ending: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    plain = lines(tmp_path / "a.jsonl", *({"id": i, "vectors": rows(i)} for i in range(1500)))
    path = tmp_path / f"a.jsonl.{ending}"
    path.write_bytes(pack(plain.read_bytes()))
    assert len(loaded(importers.open_source(path), tmp_path / "n.mvdb")) == 1500
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(mvdb.InvalidInputError, match=rf"a\.jsonl\.{ending}: cannot be decomp"):
        list(importers.open_source(path).batches())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"), ("[]", "a JSON object"), ('{"vectors": [[1, 2, 3, 4]]}', "'id'"),
        ('{"id": true, "vectors": [[1, 2, 3, 4]]}', "'id'"), ('{"id": 5}', "vectors"),
        ('{"id": 5, "vectors": [1, 2, 3, 4]}', "vectors"),
        ('{"id": 5, "vectors": [[1, 2], [3]]}', "vectors"),
        (f'{{"id": 5, "vectors": [[{10**400}]]}}', "vectors"),
        ('{"id": 5, "vectors": [["x"]]}', "vectors"), ('{"id": 5, "vectors": []}', "vectors"),
        ('{"id": 5, "vectors": [[1, 2, 3, 4]], "text": 3}', "'text'"),
        ('{"id": 5, "vectors": [[1, 2, 3]]}', "3 dimensions; the first record has 4"),
        ('{"id": 5, "vectors": [[1e99, 2, 3, 4]]}', "beyond the range of float32"),
        ('{"id": 5, "vectors": [[0, 0, 0, 0]]}', "all numbers are 0"),
    ],
)  # fmt: skip
def test_a_line_at_fault_is_named(line: str, reason: str, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", {"id": 1, "text": "", "vectors": rows(1)})
    path.write_text(path.read_text() + "\n" + line + "\n")
    source = importers.open_source(path)
    with pytest.raises(mvdb.InvalidInputError) as caught:
        list(source.batches())
    assert "a.jsonl: line 3: " in str(caught.value)
    assert reason in str(caught.value)


def test_what_cannot_be_meant(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", {"id": 1, "body": "x"})
    (tmp_path / "empty.jsonl").touch()
    for arguments, options, reason in [
        ((tmp_path / "no.jsonl",), {}, "no such file"),
        ((path, "nothing"), {}, "kind"),
        ((tmp_path,), {}, "kind="),
        ((tmp_path / "empty.jsonl",), {}, "no record"),
        ((path,), {}, "found 'id', 'body'"),
        ((path,), {"text": "nothing"}, "'nothing'"),
        ((path,), {"text": "body", "fields": "body"}, "fields"),
        ((path,), {"text": "body", "table": "t"}, "table"),
        ((path,), {"id": "body", "encode": True}, "texts to encode"),
    ]:
        with pytest.raises(mvdb.Error) as caught:
            importers.open_source(*arguments, **options)  # type: ignore[arg-type]
        assert reason in str(caught.value)


# ---- Parquet and data sets ----

arrow = pytest.importorskip("pyarrow", reason="the extra arrow is not installed")


def table(count: int = 20, **columns: Any) -> Any:
    vectors = [rows(i, 1 + i % 3) for i in range(count)]
    kind = arrow.list_(arrow.list_(arrow.float32()))
    given = {"_id": [f"d{i}" for i in range(count)], "vector": arrow.array(vectors, kind)}
    return arrow.table({**given, **columns})


def parquet(path: Path, value: Any) -> Path:
    import pyarrow.parquet as pq

    pq.write_table(value, path, row_group_size=7)
    return path


def test_columns_of_parquet(tmp_path: Path) -> None:
    import datetime

    days = [datetime.date(2020, 1, 1 + i) for i in range(20)]
    given = table(day=days, text=[f"t{i}" for i in range(20)], raw=[b"x"] * 20)
    path = parquet(tmp_path / "a.parquet", given)
    with pytest.raises(mvdb.InvalidInputError, match=r"'raw'.*fields"):
        importers.open_source(path)
    with pytest.raises(mvdb.InvalidInputError, match="'nothing'"):
        importers.open_source(path, fields=["nothing"])
    source = importers.open_source(path, fields=["day"])
    assert (source.dim, source.total) == (DIM, 20)
    found = loaded(source, tmp_path / "n.mvdb")
    assert found["d3"].text == "t3"
    assert found["d3"].metadata == {"day": "2020-01-04"}
    assert [one.n_tokens for one in found.values()].count(3) == 6


def test_single_vectors_are_refused_and_texts_encoded(tmp_path: Path) -> None:
    given = arrow.table({"id": [1], "vector": [[1.0, 2.0]], "text": ["a"], "n": [5]})
    path = parquet(tmp_path / "a.parquet", given)
    with pytest.raises(mvdb.InvalidInputError, match="encode"):
        importers.open_source(path)
    source = importers.open_source(path, encode=True)
    assert source.dim is None
    (batch,) = source.batches()
    assert batch.to_pylist() == [{"id": 1, "text": "a", "n": 5}]


def dataset(folder: Path, value: Any, files: int = 2) -> Path:
    """A folder as `save_to_disk` of `datasets` writes it."""
    folder.mkdir(parents=True)
    names = []
    size = -(-value.num_rows // files)
    for number in range(files):
        names.append(f"data-{number:05}-of-{files:05}.arrow")
        with arrow.ipc.new_stream(folder / names[-1], value.schema) as writer:
            writer.write_table(value.slice(number * size, size), max_chunksize=4)
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "f"}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": {}}))
    return folder


def test_a_saved_data_set_and_its_splits(tmp_path: Path) -> None:
    given = table(year=list(range(20)))
    dataset(tmp_path / "d" / "train", given)
    dataset(tmp_path / "d" / "test", given.slice(0, 3), 1)
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    found = loaded(importers.open_source(tmp_path / "d" / "train"), tmp_path / "n.mvdb")
    assert len(found) == 20
    assert found["d7"].metadata == {"year": 7}
    with pytest.raises(mvdb.InvalidInputError, match="test, train"):
        importers.open_source(tmp_path / "d")
    source = importers.open_source(tmp_path / "d", table="test")
    assert len(loaded(source, tmp_path / "m.mvdb")) == 3


def test_a_data_set_at_fault(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", table())
    name = "data-00001-of-00002.arrow"
    whole = (folder / name).read_bytes()
    (folder / name).unlink()
    with pytest.raises(mvdb.PathNotFoundError, match=name):
        importers.open_source(folder)
    for raw in (b"", whole[:100], whole[: len(whole) // 2], b"x" * len(whole)):
        (folder / name).write_bytes(raw)
        with pytest.raises(mvdb.InvalidInputError, match=name):
            list(importers.open_source(folder).batches())
    (folder / "state.json").write_text('{"_data_files": [{"filename": "../x.arrow"}]}')
    with pytest.raises(mvdb.InvalidInputError, match=r"state\.json"):
        importers.open_source(folder)


def test_a_parquet_file_at_fault(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", table(200))
    whole = path.read_bytes()
    for raw in (b"", whole[:100], whole[:-1], b"x" * len(whole)):
        path.write_bytes(raw)
        with pytest.raises(mvdb.InvalidInputError, match=r"a\.parquet"):
            list(importers.open_source(path).batches())


# ---- there and back ----

IDS = st.integers(-(2**63), 2**63 - 1) | st.text(min_size=1, max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(
    IDS,
    st.tuples(
        st.none() | st.text(max_size=50),
        st.none() | st.dictionaries(st.text(max_size=8), VALUES, max_size=4),
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=DOCUMENTS)
def test_export_and_import_keep_the_content(
    kind: str, documents: dict[Any, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("there-and-back")
    with mvdb.open(folder / "a.mvdb", dim=DIM, bits=16, background=False) as db:
        db.insert(
            list(documents),
            [rows(i) for i in range(len(documents))],
            texts=[text for text, _ in documents.values()],
            metadata=[metadata for _, metadata in documents.values()],
        )
    names = [str(folder / name) for name in ("a.mvdb", f"a.{kind}", "b.mvdb", f"b.{kind}")]
    assert main(["export", names[0], names[1], "--vectors", "-q"]) == 0
    assert main(["import", names[1], names[2], "--bits", "16", "-q"]) == 0
    assert main(["export", names[2], names[3], "--vectors", "-q"]) == 0
    with mvdb.open(names[0]) as before, mvdb.open(names[2]) as after:
        expected, found = list(before.documents()), list(after.documents())
        assert [repr(one) for one in found] == [repr(one) for one in expected]
        for old, new in zip(before.vectors(before.ids()), after.vectors(after.ids()), strict=True):
            assert np.array_equal(old, new)
    if kind == "jsonl":
        assert Path(names[1]).read_bytes() == Path(names[3]).read_bytes()


def test_an_export_says_that_sparse_vectors_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export of documents with learned sparse vectors lost them without a word."""
    monkeypatch.chdir(tmp_path)
    with mvdb.open("n.mvdb", dim=DIM) as db:
        db.insert("plain", rows(1), texts="x")
        with db.collection("sparse", dim=DIM) as other:
            other.insert("a", rows(1), texts="x", sparse={"term": 1.5})
    warning = "mvdb: warning: the sparse vectors of the documents are not exported"
    for arguments in (["--collection", "sparse"], ["a.jsonl", "--collection", "sparse"]):
        assert main(["export", "n.mvdb", *arguments]) == 0
        assert capsys.readouterr().err.startswith(warning)
    assert main(["export", "n.mvdb", "-q", "--collection", "sparse"]) == 0
    assert main(["export", "n.mvdb"]) == 0
    assert capsys.readouterr().err == ""
