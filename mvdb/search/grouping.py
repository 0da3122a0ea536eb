"""The groups of a state's documents by the value of a metadata field, and their masks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mvdb.errors import InvalidInputError, shown
from mvdb.filters.group_codes import GroupCodes, group_codes
from mvdb.filters.ranked_values import SortKey
from mvdb.state.allowed_documents import Allowed
from mvdb.state.state import DocumentRow, State
from mvdb.state.tombstones import Live
from mvdb.storage.environment import ReadTransaction


@dataclass(frozen=True)
class Alone:
    """The group of a document without a value."""

    document: DocumentRow


Group = SortKey | Alone


class Grouping:
    """The groups of one state by one field. Immutable, shared by threads."""

    def __init__(self, txn: ReadTransaction, state: State, path: str) -> None:
        """Raises InvalidInputError when no document has a value at the path."""
        self._state = state
        self._codes: list[GroupCodes] = [
            group_codes(segment.columns(txn), path) for segment in state.segments
        ]
        if self._codes and all(one.is_empty for one in self._codes):
            raise InvalidInputError(
                f"group_by: no document has a value at the path {shown(path)}; name a field of the "
                "metadata, nested ones with dots"
            )

    def group(self, document: DocumentRow) -> Group:
        """The group of a document."""
        return self._codes[document.segment].group(document.row) or Alone(document)

    def without(self, allowed: Allowed, groups: Iterable[Group]) -> Allowed:
        """The allowed documents of all other groups."""
        masks = self._masks(groups)
        return allowed.restricted([~mask for mask in masks])

    def within(self, allowed: Allowed, group: Group) -> Allowed:
        """The allowed documents of a group."""
        return allowed.restricted(self._masks([group]))

    def _masks(self, groups: Iterable[Group]) -> list[Live]:
        """Per segment a mask by slot of the documents of some groups."""
        listed = list(groups)
        values = [one for one in listed if not isinstance(one, Alone)]
        alone = [one.document for one in listed if isinstance(one, Alone)]
        masks = []
        for index, (segment, codes) in enumerate(
            zip(self._state.segments, self._codes, strict=True)
        ):
            chosen = [code for one in values if (code := codes.code(one)) is not None]
            mask = np.isin(codes.codes, np.array(chosen, np.int64))
            mask[[one.row for one in alone if one.segment == index]] = True
            masks.append(mask if segment.order is None else mask[segment.order])
        return masks
