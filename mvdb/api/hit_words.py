"""Where the words of a query stand in the texts of its hits, worked out hit by hit at first use."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from mvdb import core
from mvdb.lexical import bm25, query_language, tokeniser
from mvdb.lexical.highlights import highlights
from mvdb.lexical.query_language import TextQuery
from mvdb.search import lexical_search
from mvdb.state.state import State
from mvdb.storage.environment import ReadTransaction
from mvdb.types import Mark

Reading = Callable[[], AbstractContextManager[tuple[ReadTransaction, State]]]


def words_of(query: Any, text: str | None) -> TextQuery | None:
    """The words of a search: those of text=, or of a query that is a str; None without any."""
    words = query if text is None else text
    return query_language.parse(words) if isinstance(words, str) else None


class HitWords:
    """The words of one query. reading: a transaction and the state in it, when a hit is used."""

    def __init__(self, query: TextQuery, reading: Reading) -> None:
        self._query = query
        self._reading = reading

    def marks(self, text: str) -> list[Mark]:
        """The ranges of a text; none in a file that cannot be searched by words."""
        with self._reading() as (txn, state):
            if lexical_search.fault(state) is not None:
                return []
            indexes = state.open_words(txn).indexes
            n_rows = bm25.Statistics.of(indexes).n_rows
            stemmer = state.lexical.stemmer

            def idf(term: bytes) -> float:
                names = core.TermNames([term])
                count = sum((index.frequencies(names) for index in indexes), np.zeros(1, np.int64))
                return float(bm25.inverse_frequencies(n_rows, count)[0])

            stem = None if stemmer is None else tokeniser.stemmer(stemmer)
            found = highlights(text, self._query, idf, stem)
            return [(one.first, one.last, one.weight) for one in found]
