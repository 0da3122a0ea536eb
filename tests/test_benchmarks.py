"""Each benchmark runs once, on a made collection of 600 documents of 4 to 11 token vectors, and
prints a table of its figures. What the figures are is not looked at."""

from __future__ import annotations

import json
import re
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from bench.relevance import nonsense
from bench.vectors import DIM, cache_folder
from tests.support.children import ROOT
from tests.support.model import unit

pytestmark = pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="bench is for Linux")

DOCUMENTS, QUERIES = 600, 12


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection called "tiny", as `bench.corpora` reads it, and its vectors in the cache."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MVDB_CACHE", str(folder / "cache"))
        cache = cache_folder("tiny")
    cache.mkdir(parents=True)
    rng = np.random.default_rng(1)
    for name, count, dtype in (("doc", DOCUMENTS, np.float16), ("query", QUERIES, np.float32)):
        lengths = rng.integers(4, 12, count).astype(np.int32)
        np.save(cache / f"{name}_lengths.npy", lengths)
        flat = unit(rng.standard_normal((int(lengths.sum()), DIM)))
        np.save(cache / f"{name}_flat.npy", flat.astype(dtype))
        ids = [f"{name} {number}" for number in range(count)]
        (cache / f"{name}_ids.json").write_text(json.dumps(ids))
        stem = "corpus" if name == "doc" else "queries"
        lines = [json.dumps({"_id": one, "title": "", "text": one}) for one in ids]
        (folder / "tiny").mkdir(exist_ok=True)
        (folder / "tiny" / f"{stem}.jsonl").write_text("\n".join(lines))
    _nonsense(cache.with_name(cache.name.replace("tiny", "nonsense")), cache, rng)
    judged = [f"query {number}\tdoc {number}\t1\n" for number in range(QUERIES)]
    (folder / "tiny" / "qrels.tsv").write_text("query\tdocument\tgrade\n" + "".join(judged))
    return folder


def _nonsense(folder: Path, tiny: Path, rng: np.random.Generator) -> None:
    """Vectors of the queries without meaning of `bench.relevance`, which need an encoder."""
    shutil.copytree(tiny, folder)
    count = len(nonsense().queries)
    np.save(folder / "query_lengths.npy", np.full(count, 3, np.int32))
    flat = unit(rng.standard_normal((3 * count, DIM)))
    np.save(folder / "query_flat.npy", flat.astype(np.float32))


BENCHMARKS: dict[str, str] = {
    "bounds": "tiny --base tiny --queries 4 --passes 1",
    "browsing": "--documents 1000 --tokens 2",
    "cold": "new.mvdb tiny --queries 2 --passes 1 --rounds 1 --seconds 0.05",
    "concurrency": "--collection tiny --seconds 0.1 --batch 10 --queries 4",
    "curves": "tiny --base tiny --queries 4 --rounds 1 --prefetch --fidelity tiny",
    "cutting": "--megabytes 0.01 --only table headings",
    "fidelity": "tiny --bits 2 --centroids 16",
    "filters": "--documents 500",
    "growth": "--collection tiny --bits 2 --queries 4 --passes 1 --commit 60 --commit-size 20",
    "hybrid": "tiny --queries 6 --rounds 1",
    "kernels": "--repeats 1 --ghz 3",
    "lexical": "--collection tiny --peers fts5 --queries 4 --judged 4 --rounds 1",
    "peers.run": "tiny --only mvdb-2 --queries 4 --passes 1",
    "relevance": "tiny --queries 6",
    "scale": "tiny 700 --base tiny --queries 4 --rounds 1",
    "search": "tiny --bits 2 --passes 1",
    "sidecar": "tiny --queries 4",
    "sparse": "--documents 600",
    "stats": "--gb 0.001 --commit-every 100 --rounds 1",
    "synthetic": "650 --base tiny --queries 4",
    "tenants": "--documents 2000 --files 2 --rounds 1",
    "updates": "--collection tiny --gigabytes 0.001 --rounds 1 --commits 3",
    "vectors": "tiny",
    "words": "tiny --rounds 1",
}
"""Command lines, by module."""
LIBRARIES = {
    *("cgroups", "colbertv2_codec", "corpora", "device", "drawing", "memory", "metrics"),
    *("pagecache", "peers.common", "peers.environments", "points", "processes", "timing", "truth"),
}
NEED_MORE = {
    *("encoders", "imports", "known_items", "make_projection", "plots", "pylate_overlap"),
    *("chunking", "indexing", "late_windows", "near_duplicates", "torch_minilm"),
}
"""They need torch, matplotlib, an index of another engine, or texts of some length."""


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs(
    name: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MVDB_CACHE", str(data / "cache"))
    monkeypatch.setenv("MVDB_DATA", str(data))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    import_module(f"bench.{name}").main(BENCHMARKS[name].split())
    said = capfd.readouterr().out
    assert len(said.splitlines()) >= (1 if name in ("synthetic", "vectors") else 4), said
    assert not re.search(r"\bnan\b", said)


@pytest.mark.parametrize(
    "name",
    ["chunking", "encoders", "indexing", "known_items", "make_projection", "near_duplicates"],
)
def test_a_benchmark_of_encoders_has_a_command_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        import_module(f"bench.{name}").main(["--help"])
    assert caught.value.code == 0
    assert "usage" in capsys.readouterr().out


def test_plots_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("PIL")
    from bench import plots

    points = [
        {"kind": "bits", "collection": "tiny", "bits": bits, "B/token": 36.0, "overlap@10": 0.9}
        for bits in (1, 2)
    ]
    results = tmp_path / "points.jsonl"
    results.write_text("".join(json.dumps(point) + "\n" for point in points))
    plots.main([str(results), "--folder", str(tmp_path)])
    assert (tmp_path / "bits.png").stat().st_size > 1000


def test_no_benchmark_is_forgotten() -> None:
    files = (ROOT / "bench").rglob("*.py")
    names = {".".join(path.relative_to(ROOT / "bench").with_suffix("").parts) for path in files}
    names -= {name for name in names if name.endswith(("__init__", "_runner"))}
    assert names == BENCHMARKS.keys() | LIBRARIES | NEED_MORE
