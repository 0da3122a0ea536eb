"""Arranges a ranking as a search asks for it: pages, groups, diversity.

A mode of search supplies one function, `Ranked`. From it a sequence of documents is made that
depends on the query, the state, k and the other options, and not on `offset`: page after page of
one k gives each document of the sequence once.

1. Without groups: the best k, then those of the best 4 k that were not among them, and so on. An
   approximate ranking may find a document among the best 4 k that it missed among the best k; such
   a document comes later than its score says, but comes.
2. With groups: the best documents are ranked, and the first one of each group is taken. The next
   ranking leaves the groups found so far out, so that a large group costs one round.
3. With diversity the sequence is reordered, see diversity.py.
4. The page is cut out. Of groups the other documents follow, by a ranking within the group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from mvdb import core
from mvdb.search.diversity import Mean, diversified
from mvdb.search.found import Found, in_order
from mvdb.search.grouping import Alone, Group, Grouping
from mvdb.search.options import SearchOptions
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import DocumentRow, State
from mvdb.storage.environment import ReadTransaction

Ranked = Callable[[int, Allowed], list[Found]]
"""The best n of the allowed documents by one mode of search, best first, ties by id; fewer when
fewer qualify. Repeatable: the same n and documents give the same list, and a document has the same
score in all lists."""

WINDOW_GROWTH = 4
"""Ratio of the sizes of two successive rankings without groups. The last
ranking of a page that ends at n has at most WINDOW_GROWTH * n documents, all together a third
more."""
FIRST_GROUPED = 4
"""Documents of the first ranking with groups, per group of a page; each later one has twice as many
as the one before."""


@dataclass(frozen=True)
class Arrangement:
    """Options of the arrangement, and what they need. grouping: None without groups."""

    options: SearchOptions
    grouping: Grouping | None
    mean: Mean

    def page(self, ranked: Ranked, allowed: Allowed) -> list[Found]:
        """The documents of the page that the options ask for."""
        options = self.options
        k, offset = min(options.k, allowed.total), min(options.offset, allowed.total)
        if k == 0:
            return []
        if self.grouping is None and options.diversity == 0 and offset == 0:
            return ranked(k, allowed)  # the first page is the first ranking
        if self.grouping is None:
            sequence = _documents(ranked, allowed, k)
        else:
            sequence = _groups(ranked, allowed, self.grouping, FIRST_GROUPED * k)
        if options.diversity > 0:
            sequence = diversified(sequence, k, options.diversity, self.mean)
        page = list(islice(sequence, offset, offset + k))
        if self.grouping is not None and options.group_size > 1:
            page = [one for first in page for one in self._members(ranked, allowed, first)]
        if options.diversity == 0:
            page = in_order(page)
        return page

    def _members(self, ranked: Ranked, allowed: Allowed, first: Found) -> list[Found]:
        """The best documents of a group, of which one is known."""
        assert self.grouping is not None
        group = self.grouping.group(first.document)
        if isinstance(group, Alone):
            return [first]
        members = self.grouping.within(allowed, group)
        return [first] if members.total == 1 else ranked(self.options.group_size, members)


def arrangement_of(txn: ReadTransaction, state: State, options: SearchOptions) -> Arrangement:
    """The arrangement for a state. InvalidInputError for a field of groups that it lacks."""

    def mean(document: DocumentRow) -> core.Floats:
        vectors = state.segments[document.segment].vectors(txn, document.row)
        result: core.Floats = vectors.mean(axis=0)
        return result

    path = options.group_by
    return Arrangement(options, None if path is None else Grouping(txn, state, path), mean)


def _documents(ranked: Ranked, allowed: Allowed, n: int) -> Iterator[Found]:
    """Each document once. n: documents of the first ranking."""
    seen: set[DocumentRow] = set()
    while True:
        found = ranked(n, allowed)
        for one in found:
            if one.document not in seen:
                seen.add(one.document)
                yield one
        if len(found) < n or n == allowed.total:
            return
        n = min(WINDOW_GROWTH * n, allowed.total)


def _groups(ranked: Ranked, allowed: Allowed, grouping: Grouping, n: int) -> Iterator[Found]:
    """The best document of each group. n: documents of the first ranking."""
    while allowed.total:
        n = min(n, allowed.total)
        found = ranked(n, allowed)
        groups: set[Group] = set()
        for one in found:
            group = grouping.group(one.document)
            if group not in groups:
                groups.add(group)
                yield one
        if len(found) < n or n == allowed.total:
            return
        allowed = grouping.without(allowed, groups)
        n *= 2
