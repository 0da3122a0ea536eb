"""insert_batches from Arrow data and its files: every form, every type, every refusal."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mvdb
from mvdb.ingest.arrow import sources
from mvdb.ingest.arrow.arrow_columns import Converter
from mvdb.limits import Limits
from tests.helpers import DIM, FakeEncoder, content, matrix, refused
from tests.support.children import kill_after_commits
from tests.support.model import unit

pa = pytest.importorskip("pyarrow", reason="the extra arrow is not installed")
dataset = pytest.importorskip("pyarrow.dataset")
feather = pytest.importorskip("pyarrow.feather")
parquet = pytest.importorskip("pyarrow.parquet")

HALF = 1e-3
VECTORS = pa.list_(pa.list_(pa.float32(), DIM))
COUNT = 60


@pytest.fixture
def db(tmp_path: Path) -> Iterator[mvdb.Database]:
    with mvdb.open(tmp_path / "a.mvdb", dim=DIM, durability="relaxed") as database:
        yield database


def vectors(i: int) -> Any:
    """The vectors of document i, of 1 to 3 tokens."""
    return matrix(i, 1 + i % 3)


def embeddings(count: int, kind: Any = VECTORS) -> Any:
    return pa.array([list(map(list, vectors(i))) for i in range(count)], kind)


def table(count: int = COUNT, **changes: Any) -> Any:
    """Documents 0 .. count - 1; every fifth without text. `changes` replace, add and (None) remove
    columns."""
    columns = {
        "id": pa.array(range(count), pa.int64()),
        "embeddings": embeddings(count),
        "text": pa.array([None if i % 5 == 4 else f"text {i}" for i in range(count)]),
        "year": pa.array([2000 + i for i in range(count)], pa.int16()),
        "tags": pa.array([["a"] * (i % 3) for i in range(count)]),
        **changes,
    }
    return pa.table({name: value for name, value in columns.items() if value is not None})


def holds(db: mvdb.Database, count: int = COUNT) -> None:
    """The database has the documents of `table`, and no others."""
    assert list(db.ids()) == list(range(count))
    for i, rows in enumerate(db.vectors(range(count))):
        np.testing.assert_allclose(rows, unit(vectors(i)), atol=HALF)
    for i, document in enumerate(db.get(range(count))):
        text = None if i % 5 == 4 else f"text {i}"
        fields = {"year": 2000 + i, "tags": ["a"] * (i % 3)}
        assert document == mvdb.Document(i, text, fields, 1 + i % 3)
    assert db.verify().ok


# ---- forms ----


class Frame:
    """A data frame of another library: the C stream interface and a length."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


def in_parquet(table: Any, path: Path) -> Path:
    parquet.write_table(table, path / "a.parquet", row_group_size=25)
    return path / "a.parquet"


def in_ipc(table: Any, path: Path) -> str:
    with pa.ipc.new_file(str(path / "a.ARROW"), table.schema) as writer:
        writer.write_table(table, max_chunksize=25)
    return str(path / "a.ARROW")


def in_stream(table: Any, path: Path) -> Path:
    with pa.ipc.new_stream(str(path / "a.arrow"), table.schema) as writer:
        writer.write_table(table, max_chunksize=25)
    return path / "a.arrow"


def in_feather(table: Any, path: Path) -> Path:
    feather.write_feather(table, path / "a.feather", compression="zstd", chunksize=25)
    return path / "a.feather"


def in_dataset(table: Any, path: Path) -> Any:
    for start in (0, 30):
        parquet.write_table(table.slice(start, 30), path / f"{start}.parquet")
    return dataset.dataset(path, format="parquet")


def in_ipc_dataset(table: Any, path: Path) -> Any:
    return dataset.dataset(in_ipc(table, path), format="ipc")


