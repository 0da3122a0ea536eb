"""What every runner shares: its command line, its two measured processes, and its result file.

A runner is ``python -m bench.peers.RUNNER VECTORS_DIR WORK_DIR OUT_JSON`` with options such as
``--threads N --bits B --queries N``.
It starts one process that builds the index in ``WORK_DIR`` (skipped when the same index is already
there) and one that opens and searches it, so that the memory of each is measured apart. This module
imports nothing but the standard library and numpy, because it runs in every engine's environment.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from bench import memory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

K = 10
# The number of threads must be in the environment before the numeric libraries are loaded.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "RAYON_NUM_THREADS",
)


class Engine(Protocol):
    """One engine under test. Documents are known by their position in the collection.

    ``modules`` are imported before anything is measured. ``stores_index`` is false for an engine
    without a file of its own; it gets the folder of vectors as the folder to open. ``default_bits``
    is ``None`` where there is nothing to choose, ``max_threads`` where one query may use any number
    of threads.
    """

    name: ClassVar[str]
    modules: ClassVar[tuple[str, ...]]
    default_bits: ClassVar[int | None]
    default_threads: ClassVar[int]
    max_threads: ClassVar[int | None]
    stores_index: ClassVar[bool]

    def version(self) -> str:
        """Version of the engine, as its package tells it."""

    def prepare(self, flat: NDArray[np.float16], lengths: NDArray[np.int32]) -> Any:
        """The documents in the form that ``build`` takes; neither timed nor counted as memory."""

    def build(self, documents: Any, folder: Path, bits: int | None) -> None:
        """Make the index in ``folder`` (exists, empty) and leave it complete on disk."""

    def open(self, folder: Path, bits: int | None, threads: int) -> None:
        """Make ready to search what ``build`` left in ``folder``."""

    def search(self, query: NDArray[np.float32], k: int) -> Sequence[int]:
        """Positions of the best k documents for one query ``(m, dim)``, best first."""


def main(engine: Engine) -> None:
    """Run one engine from the command line."""
    options = _parse(engine)
    if options.phase:
        for module in engine.modules:
            importlib.import_module(module)
        _PHASES[options.phase](engine, options)
        return
    work = Path(options.work_dir)
    work.mkdir(parents=True, exist_ok=True)
    built = _reuse_or_build(engine, options, work)
    searched = _child("search", options, options.threads)
    result = {**searched, "build": built}
    Path(options.out_json).write_text(json.dumps(result), encoding="utf-8")


def _parse(engine: Engine) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"Measure {engine.name}.")
    parser.add_argument("vectors_dir", help="folder with doc_flat.npy, query_flat.npy and others")
    parser.add_argument("work_dir", help="folder for the index; one already there is used again")
    parser.add_argument("out_json", help="result file")
    parser.add_argument("--threads", type=int, default=engine.default_threads, help="searching")
    parser.add_argument("--build-threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--bits", type=int, default=engine.default_bits)
    parser.add_argument("--queries", type=int, help="only the first N queries")
    parser.add_argument("--passes", type=int, default=3, help="timed passes, after one to warm up")
    parser.add_argument("--rebuild", action="store_true", help="even if the index is there")
    parser.add_argument("--phase", choices=sorted(_PHASES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.threads = min(options.threads, engine.max_threads or options.threads)
    return options


def _reuse_or_build(
    engine: Engine, options: argparse.Namespace, work: Path
) -> dict[str, Any] | None:
    """What building measured, now or when the index in ``work`` was made."""
    if not engine.stores_index:
        return None
    identity = _identity(engine, options)
    record = work / "build.json"
    if record.exists() and not options.rebuild:
        built = json.loads(record.read_text(encoding="utf-8"))
        if built["identity"] == identity:
            kept: dict[str, Any] = built
            return kept
    record.unlink(missing_ok=True)
    shutil.rmtree(work / "index", ignore_errors=True)
    (work / "index").mkdir()
    built = {**_child("build", options, options.build_threads), "identity": identity}
    record.write_text(json.dumps(built), encoding="utf-8")
    return built


def _identity(engine: Engine, options: argparse.Namespace) -> dict[str, Any]:
    """What must be the same for an index to be used again."""
    status = (Path(options.vectors_dir) / "doc_flat.npy").stat()
    return {
        "engine": engine.name,
        "version": engine.version(),
        "bits": options.bits,
        "threads": options.build_threads,
        "vectors": [status.st_size, status.st_mtime_ns],
    }


def _module() -> str:
    """The runner's name as a module."""
    spec = sys.modules["__main__"].__spec__
    assert spec is not None, "run it with python -m"
    return spec.name


