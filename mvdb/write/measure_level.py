"""When the level of relevance is measured and stored: by the commit that trains or adds centroids,
by maintenance in the background, by `optimize()`.

It is due when it is missing, or when the documents have doubled or halved since
(mvdb/state/relevance_level.py). A commit of documents for an untrained collection leaves it to
maintenance: there the 64 searches read all vectors, and would take longer than the insertion. How
to measure is a function of the resources; the searches are above this room.
"""

from __future__ import annotations

from collections.abc import Callable

from mvdb.state import manifest, relevance_level
from mvdb.state.relevance_level import GROWTH, LEAST_DOCUMENTS, RelevanceLevel
from mvdb.threads import shield
from mvdb.write.changes import Changes
from mvdb.write.step_transactions import StepTransactions

LEAST_ASKED = 2
"""Documents from which `optimize()` measures: a pseudo-query needs a document that is not its
own."""


def measure_at_once(changes: Changes) -> None:
    """Measures in the transaction, if it has trained or added centroids and the level is due.
    REQUIRES: everything is flushed."""
    documents = changes.manifest.live_documents
    if changes.manifest.generation == changes.base.manifest.generation:
        return
    if not relevance_level.is_due(changes.txn, documents, LEAST_DOCUMENTS):
        return
    level = changes.resources.measure(changes.txn, changes.open_state(), shield.check)
    if level is not None:
        relevance_level.store(changes.txn, RelevanceLevel(level, documents))


def is_due(steps: StepTransactions, least: int) -> bool:
    """Whether the collection is to be measured, with `least` live documents or more."""
    with steps.environment.read() as txn:  # no state: that would open segments
        documents = manifest.load(txn).live_documents
        # What had no level has none until it has grown: else each commit would look again.
        has_none = documents < GROWTH * steps.without_level
        return not has_none and relevance_level.is_due(txn, documents, least)


def measure(steps: StepTransactions, check: Callable[[], None] = lambda: None) -> bool:
    """Measures and stores the level of the documents stored now; False if they have none. check:
    called between the searches; what it raises ends the work."""

    def between() -> None:
        check()
        steps.yield_gil()

    with steps.reading() as (txn, state):
        documents = state.manifest.live_documents
        level = steps.resources.measure(txn, state, between)
    if level is None:
        steps.without_level = documents
        return False
    measured = RelevanceLevel(level, documents)
    steps.run(lambda changes: relevance_level.store(changes.txn, measured))
    return True
