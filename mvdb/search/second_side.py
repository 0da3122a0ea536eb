"""The side beside the token vectors: words (lexical_search.py), or learned weights of terms
(sparse_search.py)."""

from __future__ import annotations

from typing import Protocol

from mvdb import core
from mvdb.search.found import Found, Rows
from mvdb.search.lexical_search import Evidence
from mvdb.search.options import SearchOptions
from mvdb.state.allowed_documents import Allowed


class SecondSide(Protocol):
    """One query of this side over one state, alone (`best`) or within a hybrid search."""

    def best(self, allowed: Allowed, options: SearchOptions) -> list[Found]:
        """The best k allowed documents, best first, ties by id."""

    def restricted(self, allowed: Allowed) -> Allowed:
        """The allowed documents that have what must be there and nothing that must not, but for
        what `evidence` alone can tell."""

    @property
    def drops(self) -> bool:
        """Whether documents outside `ranking` may fail to qualify although they are `restricted`,
        and others qualify."""

    def ranking(
        self, allowed: Allowed, k: int, *, with_ties: bool = True
    ) -> tuple[Rows, core.Floats]:
        """The best k documents that have a term of the query, in no order. with_ties: and all whose
        score is that of the k-th. REQUIRES: `restricted`."""

    def evidence(self, rows: Rows) -> Evidence:
        """What some documents have of the query. REQUIRES: `restricted`."""
