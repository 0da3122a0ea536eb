"""The default encoder: all-MiniLM-L6-v2 as a late-interaction model, with no network.

The model's last hidden states, one per token, are brought to unit length, projected from 384 to 128
dimensions and brought to unit length again. The settings were chosen by nDCG@10 with exact MaxSim
on NFCorpus (``python -m bench.encoders --settings`` measures them):

- Windows of 256 tokens, the length the model was published with, are as good as windows of 512
  (.352 and .350) and take two thirds of their time. A longer text is cut into windows of equal
  length and encoded whole; first tokens alone would lose quality (.347).
- Documents keep neither punctuation nor [CLS] and [SEP]: all rows are no better (.353) and a fifth
  more.
- Queries keep everything; without [CLS] and [SEP] they lose (.343).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mvdb.arguments import one_of, whole_number
from mvdb.encoders.encoder_rows import Rows, as_list
from mvdb.encoders.minilm_graph import minilm_graph
from mvdb.encoders.minilm_weights import HIDDEN, POSITIONS, packaged_weights
from mvdb.encoders.parallel_runs import ParallelRuns
from mvdb.encoders.protocol import DEFAULT_NAME
from mvdb.encoders.sessions import Session
from mvdb.encoders.wordpiece import Span, WordPiece, is_punctuation, vocabulary
from mvdb.errors import InvalidInputError
from mvdb.threads.cached import cached

# From a text's tokens (n,), those of all its windows, to which of them have a row (n,) bool.
_Kept = Callable[[NDArray[Any]], NDArray[np.bool_]]
_Item = TypeVar("_Item")

WINDOW = 256
_NOWHERE: Span = (0, 0)
"""The span of [CLS] and [SEP]."""


@dataclass(frozen=True)
class _Window:
    """A piece of a text: the text's number, and the piece's tokens between [CLS] and [SEP]."""

    text: int
    tokens: list[int]


class MiniLMEncoder:
    """all-MiniLM-L6-v2 in int8, one row per token.

    Args:
        projection: (384, dim) float matrix without NaN, multiplied from the right; by default the
            one that comes with mvdb (dim 128); ``None`` leaves 384 dimensions.
        window: tokens that the model sees at once, [CLS] and [SEP] included: 3 to 512.
        threads: windows that are encoded at the same time, each on a thread of its own, 1 to 1024;
            ``None``: one for each processor that the process may use. A single window runs on the
            caller's thread.

    Encoding is deterministic for the same texts on the same machine: neither the number of threads
    nor the other texts of a call change a row.

    Safe to use from many threads.

    Raises:
        PathNotFoundError, CorruptionError: the installed model is incomplete or damaged.
        InvalidInputError: ``projection`` does not have 384 rows, ``window`` or ``threads`` is out
            of range.
    """

    pooling = "none"
    revision = "int8"

    def __init__(
        self,
        projection: NDArray[Any] | Literal["shipped"] | None = "shipped",
        window: int = WINDOW,
        threads: int | None = None,
    ) -> None:
        self._window = whole_number("window", window, 3, POSITIONS)
        self._runs = ParallelRuns(threads)
        if isinstance(projection, str):
            projection = shipped_projection()
            self.name = DEFAULT_NAME
        else:
            # Not the vectors that DEFAULT_NAME stands for.
            self.name = "all-MiniLM-L6-v2" + ("" if projection is None else "-projected")
        if window != WINDOW:
            self.name += f"-window{window}"
        matrix = None if projection is None else _checked(projection)
        self.dim = HIDDEN if matrix is None else matrix.shape[1]
        graph = minilm_graph(packaged_weights(), matrix)
        self._session = Session(graph.model(), graph.arrays)
        self._words = WordPiece(vocabulary())
        self._cls, self._sep = self._words.number["[CLS]"], self._words.number["[SEP]"]

    def encode_documents(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """One (n, dim) float32 array of unit rows per text: its tokens but punctuation, in order.

        Texts of any length are encoded whole. A text of nothing but punctuation keeps its
        punctuation; a text without a token has the row of [CLS]: n >= 1.
        """
        return self._encode(texts, self._kept_in_document)

    def encode_queries(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """One (m, dim) float32 array of unit rows per text: [CLS], every token, [SEP]; m >= 2."""
        return self._encode(texts, self._kept_in_query)

    def tokens(
        self, texts: Sequence[str], kind: Literal["document", "query"] = "document"
    ) -> list[list[Span]]:
        """Where the rows of ``encode_documents(texts)`` or ``encode_queries(texts)`` come from: for
        each row the characters ``text[start:end]``; ``(0, 0)`` for a row that stands for none.

        Raises:
            InvalidInputError: ``kind`` is neither ``"document"`` nor ``"query"``.
        """
        one_of("kind", kind, ("document", "query"))
        kept = self._kept_in_document if kind == "document" else self._kept_in_query
        return [self._text_spans(text, kept) for text in as_list(texts)]

    def _text_spans(self, text: str, kept: _Kept) -> list[Span]:
        spans: list[Span] = []
        for piece in _pieces(self._words.spans(text), self._window - 2):
            spans += [_NOWHERE, *piece, _NOWHERE]
        tokens = np.concatenate([window.tokens for window in self._windows([text])])
        return [span for span, is_kept in zip(spans, kept(tokens), strict=True) if is_kept]

    def _encode(self, texts: Sequence[str], kept: _Kept) -> list[Rows]:
        windows = self._windows(as_list(texts))
        parts: list[list[tuple[Rows, list[int]]]] = [[] for _ in texts]
        for window, rows in zip(windows, self._all_rows(windows), strict=True):
            parts[window.text].append((rows, window.tokens))
        return [
            np.concatenate([rows for rows, _ in part])[
                kept(np.concatenate([tokens for _, tokens in part]))
            ]
            for part in parts
        ]

    def _all_rows(self, windows: Sequence[_Window]) -> list[Rows]:
        return self._runs.map(self._rows, [window.tokens for window in windows])

    def _rows(self, tokens: list[int]) -> Rows:
        return self._session.run("rows", {"tokens": np.array([tokens], dtype=np.int64)})

    def _windows(self, texts: Sequence[str]) -> list[_Window]:
        """The windows of all texts, those of a text side by side, in order; at least one each."""
        return [
            _Window(index, [self._cls, *piece, self._sep])
            for index, text in enumerate(texts)
            for piece in _pieces(self._words.tokens(text), self._window - 2)
        ]

    def _kept_in_query(self, tokens: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of a query's tokens have a row: all."""
        return np.ones(len(tokens), dtype=np.bool_)

    def _kept_in_document(self, tokens: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of a document's tokens have a row: at least one."""
        special = (tokens == self._cls) | (tokens == self._sep)
        kept: NDArray[np.bool_] = ~special & ~self._dropped[tokens]
        if not kept.any():
            kept = ~special
        if not kept.any():
            kept = tokens == self._cls
        return kept

    @cached
    def _dropped(self) -> NDArray[np.bool_]:
        """For each token of the vocabulary, whether it is punctuation."""
        return np.array(
            [
                all(map(is_punctuation, token.removeprefix("##") or token))
                for token in self._words.number
            ]
        )


def shipped_projection() -> NDArray[np.float32]:
    """The (384, 128) float32 matrix with orthonormal columns that comes with mvdb.

    ``bench/make_projection.py`` made it: the principal axes of the model's token vectors.
    """
    source = resources.files("mvdb.encoders") / "minilm_projection.npy"
    with source.open("rb") as file:
        matrix: NDArray[np.float32] = np.load(file, allow_pickle=False).astype(np.float32)
    return matrix


def _checked(projection: NDArray[Any]) -> NDArray[np.float32]:
    if projection.ndim != 2 or projection.shape[0] != HIDDEN:
        raise InvalidInputError(
            f"projection: the shape is {projection.shape}; {HIDDEN} rows are needed"
        )
    return np.ascontiguousarray(projection, dtype=np.float32)


def _pieces(tokens: list[_Item], room: int) -> Iterator[list[_Item]]:
    """Cut into the fewest pieces of at most ``room`` tokens, of like length; one at least."""
    count = max(1, -(-len(tokens) // room))
    length = -(-len(tokens) // count)
    for piece in range(count):
        yield tokens[piece * length : (piece + 1) * length]
