"""What does the lexical index of a file cost, and what does a phrase cost?

    python -m bench.words nfcorpus                       # both sections
    python -m bench.words wiki-50k --sections phrases
    python -m bench.words wiki-50k --sections inserting --rounds 5

- *inserting*: all documents with texts and given vectors, in transactions of 1,000 each, with and
  without a lexical index, turn by turn; ratios are those of the least processor times of all
  rounds, in all threads. *of the texts*: bytes of the index by those of the texts.
- *phrases*: searches with `mode="lexical"`, k = 10, of a file of the texts: frequent words, the
  same as a phrase, and a phrase of two frequent words that hardly ever follow each other. *texts*:
  those in which the phrase was looked for. ms: medians by the clock.
"""

from __future__ import annotations

import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

import mvdb
from bench.corpora import load_collection
from bench.points import Points, parser
from bench.timing import Cost, timed
from bench.truth import K
from bench.vectors import Vectors, load_vectors

STEP = 1000
SECTIONS = ("inserting", "phrases")
FREQUENT = 2
"""Position of the first frequent word of the phrases among the words by falling frequency."""

Rows = list[dict[str, Any]]


# ---- inserting ----


def _insert(path: Path, documents: Vectors, texts: Sequence[str], lexical: bool) -> None:
    dim = documents.doc_flat.shape[1]
    with mvdb.open(path, dim=dim, background=False, lexical=lexical) as db:
        for first in range(0, len(documents), STEP):
            last = min(first + STEP, len(documents))
            ids, part = list(range(first, last)), documents.part(first, last)
            db.insert(ids, part, texts=texts[first:last])


def inserting(folder: Path, collection: str, rounds: int) -> Rows:
    """Rows for a file without and with a lexical index."""
    documents, texts = load_vectors(collection), load_collection(collection).texts
    costs: dict[bool, list[Cost]] = {False: [], True: []}
    for number in range(rounds):
        for lexical in (False, True):
            path = folder / f"{number}-{lexical}.mvdb"
            costs[lexical].append(timed(_insert, path, documents, texts, lexical))
    with mvdb.open(path, readonly=True) as db:
        parts = db.stats().bytes
    words = parts["words"] + parts["word_directory"]
    least = {lexical: min(cost.cpu_ms for cost in own) for lexical, own in costs.items()}
    return [
        {
            "collection": collection,
            "lexical": lexical,
            "s": min(cost.ms for cost in costs[lexical]) / 1e3,
            "cpu s": least[lexical] / 1e3,
            "cpu ratio": least[lexical] / least[False],
            "of the texts": words / sum(len(text.encode()) for text in texts) if lexical else None,
        }
        for lexical in (False, True)
    ]


# ---- phrases ----


def phrases(folder: Path, collection: str, passes: int) -> Rows:
    """Rows for words, phrases of neighbours, and phrases of words that are not neighbours."""
    texts = load_collection(collection).texts
    vectors = np.ones((len(texts), 1, 1), np.float32)
    with mvdb.open(folder / "phrases.mvdb", dim=1, background=False) as db:
        db.insert(list(range(len(texts))), vectors, texts=texts)
        return [_phrase(db, kind, text, passes) for kind, text in _queries(texts)]


def _queries(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    words: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for text in texts:
        own = [word for word in text.lower().split() if word.isalnum() and word.isascii()]
        words.update(own)
        pairs.update(pairwise(own))
    common = [word for word, _ in words.most_common(60)]
    natural = (pair for pair, _ in pairs.most_common() if pair[0] not in common[:10])
    first, second = next(natural, pairs.most_common(1)[0][0])
    yield "words", f"{first} {second}"
    yield "natural phrase", f'"{first} {second}"'
    apart = [(a, b) for a in common for b in common if a != b and pairs[a, b] == 0]
    for one, other in islice(apart, FREQUENT):
        yield "phrase of frequent words, never neighbours", f'"{one} {other}"'
    one, other = max(pairs, key=lambda pair: pairs[pair])
    yield "phrase of frequent words, often neighbours", f'"{one} {other}"'


def _phrase(db: mvdb.Database, kind: str, text: str, passes: int) -> dict[str, Any]:
    profile = db.profile(text=text, k=K, mode="lexical")
    costs = [timed(partial(db.search, k=K, text=text, mode="lexical")) for _ in range(passes)]
    return {
        "kind": kind,
        "query": text,
        "hits": len(profile.hits),
        "texts": profile.texts,
        "ms": statistics.median(cost.ms for cost in costs),
    }


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("collection", nargs="?", default="nfcorpus")
    options.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args(arguments)
    points = Points(chosen.results)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        if "inserting" in chosen.sections:
            points.add("inserting", *inserting(Path(folder), chosen.collection, chosen.rounds))
        if "phrases" in chosen.sections:
            points.add("phrases", *phrases(Path(folder), chosen.collection, chosen.rounds))
    points.show()


if __name__ == "__main__":
    main()