FORMS: dict[str, tuple[Callable[[Any, Path], Any], int | None]] = {
    "table": (lambda table, _: table, COUNT),
    "record batch": (lambda table, _: table.combine_chunks().to_batches()[0], COUNT),
    "batches": (lambda table, _: table.to_batches(max_chunksize=7), COUNT),
    "tables": (lambda table, _: [table.slice(0, 20), table.slice(20)], COUNT),
    "generator": (lambda table, _: iter(table.to_batches(max_chunksize=7)), None),
    "reader": (lambda table, _: table.to_reader(7), None),
    "frame": (lambda table, _: Frame(table), COUNT),
    "frames": (lambda table, _: [Frame(table.slice(0, 20)), Frame(table.slice(20))], COUNT),
    "dataset in memory": (lambda table, _: dataset.dataset(table), None),
    "dataset": (in_dataset, COUNT),
    "dataset of ipc": (in_ipc_dataset, COUNT),
    "parquet": (in_parquet, COUNT),
    "ipc": (in_ipc, COUNT),
    "ipc stream": (in_stream, None),
    "feather": (in_feather, COUNT),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("commit_every", [10_000, 10, 1])
def test_every_form_is_the_same_documents(
    db: mvdb.Database, tmp_path: Path, form: str, commit_every: int
) -> None:
    make, total = FORMS[form]
    folder = tmp_path / "source"
    folder.mkdir()
    steps: list[mvdb.InsertProgress] = []
    given = make(table(), folder)
    done = db.insert_batches(given, commit_every=commit_every, progress=steps.append)
    assert done == steps[-1] == COUNT
    assert {step.total for step in steps} == {total}
    assert np.diff([0, *steps]).max() <= commit_every
    holds(db)


def test_polars_frames(db: mvdb.Database) -> None:
    polars = pytest.importorskip("polars")
    assert db.insert_batches(polars.from_arrow(table())) == COUNT
    holds(db)


def test_arrow_and_other_batches_may_be_mixed(db: mvdb.Database) -> None:
    mixed = [table(20), (["x"], [matrix(1)]), table(), {"ids": "y", "embeddings": matrix(2)}]
    assert db.insert_batches(mixed) == COUNT + 2
    assert db.delete(["x", "y"]) == 2
    holds(db)


@pytest.mark.parametrize("outer", [pa.list_, pa.large_list])
@pytest.mark.parametrize("inner", [lambda kind: pa.list_(kind, DIM), pa.list_, pa.large_list])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_every_type_of_vectors(db: mvdb.Database, outer: Any, inner: Any, kind: Any) -> None:
    given = [[row.astype(kind) for row in vectors(i)] for i in range(COUNT)]
    column = pa.array(given, outer(inner(pa.from_numpy_dtype(kind))))
    for part in table(embeddings=column).to_batches(max_chunksize=11):
        db.insert_batches(part)
    holds(db)


def test_documents_of_a_fixed_number_of_tokens(db: mvdb.Database) -> None:
    parts = [matrix(i, 4) for i in range(10)]
    column = pa.array([list(map(list, part)) for part in parts], pa.list_(VECTORS.value_type, 4))
    db.insert_batches(table(10, embeddings=column).slice(3, 5))
    assert list(db.ids()) == [3, 4, 5, 6, 7]
    for i, rows in zip(range(3, 8), db.vectors(range(3, 8)), strict=True):
        np.testing.assert_allclose(rows, unit(parts[i]), atol=HALF)


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())],
    ids=["string", "large_string", "dictionary"],
)
def test_types_of_strings(db: mvdb.Database, kind: Any) -> None:
    names = pa.array(["one", "two", "thrée"]).cast(kind)
    texts = pa.array(["a", None, ""]).cast(kind)
    db.insert_batches(table(3, id=names, text=texts))
    one, two, three = db.get(["one", "two", "thrée"])
    assert one is not None
    assert two is not None
    assert three is not None
    assert (one.text, two.text, three.text) == ("a", None, "")
    assert [document.n_tokens for document in (one, two, three)] == [1, 2, 3]


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint32(), pa.int64(), pa.uint64()], ids=str)
def test_types_of_integer_ids(db: mvdb.Database, kind: Any) -> None:
    db.insert_batches(table(3, id=pa.array([5, 6, 7], kind)))
    assert list(db.ids()) == [5, 6, 7]


def test_vectors_are_not_copied() -> None:
    (part,) = table().to_batches()
    part = part.slice(7, 30)
    rows, lengths = Converter(DIM, encodes=False, separates=False).arguments(part)["embeddings"]
    assert lengths.tolist() == [1 + i % 3 for i in range(7, 37)]
    np.testing.assert_array_equal(rows, np.concatenate([vectors(i) for i in range(7, 37)]))
    leaf = part["embeddings"].values.values
    assert np.shares_memory(rows, leaf.to_numpy(zero_copy_only=True))


# ---- metadata ----


