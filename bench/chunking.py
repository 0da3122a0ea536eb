"""How are long files best cut into passages? Questions to SQuAD's paragraphs, put together into one
Markdown file an article, and to documents of other collections cut small.

    python -m bench.chunking squad-dev-plus
    python -m bench.chunking squad-dev-plus --ways documents 120 --questions 10570
    python -m bench.chunking cranfield --ways documents 60 90,late=512

A collection's documents with one title are one file, `# Title` and a line for each document; of
SQuAD those under the titles of the development set. Search is mvdb's at 4 bits with default
settings, or exact over the stored vectors (`--exact`).

- *answer* (of SQuAD): MRR@10; a passage counts if it holds the answer's sentence of the judged
  paragraph. The marks of answers are not in the collection: of the paragraph's sentences the one
  with the greatest sum of the inverse document frequencies of the question's words counts as the
  answer's.
- *paragraph*: MRR@10; a passage with any part of the judged paragraph counts: an upper bound.
- *nDCG*: nDCG@10; a document has the score of its best passage.
- *difference*: from the first way in the first measure, and its standard error (of the mean of the
  paired differences).

A way reads `SIZE[/MOST][,overlap=WORDS][,bare][,late=WINDOW]`, as `mvdb.reading.Cutting` (most: one
and a half times the size); `bare`: the heading trail is not encoded; `late`: late chunking in
windows of so many tokens. `documents` and `documents,bare`: the documents as they are, with and
without title.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mvdb
from bench.corpora import load_collection, read_records
from bench.late_windows import Stretch, encode_windows
from bench.points import Points, parser
from bench.truth import K
from bench.vectors import DIM, cache_folder
from mvdb.encoders.minilm import WINDOW, MiniLMEncoder
from mvdb.reading import Cutting, cut
from mvdb.reading.markdown import read_markdown

Ints = NDArray[np.int64]
WAYS = {
    "squad-dev-plus": (
        "documents 120 80 180 250 120,overlap=40 120,bare documents,bare 120,late=256 120,late=512"
    ),
    "cranfield": "documents 60 60,late=256 60,bare",
}
ARTICLES = {"squad-dev-plus"}
"""Collections whose titles stand over many documents, and whose questions have one answer."""
QUESTIONS = 4000
BITS = 4
DEPTH = 100
"""Passages that are ranked for ten documents."""
_BATCH = 200
"""Texts encoded at once, and questions searched."""
_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[^a-z])")  # noqa: RUF001
_LEAST_WORDS = 5
"""Of a sentence; shorter ones ("U.S.") belong to the next."""


@dataclass(frozen=True)
class Document:
    """A document of a collection in its file.

    Attributes:
        file: number of the file.
        line: its line there, from 1."""

    id: str
    title: str
    text: str
    file: int
    line: int


@dataclass(frozen=True)
class Corpus:
    """Files, and questions to the documents in them. `judged`: by question, the numbers of its
    documents and their grades."""

    name: str
    files: list[str]
    documents: list[Document]
    questions: list[str]
    judged: list[dict[int, int]]


@dataclass(frozen=True)
class Way:
    """A way of making passages: see the module's docstring. cutting None: whole documents."""

    cutting: Cutting | None
    trail: bool
    late: int

    @classmethod
    def parse(cls, name: str) -> Way:
        """Raises: ValueError: it is none."""
        length, *options = name.split(",")
        values = {key: value for key, _, value in (one.partition("=") for one in options)}
        if unknown := values.keys() - {"overlap", "bare", "late"}:
            raise ValueError(f"{name}: {', '.join(unknown)}: no option of a way")
        cutting = None
        if length != "documents":
            size, _, most = length.partition("/")
            overlap = int(values.get("overlap", 0))
            cutting = Cutting(int(size), int(most or int(size) * 3 // 2), overlap)
        return cls(cutting, "bare" not in values, int(values.get("late", 0)))


@dataclass(frozen=True)
class Passages:
    """Passages of one way: what is encoded of each, and the numbers of the documents of whose lines
    it has a part."""

    stretches: list[Stretch]
    documents: list[list[int]]


# ---- the collection ----


def load_corpus(name: str, most: int) -> Corpus:
    """A collection as files, one for each title, and at most so many of its questions, drawn
    evenly."""
    collection = load_collection(name)
    records = [(r["_id"], r.get("title") or "", r["text"]) for r in read_records(name, "corpus")]
    if name in ARTICLES:
        wanted = {id for grades in collection.qrels.values() for id in grades}
        titles = {title for id, title, _ in records if id in wanted}
        records = [record for record in records if record[1] in titles]
    files: dict[str, list[str]] = {}
    documents = []
    for id, title, text in records:
        lines = files.setdefault(title, [f"# {title}", ""])
        line = " ".join(text.split())
        documents.append(Document(id, title, line, list(files).index(title), len(lines) + 1))
        lines += [line, ""]
    place = {document.id: number for number, document in enumerate(documents)}
    count = len(collection.queries)
    drawn = np.linspace(0, count - 1, min(most, count)).astype(int).tolist()
    judged = [collection.qrels[collection.query_ids[one]] for one in drawn]
    return Corpus(
        name,
        ["\n".join(lines) for lines in files.values()],
        documents,
        [collection.queries[one] for one in drawn],
        [{place[id]: grade for id, grade in grades.items() if id in place} for grades in judged],
    )


def answers(corpus: Corpus) -> list[str]:
    """The sentence of each question's document that most likely answers it."""
    sentences = {number: _sentences(corpus.documents[number].text) for number in _asked(corpus)}
    counts = Counter(word for few in sentences.values() for one in few for word in _words(one))
    total = sum(map(len, sentences.values()))
    found = []
    for question, [number] in zip(corpus.questions, corpus.judged, strict=True):
        asked = _words(question)
        weights = [
            sum(math.log(total / counts[word]) for word in asked & _words(one))
            for one in sentences[number]
        ]
        found.append(sentences[number][int(np.argmax(weights))])
    return found


def _asked(corpus: Corpus) -> set[int]:
    return {number for grades in corpus.judged for number in grades}


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}


def _sentences(text: str) -> list[str]:
    """Sentences; pieces too short to be one go with the next, at the end with the one before."""
    places = [0, *(found.end() for found in _SENTENCE.finditer(text)), len(text)]
    kept = [0]
    for place in places[1:]:
        if len(text[kept[-1] : place].split()) >= _LEAST_WORDS:
            kept.append(place)
    kept[-1 if len(kept) > 1 else 1 :] = [len(text)]
    return [text[start:end].strip() for start, end in pairwise(kept)]


# ---- passages and their vectors ----


def passages_of(corpus: Corpus, way: Way) -> Passages:
    """The passages of a way, in the order of the files."""
    if way.cutting is None:
        stretches = [
            Stretch(f"{d.title} {d.text}".strip() if way.trail else d.text, "", d.file)
            for d in corpus.documents
        ]
        return Passages(stretches, [[number] for number in range(len(stretches))])
    lines: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, document in enumerate(corpus.documents):
        lines[document.file].append((document.line, number))
    stretches, places = [], []
    for number, file in enumerate(corpus.files):
        for passage in cut(read_markdown(file), way.cutting):
            trail = passage.encoded.removesuffix(passage.text).strip() if way.trail else ""
            stretches.append(Stretch(passage.text, trail, number))
            within = range(passage.line, passage.end_line + 1)
            places.append([one for line, one in lines[number] if line in within])
    return Passages(stretches, places)


def encode(passages: Sequence[Stretch], way: Way, threads: int | None) -> tuple[Any, Ints]:
    """All rows (n, 128) float16 and the number of each passage's, from the cache if it has them."""
    identity = json.dumps([way.late, passages], ensure_ascii=False).encode()
    folder = cache_folder(f"chunking-{hashlib.sha256(identity).hexdigest()[:16]}")
    if not (folder / "lengths.npy").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        encoder = MiniLMEncoder(window=way.late or WINDOW, threads=threads)
        if way.late:
            made = encode_windows(encoder, passages, way.late)
        else:
            made = _encoded(encoder, [f"{one.trail}\n{one.text}".lstrip() for one in passages])
        rows = [matrix.astype(np.float16) for matrix in made]
        np.save(folder / "rows.npy", np.concatenate(rows))
        np.save(folder / "lengths.npy", np.array([len(matrix) for matrix in rows], np.int64))
    return np.load(folder / "rows.npy"), np.load(folder / "lengths.npy")


def _encoded(encoder: MiniLMEncoder, texts: Sequence[str]) -> Iterator[Any]:
    for first in range(0, len(texts), _BATCH):
        yield from encoder.encode_documents(texts[first : first + _BATCH])


# ---- measures ----


def best_passages(
    questions: Sequence[Any], rows: Any, lengths: Ints, depth: int, exact: bool
) -> list[list[int]]:
    """For each question the numbers of the best passages, best first."""
    found: list[list[int]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        mvdb.open(Path(folder, "it.mvdb"), dim=DIM, bits=BITS, background=False) as db,
    ):
        db.insert(list(range(len(lengths))), (rows, lengths))
        for first in range(0, len(questions), _BATCH):
            batch = questions[first : first + _BATCH]
            answers = db.search_batch(batch, depth, exact=exact)
            found += [[int(hit.id) for hit in hits] for hits in answers]
    return found


def reciprocal_ranks(
    corpus: Corpus, passages: Passages, found: Sequence[list[int]]
) -> dict[str, Any]:
    """1/rank of the first passage with the answer's sentence, and of the first of the document."""
    sentences = answers(corpus)
    ranks: dict[str, list[float]] = {"answer": [], "paragraph": []}
    for sentence, [number], best in zip(sentences, corpus.judged, found, strict=True):
        of_document = [number in passages.documents[one] for one in best[:K]]
        with_answer = [
            holds and sentence in passages.stretches[one].text
            for holds, one in zip(of_document, best[:K], strict=True)
        ]
        ranks["answer"].append(_reciprocal(with_answer))
        ranks["paragraph"].append(_reciprocal(of_document))
    return {name: np.array(values) for name, values in ranks.items()}


def _reciprocal(relevant: Sequence[bool]) -> float:
    return next((1 / rank for rank, holds in enumerate(relevant, 1) if holds), 0.0)


def gains(corpus: Corpus, passages: Passages, found: Sequence[list[int]]) -> dict[str, Any]:
    """nDCG@10 of each question; a document's rank is that of its best passage."""
    measured = []
    for grades, best in zip(corpus.judged, found, strict=True):
        ranked = list(dict.fromkeys(one for place in best for one in passages.documents[place]))[:K]
        ideal = sorted(grades.values(), reverse=True)[:K]
        measured.append(_dcg([grades.get(one, 0) for one in ranked]) / _dcg(ideal))
    return {"nDCG": np.array(measured)}


def _dcg(grades: Sequence[int]) -> float:
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades, 1))


