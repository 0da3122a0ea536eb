"""How fast does the default encoder index a folder, and what of it is encoding?

    python -m bench.indexing                              # 1,000 documents of squad-dev-plus
    python -m bench.indexing nfcorpus --documents 300 --threads 1 2 --rounds 5

The documents of a collection are one Markdown file for each title; `mvdb.folders.sync` stores them
in a new database. All numbers of threads take turns in each round; the figures are those of the
fastest round. *encoding*: the share of the time by the clock that is spent in the encoder.

*order*: one thread encodes the passages in batches of 128 as they come, and in batches sorted by
length. The encoder runs a passage's window by itself, without padding.
*padded* is the share of padding tokens that runs of 32 windows side by side, each as long as the
longest, would add.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mvdb
from bench.chunking import load_corpus
from bench.points import Points, parser
from bench.timing import timed
from mvdb import folders
from mvdb.encoders import Encoder, default
from mvdb.reading import cut, read

BATCH = 128
"""Passages that the indexer encodes together."""
SIDE_BY_SIDE = 32

Row = dict[str, Any]


class Timed:
    """An encoder whose time is taken."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.dim, self.name = encoder.dim, encoder.name
        self.seconds = 0.0

    def encode_documents(self, texts: Sequence[str]) -> Sequence[Any]:
        """Those of the encoder."""
        start = time.perf_counter()
        try:
            return self._encoder.encode_documents(texts)
        finally:
            self.seconds += time.perf_counter() - start

    def encode_queries(self, texts: Sequence[str]) -> Sequence[Any]:
        """Those of the encoder."""
        return self._encoder.encode_queries(texts)


def index(source: Path, path: Path, encoder: Encoder) -> Row:
    """Indexes a folder once."""
    measured = Timed(encoder)
    with mvdb.open(path, encoder=measured) as db:
        start = time.perf_counter()
        report = folders.sync(db, source)
        seconds = time.perf_counter() - start
    return {
        "files": report.indexed,
        "passages": report.written,
        "tokens": report.tokens,
        "s": seconds,
        "passages/s": report.written / seconds,
        "tokens/s": report.tokens / seconds,
        "encoding": measured.seconds / seconds,
    }


def speeds(source: Path, folder: Path, threads: Sequence[int], rounds: int) -> list[Row]:
    """A row for each number of threads."""
    encoders = {number: default(threads=number) for number in threads}
    best: dict[int, Row] = {}
    for turn in range(rounds):
        for number, encoder in encoders.items():
            row = index(source, folder / f"{number}-{turn}.mvdb", encoder)
            if number not in best or row["s"] < best[number]["s"]:
                best[number] = {"threads": number, **row}
    return list(best.values())


def orders(texts: Sequence[str], rounds: int) -> list[Row]:
    """A row for each order of encoding."""
    encoder = default(threads=1)
    rows = encoder.encode_documents(texts)
    lengths = {text: len(one) for text, one in zip(texts, rows, strict=True)}
    in_order = list(texts)
    by_length = sorted(texts, key=lengths.__getitem__)
    ways = {"as they come": in_order, "sorted by length": by_length}
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, ordered in ways.items():
            batches = [ordered[at : at + BATCH] for at in range(0, len(ordered), BATCH)]
            cost = sum(timed(encoder.encode_documents, batch).cpu_ms for batch in batches)
            best[name] = min(best[name], cost)
    return [
        {
            "order": name,
            "cpu ms/passage": best[name] / len(texts),
            "padded": padding([lengths[text] for text in ordered]),
        }
        for name, ordered in ways.items()
    ]


def padding(lengths: Sequence[int]) -> float:
    """Padding tokens by tokens, where each `SIDE_BY_SIDE` texts are as long as the longest."""
    runs = [lengths[at : at + SIDE_BY_SIDE] for at in range(0, len(lengths), SIDE_BY_SIDE)]
    return sum(max(run) * len(run) for run in runs) / sum(lengths) - 1


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("collection", nargs="?", default="squad-dev-plus")
    options.add_argument("--documents", type=int, default=1000)
    options.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args(arguments)
    points = Points(chosen.results)
    corpus = load_corpus(chosen.collection, 1)
    last = corpus.documents[min(chosen.documents, len(corpus.documents)) - 1].file
    with tempfile.TemporaryDirectory(dir=chosen.folder) as made:
        source = Path(made, "source")
        source.mkdir()
        for number, text in enumerate(corpus.files[: last + 1]):
            (source / f"{number}.md").write_text(text, encoding="utf-8")
        points.add("indexing", *speeds(source, Path(made), chosen.threads, chosen.rounds))
        texts = [
            passage.encoded
            for path in sorted(source.iterdir())
            for passage in cut(read(path).blocks)
        ]
        points.add("order", *orders(texts, chosen.rounds))
    points.show()


if __name__ == "__main__":
    main()
