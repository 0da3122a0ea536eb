"""Are near-copies of passages told, and nothing else; at what cost?

    python -m bench.near_duplicates wiki-50k                  # all sections
    python -m bench.near_duplicates squad-dev-plus --sections copies cost

- *copies*: passages of the collection, each beside a copy in which words are replaced, left out and
  added at random places until the exact Jaccard similarity of their runs of three words is at most
  the one asked for. *found*: share of the copies that are known; *by chance*: the mean of the
  chances that the bands give at the exact similarities.
- *collection*: the first documents in turn. *known*: those that are left out, in ranges of
  the exact similarity to the most similar one that was kept; *below .5*: mistakes.
- *cost*: processor time of a passage, of a batch turn by turn with its encoding by the default
  encoder on one thread; medians of all rounds. *MB/million*: of the filters, for a
  million passages expected.
"""

from __future__ import annotations

import random
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from bench.corpora import load_collection
from bench.points import Points, parser
from bench.timing import timed
from mvdb.encoders import default
from mvdb.reading.near_duplicates import SHINGLE, NearDuplicates

Row = dict[str, Any]
SIMILARITIES = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6)
SECTIONS = ("copies", "collection", "cost")
RANGES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.0)
LEAST_WORDS = 40
"""Of a passage that is copied."""


def shingles(text: str) -> set[Any]:
    """The runs of words of a text, in small letters."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1)}


def jaccard(one: set[Any], other: set[Any]) -> float:
    """The exact similarity; 0 for two empty sets."""
    return len(one & other) / len(one | other) if one or other else 0.0


def near_copy(rng: random.Random, text: str, similarity: float, words: Sequence[str]) -> str:
    """The text with as few random changes as bring it to this similarity or below."""
    original, made = shingles(text), text.split()
    while jaccard(original, shingles(" ".join(made))) > similarity:
        place = rng.randrange(len(made))
        kind = rng.randrange(3)
        made[place : place + (kind != 2)] = [] if kind == 1 else [rng.choice(words)]
    return " ".join(made)


def copies(texts: Sequence[str], threshold: float, count: int) -> Iterator[Row]:
    """A row for each similarity."""
    rng = random.Random(1)
    words = [word for text in texts[:1000] for word in text.split()]
    long = [text for text in texts if len(text.split()) >= LEAST_WORDS]
    chosen = rng.sample(long, min(count, len(long)))
    for similarity in SIMILARITIES:
        found, exact, chances = [], [], []
        for text in chosen:
            copy = near_copy(rng, text, similarity, words)
            seen = NearDuplicates(threshold, expected=10)
            seen.is_known(text)
            found.append(seen.is_known(copy))
            exact.append(jaccard(shingles(text), shingles(copy)))
            chances.append(1 - (1 - exact[-1] ** seen.rows) ** seen.bands)
        yield {
            "similarity": round(statistics.fmean(exact), 3),
            "pairs": len(found),
            "found": statistics.fmean(found),
            "by chance": statistics.fmean(chances),
        }


def nearest(own: set[Any], holders: dict[Any, list[int]], sets: dict[int, set[Any]]) -> float:
    """The exact similarity of shingles to the most similar of `sets`; holders: by shingle, in which
    of them it is."""
    shared = Counter(number for shingle in own for number in holders.get(shingle, ()))
    return max((jaccard(own, sets[number]) for number, _ in shared.most_common(20)), default=0.0)


def whole(texts: Sequence[str], threshold: float) -> Row:
    """The row of a collection."""
    seen = NearDuplicates(threshold, expected=len(texts))
    holders: dict[Any, list[int]] = defaultdict(list)
    sets: dict[int, set[Any]] = {}
    known: Counter[float] = Counter()
    for number, text in enumerate(texts):
        own: set[Any] = shingles(text) or {text}
        if seen.is_known(text):
            similarity = nearest(own, holders, sets)
            known[next(least for least in RANGES if similarity >= least)] += 1
            continue
        sets[number] = own
        for shingle in own:
            holders[shingle].append(number)
    above = {f"from {least}": known[least] for least in RANGES[:-1]}
    return {"documents": len(texts), "known": known.total(), **above, "below .5": known[0.0]}


def cost(texts: Sequence[str], threshold: float, rounds: int) -> Row:
    """The row of costs."""
    encoder = default(threads=1)
    encoding, telling = [], []
    for _ in range(rounds):
        seen = NearDuplicates(threshold, expected=len(texts))
        telling.append(timed(list, map(seen.is_known, texts)).cpu_ms)
        encoding.append(timed(encoder.encode_documents, texts).cpu_ms)
    medians = [statistics.median(one) / len(texts) for one in (telling, encoding)]
    return {
        "passages": len(texts),
        "words": statistics.fmean(len(text.split()) for text in texts),
        "ms": medians[0],
        "encoding ms": medians[1],
        "share": medians[0] / medians[1],
        "MB/million": NearDuplicates(threshold, expected=10**6).memory / 1e6,
    }


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("collections", nargs="*", default=["wiki-50k", "squad-dev-plus"])
    options.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS)
    options.add_argument("--threshold", type=float, default=0.8)
    options.add_argument("--documents", type=int, default=20_000, help="of a collection, at most")
    options.add_argument("--pairs", type=int, default=500, help="copies of each similarity")
    options.add_argument("--passages", type=int, default=200, help="whose cost is taken")
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args(arguments)
    points = Points(chosen.results)
    for name in chosen.collections:
        texts = load_collection(name).texts[: chosen.documents]
        if "copies" in chosen.sections:
            points.add(f"copies of {name}", *copies(texts, chosen.threshold, chosen.pairs))
        if "collection" in chosen.sections:
            points.add("collection", {"name": name, **whole(texts, chosen.threshold)})
        if "cost" in chosen.sections:
            row = cost(texts[: chosen.passages], chosen.threshold, chosen.rounds)
            points.add("cost", {"name": name, **row})
    points.show()


if __name__ == "__main__":
    main()