def stored(db: mvdb.Database) -> list[Any]:
    return [document and document.metadata for document in db.get(list(db.ids()))]


def test_a_column_metadata_stands_for_all_others(db: mvdb.Database) -> None:
    given = [{"n": 1, "deep": {"x": [1.5, None]}}, None, {"n": None, "deep": None}]
    db.insert_batches(table(3, metadata=pa.array(given)))
    assert stored(db) == given


def test_metadata_in_json(db: mvdb.Database) -> None:
    given = ['{"n": 1, "any": [true, {"x": "é"}]}', None, "null", "{}"]
    db.insert_batches(table(4, metadata=pa.array(given)))
    assert stored(db) == [{"n": 1, "any": [True, {"x": "é"}]}, None, None, {}]


def test_other_columns_are_fields(db: mvdb.Database) -> None:
    db.insert_batches(
        table(
            2,
            year=None,
            tags=None,
            b=pa.array([True, None]),
            f=pa.array([0.5, None], pa.float32()),
            s=pa.array(["x", None]).dictionary_encode(),
            o=pa.array([{"k": [1]}, None]),
            nothing=pa.nulls(2),
        )
    )
    first = {"b": True, "f": 0.5, "s": "x", "o": {"k": [1]}, "nothing": None}
    assert stored(db) == [first, dict.fromkeys(first)]


def test_no_other_columns_are_no_metadata(db: mvdb.Database) -> None:
    db.insert_batches(table(2, year=None, tags=None, text=None))
    assert stored(db) == [None, None]
    assert db.get(0) == [mvdb.Document(0, None, None, 1)]
    db.insert_batches(table(3, text=pa.nulls(3), metadata=pa.nulls(3)))
    assert db.get(2) == [mvdb.Document(2, None, None, 3)]


# ---- texts alone ----


def test_texts_are_encoded_when_there_is_an_encoder(tmp_path: Path) -> None:
    texts = pa.array([f"word {i}" for i in range(COUNT)])
    with mvdb.open(tmp_path / "e.mvdb", encoder=FakeEncoder()) as db:
        assert db.insert_batches(table(embeddings=None, text=texts), commit_every=20) == COUNT
        assert db.search("word 7", 1)[0].text is not None
        assert db.delete(list(db.ids())) == COUNT
        with refused(db, mvdb.InvalidInputError, "document 4", "neither embeddings nor a text"):
            db.insert_batches(table(embeddings=None))


# ---- refusals ----


def with_null(column: Any, at: int) -> Any:
    values = column.to_pylist()
    values[at] = None
    return pa.array(values, column.type)


def with_hole(at: int, *, token: bool, inner: Any) -> Any:
    values = [[list(map(float, row)) for row in vectors(i)] for i in range(COUNT)]
    if token:
        values[at][-1] = None  # type: ignore[call-overload]
    else:
        values[at][-1][2] = None  # type: ignore[call-overload]
    return pa.array(values, pa.list_(inner))


def narrow(at: int) -> Any:
    values = [[list(map(float, row)) for row in vectors(i)] for i in range(COUNT)]
    values[at][0] = [1.0, 2.0]
    return pa.array(values, pa.list_(pa.list_(pa.float32())))


FIXED, LISTS = pa.list_(pa.float32(), DIM), pa.list_(pa.float32())
IDS = pa.array(range(COUNT))
EXPECTED = f"expected list<fixed_size_list<float32>[{DIM}]>"
MOMENT = datetime.datetime(2024, 1, 1)