def measure(
    corpus: Corpus, ways: Sequence[str], threads: int | None, exact: bool
) -> Iterator[dict[str, Any]]:
    """A row for each way."""
    questions = MiniLMEncoder(threads=threads).encode_queries(corpus.questions)
    base = None
    for name in ways:
        way = Way.parse(name)
        passages = passages_of(corpus, way)
        start = time.process_time()
        rows, lengths = encode(passages.stretches, way, threads)
        seconds = time.process_time() - start
        depth = K if corpus.name in ARTICLES else DEPTH
        found = best_passages(questions, rows, lengths, depth, exact)
        score = reciprocal_ranks if corpus.name in ARTICLES else gains
        values = score(corpus, passages, found)
        first = next(iter(values.values()))
        base = first if base is None else base
        change = first - base
        yield {
            "way": name,
            "passages": len(lengths),
            "words": sum(len(one.text.split()) for one in passages.stretches) / len(lengths),
            "rows": len(rows),
            "encoding cpu s": round(seconds),
            **{key: round(float(array.mean()), 4) for key, array in values.items()},
            "difference": f"{change.mean():+.4f} ± {change.std() / math.sqrt(len(change)):.4f}",
        }


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parser(__doc__)
    options.add_argument("collections", nargs="*", default=list(WAYS))
    options.add_argument("--ways", nargs="+", help="see above; the first is the one compared with")
    options.add_argument("--questions", type=int, default=QUESTIONS, help="of each, at most")
    options.add_argument("--exact", action="store_true", help="score every passage")
    options.add_argument("--threads", type=int, help="of the encoder")
    chosen = options.parse_args(arguments)
    points = Points(chosen.results)
    for name in chosen.collections:
        corpus = load_corpus(name, chosen.questions)
        ways = chosen.ways or WAYS[name].split()
        title = f"{name}: {len(corpus.files):,} files, {len(corpus.questions):,} questions"
        for row in measure(corpus, ways, chosen.threads, chosen.exact):
            points.add(title, row)
            print(row["way"], *list(row.values())[5:], flush=True)
        points.show()


if __name__ == "__main__":
    main()
