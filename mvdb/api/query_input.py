"""What a search is asked for: token vectors, words, or a text that an encoder is to turn into
vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mvdb.errors import InvalidInputError
from mvdb.search.options import AUTO, DENSE, LEXICAL, SearchOptions


@dataclass(frozen=True)
class QueryInput:
    """One query of a search. query: token vectors, or a text to be encoded; None for a search by
    words alone. text: the words; None for a search by vectors alone."""

    query: Any = None
    text: str | None = None

    @classmethod
    def of(cls, query: Any, options: SearchOptions, *, encodes: bool) -> QueryInput:
        """The input of a call. encodes: whether the database has an encoder. InvalidInputError
        when the mode lacks its input, or leaves some of it unused."""
        text, mode = options.text, options.mode
        if query is None and text is None:
            raise InvalidInputError("query: token vectors or a text are needed, or text=")
        words = query if isinstance(query, str) else None
        if mode == AUTO:
            mode = LEXICAL if query is None or (words is not None and not encodes) else DENSE
        if mode == LEXICAL:
            if query is not None and (words is None or text is not None):
                raise InvalidInputError(
                    'query: mode="lexical" takes words alone: give them as query or as text, '
                    "without vectors"
                )
            return cls(text=str(words if text is None else text))
        if text is not None:
            raise InvalidInputError(
                'text: mode="dense" compares the query\'s vectors alone; leave text out'
            )
        return cls(query=query)