def _child(phase: str, options: argparse.Namespace, threads: int) -> dict[str, Any]:
    """Run one phase in a process of its own and return what it measured."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "phase.json"
        command = [sys.executable, "-m", _module(), options.vectors_dir, options.work_dir, str(out)]
        command += ["--phase", phase, "--threads", str(options.threads)]
        command += ["--build-threads", str(options.build_threads), "--passes", str(options.passes)]
        for flag, value in (("--bits", options.bits), ("--queries", options.queries)):
            command += [] if value is None else [flag, str(value)]
        environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(threads))}
        subprocess.run(command, env=environment, check=True)
        measured: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return measured


def _build_phase(engine: Engine, options: argparse.Namespace) -> None:
    import numpy as np

    source = Path(options.vectors_dir)
    index = Path(options.work_dir) / "index"
    lengths = np.load(source / "doc_lengths.npy")
    documents = engine.prepare(np.load(source / "doc_flat.npy"), lengths)
    before = memory.reset_peak()
    start = time.perf_counter()
    engine.build(documents, index, options.bits)
    seconds = time.perf_counter() - start
    result = {
        "seconds": seconds,
        "threads": options.build_threads,
        "memory_mb": _memory_since(before),
        "disk_bytes": _disk_bytes(index),
    }
    Path(options.out_json).write_text(json.dumps(result), encoding="utf-8")


def _search_phase(engine: Engine, options: argparse.Namespace) -> None:
    source = Path(options.vectors_dir)
    queries = read_queries(source, options.queries)
    document_ids = json.loads((source / "doc_ids.json").read_text(encoding="utf-8"))
    query_ids = json.loads((source / "query_ids.json").read_text(encoding="utf-8"))
    version = engine.version()
    before = memory.reset_peak()
    start = time.perf_counter()
    index = Path(options.work_dir) / "index" if engine.stores_index else source
    engine.open(index, options.bits, options.threads)
    open_seconds = time.perf_counter() - start
    found = [list(engine.search(query, K)) for query in queries]
    load = os.getloadavg()[0]
    passes = [_timed_pass(engine, queries) for _ in range(options.passes)]
    result = {
        "engine": engine.name,
        "version": version,
        "bits": options.bits,
        "threads": options.threads,
        "k": K,
        "query_ids": query_ids[: len(queries)],
        "top": [[document_ids[position] for position in row] for row in found],
        "latencies_ms": [list(times) for times in zip(*passes, strict=True)],
        "open_seconds": open_seconds,
        "load_average": load,
        "memory_mb": _memory_since(before),
    }
    Path(options.out_json).write_text(json.dumps(result), encoding="utf-8")


_PHASES = {"build": _build_phase, "search": _search_phase}


def read_queries(source: Path, limit: int | None) -> list[NDArray[np.float32]]:
    """The first ``limit`` queries of a folder of vectors, each ``(m, dim)``."""
    import numpy as np

    flat = np.load(source / "query_flat.npy").astype(np.float32, copy=False)
    ends = np.cumsum(np.load(source / "query_lengths.npy"))[:limit].tolist()
    starts = [0, *ends[:-1]]
    return [np.ascontiguousarray(flat[s:e]) for s, e in zip(starts, ends, strict=True)]


def split_tensors(flat: NDArray[np.float16], lengths: NDArray[np.int32]) -> list[Any]:
    """One float32 torch tensor per document, all of them views of one block of memory."""
    import torch

    return list(torch.from_numpy(flat).float().split(lengths.tolist()))


def _timed_pass(engine: Engine, queries: Sequence[NDArray[np.float32]]) -> list[float]:
    """Milliseconds of every query, one after another."""
    times = []
    for query in queries:
        start = time.perf_counter_ns()
        engine.search(query, K)
        times.append((time.perf_counter_ns() - start) / 1e6)
    return times


def _disk_bytes(folder: Path) -> int:
    """What the files of a folder take on disk: blocks in use, not lengths of sparse files."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def _memory_since(before: float | None) -> dict[str, float] | None:
    """Resident memory in MB of 1e6 bytes, mapped files as far as they are resident: ``peak`` since
    `memory.reset_peak`, and ``above``: above the interpreter, its libraries and the input."""
    peak = memory.peak()
    return None if before is None or peak is None else {"peak": peak, "above": peak - before}
