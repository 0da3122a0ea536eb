"""Results of calls: plain values, independent of the database unless stated otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvdb.errors import InvalidInputError

Id = str | int
Metadata = Mapping[str, Any]
FacetValue = bool | int | float | str | None
Fetch = Callable[[], tuple[str | None, Metadata | None]]
"""Reads a hit's text and metadata."""
Mark = tuple[int, int, float]
"""First character, the one behind the last, weight."""
Marker = Callable[[str], list[Mark]]
"""Finds the words of a query in a text."""
Around = Callable[[Id, int, int], "list[Document]"]
"""Reads a passage with as many before and after it in its file."""


class Value:
    """A dataclass returned by calls."""

    def to_dict(self) -> dict[str, Any]:
        """Its fields by name, as JSON values: arrays and tuples as lists, hits as dicts."""
        return {one.name: _plain(getattr(self, one.name)) for one in fields(self)}  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Hit):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value


class Hit:
    """A document found by a search.

    Attributes:
        id: the document's id.
        score: by the `mode` of the search: MaxSim of the query and the stored vectors (sum over
            query tokens of the greatest dot product with a token of the document), BM25 of the
            words or the inner product of the sparse vectors, or MaxSim and one of these joined, in
            0..1.
        dense_score, lexical_score: MaxSim; BM25, or the inner product of the sparse vectors. None
            if the mode does not have that side.
        relevance: 0..1, .5 and above for most documents that answer the query, less for those that
            are merely the least bad; see "Relevance" in docs/engine.md. None in a search by words
            or a sparse vector alone, and until the collection is calibrated: by the commit that
            trains centroids, by maintenance, by `Database.optimize` or by the first search with
            `min_relevance`.
        text: the stored text or None; read from the file at first use.
        metadata: the stored metadata or None; read from the file at first use.
        highlights: where the words of the query stand in `text`: (first, last, weight), characters
            first..last-1, in order and apart from each other. weight: the idf of the word, the sum
            of those of a phrase. Empty for a query without words, a hit without text and a file
            without a lexical index. Worked out at first use.

    Text, metadata and highlights come from the state of the database at their first use, even after
    the end of the hit's snapshot or transaction. They are None, None and [] when the document was
    deleted, replaced or updated between search and first use; inside a `snapshot()` this cannot
    happen. Pickling and copying read them. Two hits are equal when they have the same id and
    score."""

    __slots__ = (
        "_around",
        "_fetch",
        "_marker",
        "_marks",
        "_stored",
        "dense_score",
        "id",
        "lexical_score",
        "relevance",
        "score",
    )

    def __init__(
        self,
        id: Id,
        score: float,
        fetch: Fetch,
        dense_score: float | None = None,
        lexical_score: float | None = None,
        relevance: float | None = None,
        marker: Marker | None = None,
        around: Around | None = None,
    ) -> None:
        self.id = id
        self.score = score
        self.dense_score = dense_score
        self.lexical_score = lexical_score
        self.relevance = relevance
        self._fetch = fetch
        self._stored: tuple[str | None, Metadata | None] | None = None
        self._marker = marker
        self._around = around
        self._marks: list[Mark] | None = None

    def _load(self) -> tuple[str | None, Metadata | None]:
        if self._stored is None:
            self._stored = self._fetch()
        return self._stored

    def load(self) -> None:
        """Reads text, metadata and highlights now, if they were not read before."""
        self._load()
        self._mark()

    def _mark(self) -> list[Mark]:
        if self._marks is None:
            text = self.text
            self._marks = [] if text is None or self._marker is None else self._marker(text)
        return self._marks

    @property
    def text(self) -> str | None:
        return self._load()[0]

    @property
    def metadata(self) -> Metadata | None:
        return self._load()[1]

    @property
    def highlights(self) -> list[Mark]:
        return list(self._mark())

    def context(self, before: int = 1, after: int = 1) -> list[Document]:
        """The passage with those before and after it in its file, in their order; see
        `folders.sync`. A document that is no passage of a file stands alone.

        Args:
            before, after: numbers of passages, 0 to 10,000; there are fewer at the ends of the file
                and where some were deleted.

        Raises NotFoundError when the document was deleted since, InvalidInputError for a malformed
        argument and for a hit that was pickled or copied: `folders.context(db, hit)` takes it."""
        if self._around is None:
            raise InvalidInputError(
                f"{self!r}: a hit that was pickled or copied knows no database; call "
                "mvdb.folders.context(db, hit)"
            )
        return self._around(self.id, before, after)

    def to_dict(self) -> dict[str, Any]:
        """`id`, the scores, `relevance`, `text`, `metadata` and `highlights` as JSON values; reads
        the last three."""
        text, metadata = self._load()
        return {
            "id": self.id,
            "score": self.score,
            "dense_score": self.dense_score,
            "lexical_score": self.lexical_score,
            "relevance": self.relevance,
            "text": text,
            "metadata": _plain(metadata),
            "highlights": _plain(self._mark()),
        }

    def __reduce__(self) -> tuple[Any, ...]:
        scores = (self.score, self.dense_score, self.lexical_score, self.relevance)
        return _read_hit, (self.id, scores, self._load(), self._mark())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Hit):
            return NotImplemented
        return (self.id, self.score) == (other.id, other.score)

    def __hash__(self) -> int:
        return hash((self.id, self.score))

    def __repr__(self) -> str:
        return f"Hit(id={self.id!r}, score={self.score:.4f})"


