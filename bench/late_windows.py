"""Late chunking: neighbouring passages are encoded in one window and their token vectors cut apart
afterwards, so that each vector has seen the neighbours (Günther et al., arXiv 2409.04701)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]

_GLUE = "\n\n"
_SPECIAL = 2
"""[CLS] and [SEP], which each window has."""
_BATCH = 64
"""Windows encoded by one call."""


class Stretch(NamedTuple):
    """A passage's text, the heading trail that is encoded before it ("" for none), and the number
    of its file. Passages of one file and trail may share a window."""

    text: str
    trail: str
    file: int


def encode_windows(encoder: Any, passages: Sequence[Stretch], window: int) -> Iterator[Rows]:
    """One (n, dim) array per passage, in order. encoder: has `tokens`, and a window of so many
    tokens. The rows of a trail, encoded once a window, go to each of its passages."""
    windows = _windows(encoder, passages, window)
    while batch := list(islice(windows, _BATCH)):
        texts = [
            _GLUE.join(filter(None, [run[0].trail, *(one.text for one in run)])) for run in batch
        ]
        made = zip(batch, encoder.encode_documents(texts), encoder.tokens(texts), strict=True)
        for run, rows, spans in made:
            yield from _parts(encoder, run, rows, np.array([start for start, _ in spans]))


def _windows(encoder: Any, passages: Sequence[Stretch], window: int) -> Iterator[list[Stretch]]:
    """Runs of passages that fit into a window together; a longer one stands alone."""
    run: list[Stretch] = []
    used = 0
    for passage in passages:
        needed = _length(encoder, passage.text)
        together = run and (run[0].file, run[0].trail) == (passage.file, passage.trail)
        if not together or used + needed > window - _SPECIAL:
            if run:
                yield run
            run, used = [], _length(encoder, passage.trail)
        run.append(passage)
        used += needed
    if run:
        yield run


def _length(encoder: Any, text: str) -> int:
    return len(encoder.tokens([text], kind="query")[0]) - _SPECIAL


def _parts(
    encoder: Any, run: Sequence[Stretch], rows: Rows, starts: NDArray[Any]
) -> Iterator[Rows]:
    """starts: the character of the window's text at which each row's token begins."""
    place = len(run[0].trail) + len(_GLUE) if run[0].trail else 0
    trail = starts < place
    for passage in run:
        own = (starts >= place) & (starts < place + len(passage.text))
        place += len(passage.text) + len(_GLUE)
        if own.any():
            yield rows[own | trail]
        else:  # punctuation alone, which a longer text drops
            yield encoder.encode_documents([passage.text])[0]
