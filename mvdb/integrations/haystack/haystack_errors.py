"""Errors that are at once mvdb's and Haystack's, so that callers of either catch them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from haystack.document_stores.errors import DuplicateDocumentError
from haystack.errors import FilterError as HaystackFilterError

from mvdb.errors import DuplicateIdError, FilterError


class RefusedFilterError(FilterError, HaystackFilterError):
    """A filter that is malformed, or that mvdb has nothing for."""


class RefusedDuplicateError(DuplicateIdError, DuplicateDocumentError):
    """A document of that id is there already, or is given twice."""


@contextmanager
def both() -> Iterator[None]:
    """The block's errors of mvdb about filters and duplicates are Haystack's, too."""
    try:
        yield
    except RefusedFilterError:
        raise
    except FilterError as error:
        raise RefusedFilterError(str(error)) from error
    except DuplicateIdError as error:
        raise RefusedDuplicateError(str(error)) from error