REFUSALS: dict[str, tuple[Callable[[], Any], type[Exception], tuple[str, ...]]] = {
    "no id": (
        lambda: table(id=None),
        mvdb.InvalidInputError,
        ("column 'id' is missing", "found 'embeddings', 'text'", "expected string or int64"),
    ),
    "no embeddings": (
        lambda: table(embeddings=None),
        mvdb.InvalidInputError,
        ("column 'embeddings' is missing", "found 'id', 'text'", EXPECTED),
    ),
    "no columns": (
        lambda: pa.record_batch({"x": pa.array([1])}).select([]),
        mvdb.InvalidInputError,
        ("column 'id' is missing", "found none"),
    ),
    "a column twice": (
        lambda: pa.table([IDS, IDS, embeddings(COUNT)], ["id", "id", "embeddings"]),
        mvdb.InvalidInputError,
        ("column 'id'", "there are 2"),
    ),
    "floats as ids": (
        lambda: table(id=IDS.cast(pa.float64())),
        mvdb.InvalidInputError,
        ("column 'id'", "found double", "expected string or int64"),
    ),
    "an id beyond 64 bits": (
        lambda: table(1, id=pa.array([2**64 - 1], pa.uint64())),
        mvdb.InvalidInputError,
        (f"id {2**64 - 1}",),
    ),
    "one vector per document": (
        lambda: table(embeddings=pa.array([[1.0] * DIM] * COUNT, FIXED)),
        mvdb.InvalidInputError,
        ("column 'embeddings'", "found fixed_size_list<", EXPECTED),
    ),
    "integers as vectors": (
        lambda: table(embeddings=pa.array([[[1] * DIM]] * COUNT, pa.list_(pa.list_(pa.int8())))),
        mvdb.InvalidInputError,
        ("column 'embeddings'", "found list<", "int8", EXPECTED),
    ),
    "strings as vectors": (
        lambda: table(embeddings=pa.array(["x"] * COUNT)),
        mvdb.InvalidInputError,
        ("column 'embeddings'", "found string", EXPECTED),
    ),
    "vectors of another size": (
        lambda: table(
            embeddings=pa.array([[[1.0] * 5]] * COUNT, pa.list_(pa.list_(pa.float32(), 5)))
        ),
        mvdb.DimensionMismatch,
        ("column 'embeddings'", "found vectors of 5 dimensions", f"the file has {DIM}"),
    ),
    "one vector of another size": (
        lambda: table(embeddings=narrow(47)),
        mvdb.DimensionMismatch,
        ("row 47, column 'embeddings'", "a vector of 2 dimensions", f"the file has {DIM}"),
    ),
    "numbers as texts": (
        lambda: table(text=IDS),
        mvdb.InvalidInputError,
        ("column 'text'", "found int64", "expected string"),
    ),
    "numbers as metadata": (
        lambda: table(metadata=IDS),
        mvdb.InvalidInputError,
        ("column 'metadata'", "found int64", "expected struct, or string with a JSON object"),
    ),
    "dates in metadata": (
        lambda: table(metadata=pa.array([{"a": {"when": MOMENT}}] * COUNT)),
        mvdb.InvalidInputError,
        ("column 'metadata.a.when'", "found timestamp[us]", "JSON"),
    ),
    "dates in a column": (
        lambda: table(when=pa.array([[MOMENT]] * COUNT)),
        mvdb.InvalidInputError,
        ("column 'when'", "found timestamp[us]", "JSON"),
    ),
    "no JSON": (
        lambda: table(metadata=pa.array(["{}"] * 41 + ["{"] + ["{}"] * 18)),
        mvdb.InvalidInputError,
        ("row 41, column 'metadata'", "not JSON"),
    ),
    "JSON that is no object": (
        lambda: table(metadata=pa.array(["{}"] * 41 + ["[1]"] + ["{}"] * 18)),
        mvdb.InvalidInputError,
        ("row 41, column 'metadata'", "expected a JSON object"),
    ),
    "deep JSON": (
        lambda: table(1, metadata=pa.array(['{"a":' * 100_000])),
        mvdb.InvalidInputError,
        ("row 0, column 'metadata'", "not JSON"),
    ),
    "NaN in metadata": (
        lambda: table(x=pa.array([1.0] * 41 + [float("nan")] + [1.0] * 18)),
        mvdb.InvalidInputError,
        ("row 41", ".x", "nan"),
    ),
    "a null id": (
        lambda: table(id=with_null(IDS, 41)),
        mvdb.InvalidInputError,
        ("row 41, column 'id': null",),
    ),
    "null embeddings": (
        lambda: table(embeddings=with_null(embeddings(COUNT), 41)),
        mvdb.InvalidInputError,
        ("row 41, column 'embeddings': null",),
    ),
    "a null token": (
        lambda: table(embeddings=with_hole(41, token=True, inner=FIXED)),
        mvdb.InvalidInputError,
        ("row 41, column 'embeddings'", "a token vector is null"),
    ),
    "a null token among lists": (
        lambda: table(embeddings=with_hole(41, token=True, inner=LISTS)),
        mvdb.InvalidInputError,
        ("row 41, column 'embeddings'", "a token vector is null"),
    ),
    "a null value": (
        lambda: table(embeddings=with_hole(41, token=False, inner=FIXED)),
        mvdb.InvalidInputError,
        ("row 41, column 'embeddings'", "a null value"),
    ),
    "a null value among lists": (
        lambda: table(embeddings=with_hole(41, token=False, inner=LISTS)),
        mvdb.InvalidInputError,
        ("row 41, column 'embeddings'", "a null value"),
    ),
    "no tokens": (
        lambda: table(1, embeddings=pa.array([[]], VECTORS)),
        mvdb.InvalidInputError,
        ("document 0", "no token vectors"),
    ),
    "a column alone": (
        lambda: pa.chunked_array([IDS]),
        mvdb.InvalidInputError,
        ("batches: ChunkedArray is no stream of record batches",),
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
@pytest.mark.parametrize("size", [None, 7])
def test_refusals_name_the_column_and_the_row(
    db: mvdb.Database, case: str, size: int | None
) -> None:
    make, error, parts = REFUSALS[case]
    given = make()
    if size is not None and isinstance(given, pa.Table):
        given = given.to_batches(max_chunksize=size)
    with refused(db, error, *parts):
        db.insert_batches(given)


def test_what_was_committed_before_a_bad_row_stays_and_the_stream_goes_on(
    db: mvdb.Database, tmp_path: Path
) -> None:
    bad = in_parquet(table(id=with_null(IDS, 47)), tmp_path)
    with pytest.raises(mvdb.InvalidInputError, match="row 47, column 'id'"):
        db.insert_batches(bad, commit_every=20)
    holds(db, 40)
    assert db.insert_batches(in_parquet(table(), tmp_path), commit_every=20) == 20
    holds(db)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".feather"])
