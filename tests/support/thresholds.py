"""Lower thresholds, so that small files are trained, flushed and merged like large ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

from mvdb.search import plan, search
from mvdb.segment import clustering, layout, posting_lists, segment_writer
from mvdb.write import extend_codebook, flush, index_writer, memory_budget, merge, merge_policy


@contextmanager
def lowered(
    *,
    train_documents: int = 60,
    flush_bytes: int | None = None,
    base_tokens: int | None = None,
    fanout: int | None = None,
    chunk_bytes: int | None = None,
    listed_tokens: int | None = None,
    cluster_documents: int | None = None,
    extent_bytes: int | None = None,
    commit_tokens: int | None = None,
    max_tokens: int | None = None,
    growth: float | None = None,
    extended_at_once: int = 0,
    step_bytes: int | None = None,
) -> Iterator[None]:
    """Within the block this process trains at `train_documents` documents, flushes a transaction
    at `flush_bytes` of pending data, and merges `fanout` segments of `base_tokens`: up to
    `commit_tokens` of them within a commit, more in steps of `step_bytes`, to at most `max_tokens`.
    Segments of `listed_tokens` get lists, in extents of `extent_bytes`, and lie in the order of
    clusters of `cluster_documents`. Centroids are extended when tokens are `growth` times as many,
    up to `extended_at_once` tokens by the commit itself.

    Thresholds belong to the process: blocks may be nested, but not overlap in several threads,
    which would restore each other's values, nor end while a database is open that works in the
    background."""
    wanted: list[tuple[object, str, object]] = [
        (index_writer, "TRAIN_DOCUMENTS", train_documents),
        (memory_budget.Budget, "pending", flush_bytes),
        (merge_policy, "BASE_TOKENS", base_tokens),
        (merge_policy, "FANOUT", fanout),
        (layout, "CHUNK_BYTES", chunk_bytes),
        (segment_writer, "CHUNK_BYTES", chunk_bytes),
        (merge_policy, "LISTED_TOKENS", listed_tokens),
        (clustering, "CLUSTER_DOCUMENTS", cluster_documents),
        (posting_lists, "EXTENT_BYTES", extent_bytes),
        (merge_policy, "COMMIT_TOKENS", commit_tokens),
        (merge_policy, "MAX_TOKENS", max_tokens),
        (flush, "MAX_TOKENS", max_tokens),
        (extend_codebook, "GROWTH", growth),
        (index_writer, "EXTENDED_AT_ONCE", extended_at_once),
        (merge, "STEP_BYTES", step_bytes),
    ]
    with _patched(wanted):
        yield


@contextmanager
def searched_by_lists(*, candidates: int = 8) -> Iterator[None]:
    """Within the block searches of this process take the lists wherever there are any and more than
    `candidates` documents are allowed: these, or k if it is more, are looked at by default."""
    wanted: list[tuple[object, str, object]] = [
        (plan, "_ENOUGH", 0.0),
        (plan, "choose", _lists_if_possible),
        (search, "MIN_CANDIDATES", candidates),
        (search, "MIN_CANDIDATES_EXTENDED", candidates),
        (search, "CANDIDATES_PER_HIT", 1),
        (search, "CANDIDATES_FACTOR", 0),
    ]
    with _patched(wanted):
        yield


def _lists_if_possible(estimates: dict[str, float], n_allowed: int, wanted: int) -> str:
    if n_allowed <= wanted:
        return plan.EXACT
    return plan.LISTS if plan.LISTS in estimates else plan.INTERACTION


@contextmanager
def _patched(wanted: list[tuple[object, str, object]]) -> Iterator[None]:
    with ExitStack() as patches:
        for module, name, value in wanted:
            if value is not None:
                patches.enter_context(mock.patch.object(module, name, value))
        yield
