"""What a search is asked for: token vectors, words, a text that serves as both, a learned sparse
vector."""

from __future__ import annotations

from typing import Any, NamedTuple

from mvdb.documents.sparse_vectors import SparseVector
from mvdb.errors import InvalidInputError
from mvdb.search.options import AUTO, DENSE, HYBRID, LEXICAL, SPARSE, SearchOptions


class QueryInput(NamedTuple):
    """One query of a search. query: token vectors, or a text to be encoded; None for a search
    without meaning. text: the words, sparse: the weights of terms: at most one of them; neither in
    a search by vectors alone."""

    query: Any = None
    text: str | None = None
    sparse: SparseVector | None = None

    @classmethod
    def of(
        cls, query: Any, options: SearchOptions, *, encodes: bool, has_words: bool
    ) -> QueryInput:
        """The input of a call. encodes: whether the database has an encoder. has_words: whether a
        text that it encodes can be searched by words too. InvalidInputError when the mode lacks its
        input, or leaves some of it unused."""
        if options.sparse is not None:
            return cls._with_sparse(query, options, options.sparse, encodes=encodes)
        text, mode = options.text, options.mode
        if query is None and text is None:
            raise InvalidInputError(
                "query: token vectors or a text are needed, or text=, or sparse="
            )
        words = query if isinstance(query, str) else None
        if mode == AUTO:
            mode = _mode(query, text, encodes=encodes, has_words=has_words)
        if mode == SPARSE:
            raise InvalidInputError('sparse: mode="sparse" needs sparse=, the weights of terms')
        if mode == LEXICAL:
            if query is not None and (words is None or text is not None):
                raise InvalidInputError(
                    'query: mode="lexical" takes words alone: give them as query or as text, '
                    "without vectors"
                )
            return cls(text=str(words if text is None else text))
        if mode == DENSE and text is not None:
            raise InvalidInputError(
                'text: mode="dense" compares the query\'s vectors alone; leave text out'
            )
        if query is None:
            raise InvalidInputError(
                f'query: mode="{mode}" needs token vectors, or a text and an encoder'
            )
        if mode == DENSE:
            return cls(query)
        if text is None and words is None:
            raise InvalidInputError('text: mode="hybrid" needs words beside the vectors')
        return cls(query, str(words) if text is None else text)

    @classmethod
    def _with_sparse(
        cls, query: Any, options: SearchOptions, sparse: SparseVector, *, encodes: bool
    ) -> QueryInput:
        """The input of a call with a sparse vector."""
        mode = options.mode
        if options.text is not None:
            raise InvalidInputError(
                "sparse: words (text=) and a sparse vector were both given; a search takes one of "
                "them beside the vectors: leave the other out"
            )
        if mode in (DENSE, LEXICAL):
            needs = "vectors" if mode == DENSE else "words"
            raise InvalidInputError(f'sparse: mode="{mode}" takes {needs} alone; leave sparse out')
        if query is None:
            if mode == HYBRID:
                raise InvalidInputError(
                    'query: mode="hybrid" needs token vectors, or a text and an encoder'
                )
            return cls(sparse=sparse)
        if mode == SPARSE:
            raise InvalidInputError('query: mode="sparse" takes sparse alone; leave query out')
        if isinstance(query, str) and not encodes:
            raise InvalidInputError(
                "query: without an encoder a str is words, and a search takes either words or a "
                "sparse vector: leave one out, or give an encoder to mvdb.open(encoder=...)"
            )
        return cls(query, sparse=sparse)


def _mode(query: Any, text: str | None, *, encodes: bool, has_words: bool) -> str:
    """The mode that "auto" stands for."""
    if query is None:
        return LEXICAL
    if not isinstance(query, str):
        return DENSE if text is None else HYBRID
    if not encodes and text is None:
        return LEXICAL
    return HYBRID if text is not None or has_words else DENSE