def _read_hit(
    id: Id,
    scores: tuple[float, float | None, float | None, float | None],
    stored: tuple[str | None, Metadata | None],
    marks: list[Mark],
) -> Hit:
    """A hit that was pickled with its text, metadata and highlights."""
    score, dense, lexical, relevance = scores
    return Hit(id, score, lambda: stored, dense, lexical, relevance, lambda _: marks)


@dataclass(frozen=True)
class Document(Value):
    """A stored document without its vectors."""

    id: Id
    text: str | None
    metadata: Metadata | None
    n_tokens: int


@dataclass(frozen=True)
class Explanation(Value):
    """The dot products behind a document's score.

    Attributes:
        scores: float32 (n_query_tokens, n_doc_tokens), dot products with the stored vectors.
        best: int64 (n_query_tokens,), the document token that each query token matched best.
        score: MaxSim, the sum of the best scores.
        words: of a query with words: what each of them that the document has adds to its BM25, by
            the word as it is filed, and by the phrase in quotation marks; they add up to
            `Hit.lexical_score`. None for a query without words."""

    scores: NDArray[np.float32]
    best: NDArray[np.int64]
    score: float
    words: Mapping[str, float] | None = None


class InsertProgress(int):
    """Progress of `insert_batches`: an int, the number of documents inserted, with attributes.

    Attributes:
        skipped: documents whose id was in the database, or earlier in the stream.
        total: documents expected, skipped ones included; None if unknown.
        seconds: time since the call.
        documents_per_second: rate of insertion, without the time of skipped documents."""

    def __new__(
        cls,
        inserted: int = 0,
        *,
        skipped: int = 0,
        total: int | None = None,
        seconds: float = 0.0,
        documents_per_second: float = 0.0,
    ) -> InsertProgress:
        self = super().__new__(cls, inserted)
        self.skipped = skipped
        self.total = total
        self.seconds = seconds
        self.documents_per_second = documents_per_second
        return self

    skipped: int
    total: int | None
    seconds: float
    documents_per_second: float

    @property
    def seconds_left(self) -> float | None:
        """Estimate for the rest, as if all of it were new; None without a total or a rate."""
        if self.total is None or not self.documents_per_second:
            return None
        return max(0, self.total - self.skipped - self) / self.documents_per_second

    def to_dict(self) -> dict[str, Any]:
        """`inserted` and the attributes by name, as JSON values."""
        return {"inserted": int(self), **vars(self), "seconds_left": self.seconds_left}