@pytest.mark.parametrize("damage", ["empty", "garbage", "cut"])
def test_files_that_are_none(db: mvdb.Database, tmp_path: Path, suffix: str, damage: str) -> None:
    path = tmp_path / f"bad{suffix}"
    whole = (in_parquet if suffix == ".parquet" else in_feather)(table(), tmp_path).read_bytes()
    path.write_bytes({"empty": b"", "garbage": b"x" * 99, "cut": whole[: len(whole) // 2]}[damage])
    for progress in (None, print):
        with refused(db, mvdb.InvalidInputError, str(path), "not readable"):
            db.insert_batches(path, progress=progress)


# ---- memory ----


@pytest.mark.parametrize("form", ["parquet", "dataset"])
def test_large_files_are_read_in_pieces(tmp_path: Path, form: str) -> None:
    """20 MB in pieces of 1 MB; a file in one row group, a dataset in several, which pyarrow reads
    as a whole each. It must not read on while a batch is dealt with: it did in the background."""
    count, tokens, dim = 20_000, 4, 64
    values = pa.array(np.random.default_rng(0).random(count * tokens * dim, np.float32))
    column = pa.FixedSizeListArray.from_arrays(values, dim)
    column = pa.ListArray.from_arrays(pa.array(np.arange(count + 1) * tokens, pa.int32()), column)
    path = tmp_path / "a.parquet"
    rows_of_a_group = count if form == "parquet" else 500
    given = pa.table({"id": range(count), "embeddings": column})
    parquet.write_table(given, path, row_group_size=rows_of_a_group)
    assert parquet.read_metadata(path).num_row_groups == count // rows_of_a_group
    del given, values, column
    limits = Limits(arrow_batch_bytes=1 << 20, arrow_read_bytes=1 << 16)
    if form == "parquet":
        batches = sources.ArrowFile(path).record_batches(10_000, limits)
    else:
        batches = sources.record_batches(dataset.dataset(path), 10_000, limits)
    before, peak, rows = pa.total_allocated_bytes(), 0, 0
    for batch in batches:
        peak = max(peak, pa.total_allocated_bytes() - before)
        rows += batch.num_rows
        assert batch.num_rows <= 1000
        time.sleep(0.005)
    assert rows == count
    assert peak < 12 << 20, f"{peak >> 20} MiB"


def test_a_large_record_batch_is_converted_in_pieces(tmp_path: Path) -> None:
    feather.write_feather(table(), tmp_path / "a.feather")
    for pieces in (
        sources.record_batches(table().to_batches()[0], 25, Limits()),
        sources.ArrowFile(tmp_path / "a.feather").record_batches(25, Limits()),
    ):
        assert [piece.num_rows for piece in pieces] == [25, 25, 10]


# ---- interruptions ----


def test_a_killed_stream_goes_on_at_its_last_commit(tmp_path: Path) -> None:
    path, source = tmp_path / "killed.mvdb", in_parquet(table(), tmp_path)
    assert kill_after_commits("tests.streaming_program", 4, "killed_reading", path, source) == 40
    with mvdb.open(path) as db:
        holds(db, 40)
        steps: list[mvdb.InsertProgress] = []
        assert db.insert_batches(source, commit_every=10, progress=steps.append) == COUNT - 40
        assert (steps[-1].skipped, steps[-1].total) == (40, COUNT)
        holds(db)
    with mvdb.open(tmp_path / "whole.mvdb", dim=DIM) as db:
        db.insert_batches(source, commit_every=10)
    assert content(path) == content(tmp_path / "whole.mvdb")


def test_json_is_what_was_written(db: mvdb.Database) -> None:
    """Fields of every kind, against Python's own json."""
    given = [
        json.dumps({"i": i, "f": i / 7, "s": chr(0x3B1 + i), "l": [None, i]}) for i in range(9)
    ]
    db.insert_batches(table(9, metadata=pa.array(given)))
    assert stored(db) == [json.loads(text) for text in given]


@pytest.mark.parametrize("form", ["table", "batches", "parquet", "list"])
@pytest.mark.parametrize("rows", [1, 3, 7, COUNT])
@pytest.mark.parametrize("commit_every", [1, 4, None])
def test_a_repeated_id_is_skipped_in_every_form(
    db: mvdb.Database, tmp_path: Path, form: str, rows: int, commit_every: int | None
) -> None:
    """An id that came twice was an error within a record batch and skipped in a later one."""
    ids = [i if i % 4 else 8 for i in range(COUNT)]  # every fourth has the id 8
    data = table(id=pa.array(ids, pa.int64()))
    if form == "batches":
        given: Any = pa.RecordBatchReader.from_batches(
            data.schema, data.to_batches(max_chunksize=rows)
        )
    elif form == "parquet":
        given = tmp_path / "a.parquet"
        parquet.write_table(data, given, row_group_size=rows)
    elif form == "list":
        given = data.to_batches(max_chunksize=rows)
    else:
        given = data
    seen: list[mvdb.InsertProgress] = []
    different = len(set(ids))
    assert db.insert_batches(given, commit_every=commit_every, progress=seen.append) == different
    assert (seen[-1], seen[-1].skipped) == (different, COUNT - different)
    (first,) = db.get(8)
    assert first is not None
    assert first.text == "text 0"


def test_a_map_named_sparse_has_learned_weights(db: mvdb.Database) -> None:
    """Of words or of numbers of a vocabulary; null for none. Another type stays metadata."""
    kind = pa.map_(pa.string(), pa.float32())
    words = pa.array([[("sea", 1.0), ("Sea", 2.0)], None, []], kind)
    numbers = pa.array([[(7, 0.5)]], pa.map_(pa.int32(), pa.float64()))
    plain = {"id": [0, 1, 2], "embeddings": embeddings(3), "n": [1, 2, 3]}
    other = {"id": [3], "embeddings": embeddings(1)}
    db.insert_batches(pa.table({**plain, "sparse": words}))
    db.insert_batches(pa.table({**other, "sparse": numbers}))
    assert [(hit.id, hit.score) for hit in db.search(sparse={"Sea": 1, 7: 1})] == [(0, 2), (3, 0.5)]
    assert [one and one.metadata for one in db.get([1, 3])] == [{"n": 2}, None]
    db.insert_batches(pa.table({**other, "id": [4], "sparse": ["a text"]}))
    assert list(db.ids({"sparse": "a text"})) == [4]
    for wrong in (pa.map_(pa.string(), pa.string()), pa.map_(pa.bool_(), pa.float32())):
        table = pa.table({**other, "id": [9], "sparse": pa.array([None], wrong)})
        with pytest.raises(mvdb.InvalidInputError, match=r"^column 'sparse': found map"):
            db.insert_batches(table)
    twice = pa.array([[("a", 1.0), ("a", 2.0)]], kind)
    with pytest.raises(mvdb.InvalidInputError, match=r"^row 0, column 'sparse': a term is there"):
        db.insert_batches(pa.table({**other, "id": [9], "sparse": twice}))
    assert 9 not in db
