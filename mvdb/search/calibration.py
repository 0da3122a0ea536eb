"""Measures the level of relevance of a collection, see relevance.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mvdb import core
from mvdb.search import relevance
from mvdb.search.found import Found
from mvdb.state.state import DocumentRow, State
from mvdb.storage.environment import ReadTransaction

_SEED = 0x72656C65
"""Measurements of one state agree."""


def measured_level(
    txn: ReadTransaction, state: State, best_two: Callable[[core.Floats], list[Found]]
) -> float | None:
    """The level of a state by pseudo-queries, `best_two` giving the best two documents of a query;
    None with fewer than two documents."""
    generator = np.random.default_rng(_SEED)
    noted = []
    for document in _drawn(state, generator):
        vectors = state.segments[document.segment].vectors(txn, document.row)
        rows, kinds = core.normalise(relevance.pseudo_query(vectors, generator))
        query = rows[kinds == core.ROW_UNIT]
        if len(query) == 0:
            continue
        others = [one.score for one in best_two(query) if one.document != document]
        if others:
            noted.append(max(others) / len(query))
    return relevance.level(np.array(noted))


def _drawn(state: State, generator: np.random.Generator) -> list[DocumentRow]:
    """Live documents, drawn evenly."""
    everything = state.everything
    count = min(relevance.PSEUDO_QUERIES, everything.total)
    chosen = np.sort(generator.choice(everything.total, count, replace=False))
    drawn: list[DocumentRow] = []
    first = 0
    for number, n_allowed in enumerate(everything.counts):
        own = chosen[(chosen >= first) & (chosen < first + n_allowed)] - first
        if len(own):
            segment = state.segments[number]
            slots = everything.slots(number)[own].tolist()
            drawn += [DocumentRow(number, segment.row(slot)) for slot in slots]
        first += n_allowed
    return drawn