@dataclass
class Profile(Value):
    """The plan, the figures and the cost of one search.

    Attributes:
        hits: the result.
        mode: "dense" (MaxSim), "lexical" (BM25 of words), "sparse" (inner product of sparse
            vectors) or "hybrid" (MaxSim and one of the others).
        found_by_words: of a hybrid search: documents that the words, or the sparse vector, alone
            have found.
        lexical_weight: of a hybrid search: the weight of the words or the sparse vector, 0..1.
        stages: seconds by stage name. Of a dense search: "probe" (the lists near the query),
            "gather" (documents of the lists), "interact" and "coarse" (codes of these, or of all
            documents), "score", "refine" (precise scores), "read" (what had to be read and verified
            first). Of a lexical or sparse search: "terms" (looked up in the term indexes), "words"
            or "sparse" (documents ranked by them), "phrases" (texts read to find phrases).
        texts: texts in which phrases were looked for.
        plan: of a dense search: "lists", "interaction" (all codes are scanned) or "exact"
            (everything is scored).
        fallback: the plan that followed because a filter left fewer than k documents in the lists;
            "" without a fallback.
        costs: estimated seconds of the possible plans, by name.
        lists: posting lists read (0: all codes were scanned, or everything was scored).
        postings: centroid codes or postings read by the coarse stage.
        candidates: documents whose stored vectors were scored.
        reads: ranges of the file that were prefetched.
        bytes_read: their bytes.
        prefetched: records prefetched before all lists had been read.
        prefetch_hit_rate: share of prefetched records among the needed ones not in memory.
        wasted_bytes: bytes of records that were prefetched and not needed."""

    hits: list[Hit] = field(default_factory=list)
    mode: str = ""
    stages: dict[str, float] = field(default_factory=dict)
    plan: str = ""
    fallback: str = ""
    costs: dict[str, float] = field(default_factory=dict)
    lists: int = 0
    postings: int = 0
    candidates: int = 0
    reads: int = 0
    bytes_read: int = 0
    prefetched: int = 0
    prefetch_hit_rate: float = 0.0
    wasted_bytes: int = 0
    texts: int = 0
    found_by_words: int = 0
    lexical_weight: float | None = None


@dataclass(frozen=True)
class Stats(Value):
    """Numbers about a database.

    Attributes:
        documents, tokens: live ones.
        dim, bits: as given at creation.
        segments: immutable sets of documents that a search visits.
        centroids: of the present codebook; 0 before training.
        trained_tokens: live tokens at the last training or extension of the codebook.
        deleted_share: share of stored tokens that belong to deleted documents.
        drift: mean residual length of the documents stored since training, relative to that at
            training time (1.0: no drift).
        bytes: bytes in the file by part. Parts of segments, unpublished ones included: `directory`,
            `records` (residuals, and codes stored with them), `codes` (codes stored apart), `ids`,
            `documents` (texts and metadata, compressed), `fields` (columns for filters),
            `list_directory` and `lists` (inverted lists), `order`, `word_directory` and `words`
            (term indexes of the texts), `weight_directory` and `weights` (of the sparse vectors).
            Tables: `table_ids` in whole
            pages, `table_tombstones`, `table_centroids`. All but `table_ids` exclude the unused
            space of pages. The sizes come from LMDB's pages; a part whose entries fill more than
            16 pages of the tree in a segment (about 2,000 large values) is estimated from an even
            sample of its entries.
        file_bytes: the file's size, free pages included.
        free_bytes: of the free pages, which later writes use; `compact` gives them back.
        encoder: name of the encoder the vectors come from, or None.
        relevance_level: score per token of an answer, 0..1, by which `Hit.relevance` is calibrated;
            None until it has been measured.
        maintenance_error: the last failure of this handle's background thread: time (UTC), step and
            error; None without a failure, or after a later success."""

    documents: int
    tokens: int
    dim: int
    bits: int
    segments: int
    centroids: int
    trained_tokens: int
    deleted_share: float
    drift: float
    bytes: Mapping[str, int]
    file_bytes: int
    free_bytes: int
    encoder: str | None
    relevance_level: float | None
    maintenance_error: str | None


@dataclass(frozen=True)
class Report(Value):
    """Outcome of `verify()`.

    Attributes:
        problems: one sentence each; empty if all checks passed.
        blocks: checked blocks by part.
        documents, tokens: counted by reading them."""

    problems: tuple[str, ...]
    blocks: Mapping[str, int]
    documents: int
    tokens: int

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Its fields and `ok`, as JSON values."""
        return {"ok": self.ok, **super().to_dict()}
