"""Numbers in the documentation that stand in the code too: each is held against it.

`nprobe` was 32 by default on one page and 48 on others. A row of the table has what the code says,
and what stands around the number in the documentation, as regular expressions in which `{n}` is the
number. Every place that matches, on any page, must say the same, and each expression must match
somewhere.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mvdb
from mvdb import cli, core
from mvdb.cli.commands import import_command, search_command
from mvdb.codebook import codebook as codebooks
from mvdb.codebook import training
from mvdb.documents import ids, metadata, sparse_vectors, tenants, texts
from mvdb.filters import column_blobs, columns, language
from mvdb.importers import source
from mvdb.ingest import streaming, vectors
from mvdb.lexical import query_language
from mvdb.limits import Limits
from mvdb.reading import (
    Cutting,
    archives,
    blocks,
    front_matter,
    html,
    ignoring,
    json_values,
    limited_process,
    mail,
    near_duplicates,
    python_source,
)
from mvdb.search import fusion, options, plan, prefetch, relevance
from mvdb.segment import layout
from mvdb.serving import assistant_tools, backlog, lines, methods
from mvdb.state import manifest, relevance_level, settings, unpublished
from mvdb.storage import catalog, envelope
from mvdb.storage.format import FORMAT_VERSION, MAGIC, Kind
from mvdb.threads import workers
from mvdb.write import extend_codebook, index_writer, memory_budget, merge, merge_policy
from tests.docs.test_readme import PAGES, ROOT, commands

_NUMBER = (
    r"(0x[0-9A-F]+|1/\d+|2\^\d+|(?:\d[\d,]*(?:\.\d+)?|\.\d+|[a-z]+)(?: (?:million|[KMG]i?B))?)"
)
_WORDS = {
    "two": 2,
    "twice": 2,
    "three": 3,
    "four": 4,
    "eight": 8,
    "ten": 10,
    "half": 0.5,
    "a twelfth": 1 / 12,
}
_UNITS = {"million": 10**6, "MB": 10**6, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
LIMITS = Limits()
SHARES = memory_budget.Budget()


def default(function: Callable[..., Any], name: str) -> Any:
    """The default of a parameter."""
    return inspect.signature(function).parameters[name].default


def option(command: str, name: str) -> Any:
    """The default of an option of the command line."""
    return commands()[command].get_default(name)


def of_core(file: str, name: str) -> float:
    """A constant of the C core."""
    text = (ROOT / "csrc" / file).read_text(encoding="utf-8")
    found = re.search(rf"\b{name}\b =? ?(\d[\d.]*)", text)
    assert found is not None, name
    return float(found[1])


VALUES: list[tuple[str, Callable[[], float], list[str]]] = [
    # ---- of imports ----
    (
        "bytes of a batch",
        lambda: source.BATCH_BYTES,
        [r"Vectors are read in batches of about {n}, from mapped files"],
    ),
    (
        "documents of a commit",
        lambda: import_command.ENCODED,
        [r"a commit comes after every {n} documents\."],
    ),
    # ---- of collections ----
    (
        "collections of a file",
        lambda: catalog.MAX_COLLECTIONS,
        [r"collections of a file \| {n} \|", r"A file holds at most {n} collections"],
    ),
    (
        "name of a collection",
        lambda: catalog.MAX_NAME_BYTES,
        [r"name of a collection \| {n} bytes", r"A name has 1 to {n} bytes"],
    ),
    (
        "kept collections",
        lambda: LIMITS.kept_collections,
        [r"segments of the {n} collections used last", r"segments of the {n} used last"],
    ),
    # ---- of programs that are served ----
    ("line", lambda: lines.MAX_LINE, [r"the line has more than {n}; it was passed over"]),
    ("calls held", lambda: backlog.MAX_CALLS, [r"At most {n} calls, and"]),
    ("lines held", lambda: backlog.MAX_BYTES, [r"calls, and {n} of lines, are held"]),
    ("page of documents", lambda: methods.DEFAULT_LIMIT, [r"`limit` \(default {n}\) documents or"]),
    ("bytes of a page", lambda: methods.PAGE_BYTES, [r"documents or about {n}; the next page"]),
    (
        "reads",
        lambda: methods.THREADS[methods.Lane.READ],
        [r"up to {n} at the same time, each on the state"],
    ),
    (
        "hit of a tool",
        lambda: assistant_tools.HIT_CHARACTERS,
        [r"first {n} characters of its text"],
    ),
    ("text of a tool", lambda: assistant_tools.GET_CHARACTERS, [r"`get` gives\s+{n} from `begin`"]),
    ("hits of a tool", lambda: assistant_tools.MOST_HITS, [r"at most {n} hits or values"]),
    ("ids of a tool", lambda: assistant_tools.MOST_IDS, [r"takes at most\s+{n} ids"]),
    # ---- of files that are indexed ----
    ("told apart", lambda: blocks.MOST_ALONE, [r"definitions of a text \| {n} \|"]),
    ("members", lambda: archives.MOST_MEMBERS, [r"parts of an archive \([^)]*\) \| {n} \|"]),
    ("unpacked", lambda: archives.MOST_UNPACKED, [r"XML that is unpacked of an archive \| {n} \|"]),
    ("nodes", lambda: archives.MOST_NODES, [r"elements and attributes of a part \| {n} \|"]),
    ("PDF seconds", lambda: limited_process.SECONDS, [r"for the pages of a PDF \| {n} s"]),
    ("PDF memory", lambda: limited_process.MEMORY, [r"memory for the pages of a PDF \| {n} \|"]),
    ("PDF clock", lambda: limited_process.CLOCK_SECONDS, [r"limited to {n} s instead of"]),
    ("parts of a mail", lambda: mail.MOST_PARTS, [r"parts of a mail \| {n} \|"]),
    ("head of a mail", lambda: mail.MOST_HEADERS, [r"lines of the head of a mail \| {n} \|"]),
    ("header of a mail", lambda: mail.MOST_HEADER, [r"header of a mail \| {n} characters"]),
    ("tags", lambda: html.MOST_TAGS, [r"tags and attributes of an HTML document \| {n} \|"]),
    ("Python", lambda: python_source.MOST_PARSED, [r"Python source that is parsed \| {n} char"]),
    ("ignore file", lambda: ignoring.MOST_BYTES, [r"ignore file \| {n}, "]),
    ("ignore lines", lambda: ignoring.MOST_LINES, [r"ignore file \| 1 MiB, {n} lines"]),
    ("stars", lambda: ignoring.MOST_STARS, [r"line of an ignore file \| {n} single"]),
    ("double stars", lambda: ignoring.MOST_DOUBLE_STARS, [r"single and {n} double stars"]),
    # ---- of calls ----
    (
        "bits",
        lambda: default(mvdb.open, "bits"),
        [
            r"`bits` of `open` \| {n} \|",
            r"\| {n} \(default\) \|",
            r"kept per dimension \({n} unless",
            r"for a new file \(default {n}\)",
            r"\bbits: int = {n},",
        ],
    ),
    ("k", lambda: default(mvdb.Database.search, "k"), [r"\bsearch\( query: [^,]+, k: int = {n},"]),
    (
        "commit_every",
        lambda: streaming.COMMIT_EVERY,
        [
            r"`commit_every` of `insert_batches` \| {n};",
            r"documents per transaction, by default {n}\.",
            r"Default {n}, but the first transaction",
        ],
    ),
    (
        "memory",
        lambda: memory_budget.DEFAULT,
        [
            r"`memory` of `open` \| {n} \|",
            r"`memory` is {n} by default",
            r"tables of the process, {n} by default",
            r"default {n}\. Centroids",
        ],
    ),
    (
        "least memory",
        lambda: memory_budget.LEAST,
        [r"by default,? (?:and )?at least {n}\.", r"of builds; at least {n}, default"],
    ),
    (
        "least nprobe",
        lambda: options.MIN_NPROBE,
        [
            r"for 1,280 centroids, at least {n}\b",
            r"centroids / 1,280, at least {n}\b",
            r"a token's {n} best centroids",
        ],
    ),
    (
        "centroids per list probed",
        lambda: options.CENTROIDS_PER_PROBE,
        [r"one (?:list )?for {n} centroids", r"centroids / {n}, at least"],
    ),
    (
        "candidates",
        lambda: LIMITS.min_candidates,
        [r"by default the greatest of {n}\b", r"default max\({n}, 48 k"],
    ),
    (
        "least nprobe once extended",
        lambda: options.MIN_NPROBE_EXTENDED,
        [
            r"at least 48; {n} once centroids were added",
            r"at least 48, and {n} once centroids were",
            r"at least 48, and once centroids were added .{0,40} at least {n}\b",
            r"centroids were added, at least {n}\b",
        ],
    ),
    (
        "tokens of few documents",
        lambda: plan.FEW_TOKENS,
        [r"at most {n} tokens"],
    ),
    (
        "groups scanned",
        lambda: plan.GROUPS_SCANNED,
        [r"best {n} in the interaction plan"],
    ),
    (
        "candidates per hit",
        lambda: LIMITS.candidates_per_hit,
        [r"greatest of 768, {n} k\b", r"max\(768, {n} k,"],
    ),
    (
        "candidates by size",
        lambda: LIMITS.candidates_factor,
        [r"48 k and {n} documents\^¾", r"48 k, {n} documents\^\(3/4\)"],
    ),
    (
        "candidates of 200,000",
        lambda: int(LIMITS.candidates_factor * 200_000**options.CANDIDATES_POWER),
        [r"\({n} of 200,000, "],
    ),
    (
        "candidates of a million",
        lambda: int(LIMITS.candidates_factor * 1e6**options.CANDIDATES_POWER),
        [r", {n} of a million\)"],
    ),
    (
        "weight of ordinary words",
        lambda: fusion.ORDINARY_WEIGHT,
        [r"w = {n} \+ \.45 s\."],
    ),
    (
        "weight of exact evidence",
        lambda: round(fusion.EXACT_WEIGHT - fusion.ORDINARY_WEIGHT, 9),
        [r"w = \.25 \+ {n} s\."],
    ),
    (
        "factor of exact terms",
        lambda: fusion.EXACT_FACTOR,
        [r"exact evidence\* counts {n} times"],
    ),
    (
        "pseudo-queries",
        lambda: relevance.PSEUDO_QUERIES,
        [r"{n} \*pseudo-queries\* measure it"],
    ),
    (
        "tokens of a pseudo-query",
        lambda: relevance.PSEUDO_TOKENS,
        [r"runs of {n}\s+stored tokens"],
    ),
    (
        "greatest level of relevance",
        lambda: relevance.GREATEST_LEVEL,
        [r"of other documents, at most\s+{n}\."],
    ),
    (
        "documents of a level",
        lambda: relevance_level.LEAST_DOCUMENTS,
        [
            r"From\s+{n} documents on, the commit",
            r"fewer than {n} documents gets a level",
            r"file of {n} to 999 passages",
        ],
    ),
    (
        "least relevance of mvdb search",
        lambda: search_command.MIN_RELEVANCE,
        [
            r"Default: {n} where the file's relevance",
            r"of relevance {n} or more",
            r"of less relevance than {n}",
        ],
    ),
    (
        "boundary of relevance",
        lambda: relevance.BOUNDARY,
        [r"\.5 at {n} of the level"],
    ),
    (
        "readers that prefetch",
        lambda: prefetch.READERS,
        [r"\b{n} threads (?:per database|touch)"],
    ),
    (
        "threads",
        lambda: workers.BUILD_THREADS,
        [r"training use up to {n} threads", r"[Aa]t most {n} threads build segments"],
    ),
    ("results", lambda: option("search", "k"), [r"number of results \(default {n}\)"]),
    (
        "sizes",
        lambda: option("index", "max_size"),
        [r"skip files larger than this \(default {n}\)"],
    ),
    ("passages", lambda: Cutting().size, [r"passages of about {n} words", r"\| `size={n}` \|"]),
    ("longest passages", lambda: Cutting().most, [r"\| `most={n}` \|"]),
    (
        "front matter",
        lambda: front_matter.MOST_FRONT_MATTER,
        [r"Front matter has at most {n} characters"],
    ),
    (
        "values of front matter",
        lambda: json_values.MOST_VALUES,
        [r"at most 65,536 characters, {n}\s+values", r"At most 64 KiB of text, {n} values"],
    ),
    (
        "depth of front matter",
        lambda: json_values.MOST_DEPTH,
        [r"aliases unfolded, and {n} levels", r"10,000 values and {n} levels"],
    ),
    ("wrong usage", lambda: cli.USAGE, [r"why\), {n} wrong usage"]),
    ("failed", lambda: cli.ERROR, [r"Exit codes: 0 done, {n} failed"]),
    ("interrupted", lambda: cli.INTERRUPTED, [r"usage, {n} interrupted"]),
    # ---- limits ----
    (
        "dim",
        lambda: core.MAX_DIM,
        [
            r"`dim` from 1 to {n} ",
            r"dimensions of a vector \| {n} \|",
            r"\b1\.\.{n}; needed to create",
            r"`dim` u32 \(1\.\.{n}\)",
        ],
    ),
    (
        "tokens of a query",
        lambda: vectors.MAX_QUERY_TOKENS,
        [r"token vectors of a query \| {n} \|", r"\bm in 1\.\.{n},"],
    ),
    (
        "characters of a text of words",
        lambda: query_language.MAX_CHARACTERS,
        [r"text of a query in words \| {n} characters", r"The first {n} characters"],
    ),
    (
        "words of a text of words",
        lambda: query_language.MAX_CLAUSES,
        [r"characters, {n} words, ", r"terms and {n} words of a text"],
    ),
    (
        "terms of a text of words",
        lambda: query_language.MAX_TERMS,
        [r"words, {n} different terms; the rest", r"characters, {n} different terms and"],
    ),
    (
        "terms of a sparse vector",
        lambda: sparse_vectors.MAX_TERMS,
        [
            r"terms of a learned sparse vector \| {n} of a document",
            r"terms of a document \| at most {n} \|",
            r"At most {n} terms\. A weight",
        ],
    ),
    (
        "terms of a sparse query",
        lambda: sparse_vectors.MAX_QUERY_TERMS,
        [
            r"of a document, {n} of a query",
            r"terms of a query \| at most {n} \|",
            r"of at most {n} terms; alone",
        ],
    ),
    (
        "greatest weight",
        lambda: core.GREATEST_WEIGHT,
        [r"weight of a term \| {n};", r"a number from 0 to {n};", r"A weight is in 0\.\.{n};"],
    ),
    (
        "share of weights",
        lambda: SHARES.weights / SHARES.total,
        [r"\| {n} \| learned weights of a new segment"],
    ),
    (
        "bytes of a term",
        lambda: core.MAX_TERM,
        [r"term of a lexical index \| {n} bytes", r"A term has at most {n} bytes"],
    ),
    (
        "tokens of a document",
        lambda: vectors.MAX_DOCUMENT_TOKENS,
        [r"token vectors of a document \| {n} \|"],
    ),
    (
        "bytes of an id",
        lambda: ids.MAX_STRING_BYTES,
        [r"\b1\.\.{n} bytes of UTF-8", r"str of 1\.\.{n} UTF-8 bytes"],
    ),
    (
        "bytes of a tenant's name",
        lambda: tenants.MAX_NAME_BYTES,
        [r"name of a tenant \| {n} bytes of UTF-8", r"name of the tenant, 1\.\.{n} bytes"],
    ),
    (
        "rows per token",
        lambda: plan.ROWS_PER_TOKEN,
        [r"if {n} the tokens of the allowed documents"],
    ),
    ("depth of a filter", lambda: language.MAX_DEPTH, [r"a filter is at most {n} deep"]),
    ("nodes of a filter", lambda: language.MAX_NODES, [r"has at most {n} objects and conditions"]),
    ("values of a filter", lambda: language.MAX_VALUES, [r"lists at most {n} values\. Metadata"]),
    ("depth of metadata", lambda: metadata.MAX_DEPTH, [r"of a document: at most {n} deep"]),
    ("values of metadata", lambda: metadata.MAX_VALUES, [r"deep, {n} values, integers"]),
    ("bits of an integer", lambda: metadata.MAX_INT_BITS, [r"integers of {n} bits"]),
    ("a block of documents", lambda: texts.BLOCK_BYTES, [r"documents has at most {n}, or"]),
    # ---- training, segments, maintenance ----
    (
        "documents to train at",
        lambda: LIMITS.train_documents,
        [
            r"brings a database to {n} documents or",
            r"as soon as there are {n} documents or",
            r"At {n} documents or",
            r"[Bb]elow {n} documents and",
        ],
    ),
    (
        "tokens to train at",
        lambda: LIMITS.train_tokens,
        [r"1,000 documents (?:or|and) {n} tokens"],
    ),
    (
        "tokens of the first transaction",
        lambda: LIMITS.untrained_flush_tokens,
        [
            r"empty database collects {n} tokens",
            r"until it has {n} tokens",
            r"all its documents, up to {n} tokens",
        ],
    ),
    (
        "texts before training",
        lambda: LIMITS.untrained_flush_tokens * index_writer.UNTRAINED_TEXT_BYTES,
        [r"before the first training: up to {n} of texts"],
    ),
    (
        "tokens of a segment with lists",
        lambda: LIMITS.listed_tokens,
        [
            r"One of {n} tokens or more",
            r"from {n} tokens on, about a million",
            r"Segments below {n} tokens, about",
        ],
    ),
    (
        "tokens merged in a commit",
        lambda: LIMITS.commit_tokens,
        [r"[Mm]erges of up to {n} tokens"],
    ),
    (
        "tokens of a segment",
        lambda: LIMITS.max_tokens,
        [
            r"before it exceeds {n} tokens",
            r"larger merges, up to {n} tokens in one",
            r"as few segments as {n} tokens each",
        ],
    ),
    (
        "extended at once",
        lambda: LIMITS.extended_at_once,
        [r"when there are up to {n} tokens:"],
    ),
    (
        "newcomers",
        lambda: LIMITS.newcomers_per_centroid,
        [r"write buffer with {n} tokens or more per", r"a commit with {n} tokens or more per"],
    ),
    (
        "newcomers' drift",
        lambda: LIMITS.newcomers_drift,
        [r"mean residual is more than {n} times that of the first"],
    ),
    (
        "few groups",
        lambda: training.FEW_GROUPS,
        [r"fewer than 4 √K / {n}"],
    ),
    (
        "growth",
        lambda: LIMITS.growth,
        [r"(?:has|are|grown to|done rarely and for more: at) {n} times the tokens"],
    ),
    (
        "ahead",
        lambda: extend_codebook.AHEAD,
        [r"missing to the K of {n} the tokens"],
    ),
    (
        "fanout",
        lambda: LIMITS.fanout,
        [r"· {n}\^\(l-1\)", r"or more; {n} neighbours of a level"],
    ),
    ("fanout in words", lambda: LIMITS.fanout, [r"Segments are merged, {n} of a size"]),
    ("base", lambda: LIMITS.base_tokens, [r"level l when it has about {n} ·"]),
    (
        "deleted share",
        lambda: merge_policy.DELETED_SHARE,
        [r"more than {n} of whose tokens", r"Once more than {n} of a segment's tokens"],
    ),
    ("rows of a step", lambda: merge.STEP_ROWS, [r"rows are copied {n} at a time"]),
    ("bytes of a step", lambda: LIMITS.step_bytes, [r"their new order about {n} at a time"]),
    ("opening", lambda: LIMITS.opening_seconds, [r"commits and {n} seconds after opening"]),
    (
        "patience",
        lambda: LIMITS.heartbeat_seconds / 60,
        [r"in the last {n} minutes", r"heartbeat is older than {n} minutes"],
    ),
    (
        "waiting to grow",
        lambda: Limits().drain_seconds,
        [
            r"wait for its open ones, at most {n} seconds",
            r"for the transactions of the process, at most {n} seconds",
        ],
    ),
    (
        "waiting to compact",
        lambda: Limits().drain_seconds,
        [r"other transactions of its process, at most {n} seconds"],
    ),
    (
        "reserved",
        lambda: Limits().reserved_bytes,
        [r"process is large, {n} or more"],
    ),
    ("centroids", lambda: training.CENTROIDS_PER_ROOT, [r"\bK = min\({n} √n"]),
    ("tokens per centroid", lambda: training.MIN_TOKENS_PER_CENTROID, [r"√n, n / {n},"]),
    ("most centroids", lambda: training.MAX_CENTROIDS, [r"n / 16, {n}\) for n tokens"]),
    ("sample", lambda: training.SAMPLE_PER_CENTROID, [r"sample is {n} tokens per centroid"]),
    ("groups", lambda: training.GROUPS_PER_ROOT, [r"into {n} √K groups"]),
    ("scales", lambda: training.OUTLIERS, [r"The last {n} entries at an end"]),
    ("cluster", lambda: LIMITS.cluster_documents, [r"in two levels, {n} documents a cluster"]),
    # ---- searching ----
    ("a code", lambda: plan.INTERACT_CODE * 1e9, [r"{n} ns per code"]),
    ("a list", lambda: plan.READ_LIST * 1e9, [r"{n} ns per list"]),
    ("a posting", lambda: plan.GATHER_POSTING * 1e9, [r"{n} ns per posting"]),
    (
        "scored first",
        lambda: of_core("search/rank.c", "FIRST_CANDIDATES"),
        [r"The best {n} \(or 2 k\) are scored"],
    ),
    (
        "old first",
        lambda: of_core("search/rank.c", "FIRST_OLD"),
        [r"the next {n} old documents"],
    ),
    ("old among", lambda: of_core("search/rank.c", "OLD_AMONG"), [r"among the first {n}\."]),
    (
        "whole first",
        lambda: of_core("search/rank.c", "FIRST_WHOLE"),
        [r"the best {n} \(or 2 k\) by them"],
    ),
    (
        "of parts",
        lambda: of_core("search/rank.c", "WHOLE_DEVIATIONS"),
        [r"of these and {n} deviations"],
    ),
    ("deviations", lambda: LIMITS.stop_deviations, [r"the mean gap and {n} deviations"]),
    ("pressure", lambda: prefetch.MEMORY_QUERIES, [r"makes the next {n} queries"]),
    # ---- memory ----
    ("share of queries", lambda: SHARES.queries / SHARES.total, [r"\| {n} \| scratch memory"]),
    ("share of samples", lambda: SHARES.sample / SHARES.total, [r"\| {n} \| points that"]),
    (
        "share of postings",
        lambda: SHARES.postings / SHARES.total,
        [r"\| {n} \| postings collected"],
    ),
    (
        "share of pending",
        lambda: SHARES.write_buffer / SHARES.total,
        [r"\| {n} \| vectors and texts"],
    ),
    (
        "share in words",
        lambda: SHARES.write_buffer / SHARES.total,
        [r"reach (a twelfth) of `memory`"],
    ),
    (
        "pending vectors",
        lambda: SHARES.write_buffer / 2,
        [r"vectors beyond {n} \(with", r"Vectors beyond {n} wait"],
    ),
    ("spool", lambda: LIMITS.spool_bytes, [r"up to {n} of each temporary file"]),
    ("Parquet", lambda: LIMITS.arrow_batch_bytes, [r"in pieces of about {n},"]),
    # ---- the file format ----
    (
        "version",
        lambda: FORMAT_VERSION,
        [r"Format version {n}\.", r"format version u32, {n} \|", r"File format {n}\."],
    ),
    ("envelope", lambda: envelope.HEADER_BYTES, [r"begins with an envelope of {n} bytes"]),
    ("manifest", lambda: manifest._HEADER.size, [r"\| {n} \| 60 each \| segments"]),
    ("segment", lambda: manifest._SEGMENT.size, [r"\| 56 \| {n} each \| segments"]),
    ("unfinished", lambda: unpublished._ENTRY.size, [r"Entries of {n} bytes, ascending"]),
    ("head", lambda: codebooks._HEAD.size, [r"groups u32 \({n} bytes\)"]),
    ("extended", lambda: codebooks._EXTENDED_ENTRY.size, [r"centroids u32 \({n} bytes\), asc"]),
    ("extent", lambda: codebooks.EXTENT_BYTES, [r"cut into extents of {n} bytes"]),
    ("extent of lists", lambda: LIMITS.extent_bytes, [r"[Aa]t most {n} bytes of blocks"]),
    ("chunk", lambda: LIMITS.chunk_bytes, [r"at most {n} bytes \(2\^20 - 4096\)"]),
    ("lists of a block", lambda: core.LISTS_BLOCK, [r"lists (?:in blocks )?of {n} consecutive"]),
    (
        "block",
        lambda: texts.BLOCK_BYTES,
        [r"consecutive documents, at most {n} before compression"],
    ),
    ("largest block", lambda: texts.MAX_BLOCK_BYTES, [r"a block to itself, of at most {n}\."]),
    ("columns", lambda: columns._VERSION, [r"`MVMC` \| \| 4 \| version u32, {n} \|"]),
    ("entry", lambda: column_blobs.ENTRY_SIZE, [r"\| {n} each \| entries \|"]),
    (
        "codes",
        lambda: column_blobs.NO_CODE,
        [r"\*codes\* has at most {n} values", r"or {n} for none"],
    ),
    (
        "kept columns",
        lambda: columns.KEPT_BYTES,
        [r"of filters, of at most {n} and 64 bytes for each of its documents"],
    ),
    (
        "kept columns by document",
        lambda: columns.KEPT_BYTES_PER_DOCUMENT,
        [r"64 KiB and {n} bytes for each of its documents"],
    ),
    ("seed", lambda: training.ROTATION_SEED, [r"this version have the seed {n}\."]),
    (
        "words of a shingle",
        lambda: near_duplicates.SHINGLE,
        [r"runs of\s+{n} words", r"of fewer than {n} words is"],
    ),
    (
        "threshold of near-duplicates",
        lambda: default(near_duplicates.NearDuplicates.__init__, "threshold"),
        [r"default threshold of {n}", r"with its defaults \(threshold {n};"],
    ),
    (
        "bands of near-duplicates",
        lambda: near_duplicates.NearDuplicates().bands,
        [r"bands: {n} of 15", r"{n} bands of 15 rows"],
    ),
]


def text_of(page: Path) -> str:
    """A page in one line."""
    return " ".join(page.read_text(encoding="utf-8").split())


TEXTS = {page.name: text_of(page) for page in PAGES}


def value_of(text: str) -> float:
    """A number as it is written in the documentation."""
    if text in _WORDS:
        return _WORDS[text]
    if text.startswith("0x"):
        return int(text, 16)
    if text.startswith("1/"):
        return 1 / int(text[2:])
    if text.startswith("2^"):
        return float(2 ** int(text[2:]))
    number, _, unit = text.replace(",", "").partition(" ")
    return float(number) * _UNITS.get(unit, 1)


@pytest.mark.parametrize(
    ("expected", "patterns"), [row[1:] for row in VALUES], ids=[row[0] for row in VALUES]
)
def test_the_documentation_says_what_the_code_does(
    expected: Callable[[], float], patterns: list[str]
) -> None:
    for pattern in patterns:
        found = [
            (name, match[0], match[1])
            for name, text in TEXTS.items()
            for match in re.finditer(pattern.replace("{n}", _NUMBER), text)
        ]
        assert found, f"nothing in the documentation matches {pattern!r}: mend it, or the table"
        for name, said, number in found:
            assert value_of(number) == pytest.approx(expected()), f"{name}: {said!r}"


def test_numbers_that_are_words() -> None:
    """The notations that `value_of` reads."""
    written = ["4,000,000", "4 million", "2^20", "768 MiB", ".12", "1/4", "0x1F", "128 MB", "ten"]
    values = [4e6, 4e6, 1 << 20, 768 << 20, 0.12, 0.25, 31, 128e6, 10]
    assert [value_of(text) for text in written] == values
    assert all(re.fullmatch(_NUMBER, text) for text in written)


def test_kinds_and_parts_of_the_format() -> None:
    text = TEXTS["format.md"]
    for kind in Kind:
        assert f"| {kind.name} | {int(kind)} |" in text
    for part in layout.Part:
        name = part.name.lower().replace("_", " ")
        assert re.search(
            rf"\| {name} \| {int(part)} \| [^|]+ \| {layout.KINDS[part].name} \|", text
        )


def test_limits_are_named_as_their_fields() -> None:
    chapter = TEXTS["engine.md"].partition("## Limits and thresholds")[2].partition("## Sources")[0]
    named = set(re.findall(r"`([a-z]+_[a-z_]+|growth|fanout)`", chapter))
    assert named
    assert named <= vars(LIMITS).keys()


def test_magic_and_bits() -> None:
    text = TEXTS["format.md"]
    assert f"magic: `{MAGIC.hex(' ')}`" in text
    assert f"magic `{columns._MAGIC.decode()}`" in text
    bits = ", ".join(map(str, settings.BITS[:-1])) + f" or {settings.BITS[-1]}"
    assert f"`bits` u32 ({bits})" in text
    assert f"{bits} bits per dimension" in TEXTS["CHANGELOG.md"]


def test_nothing_calls_the_distribution_by_the_name_of_another() -> None:
    """`mvdb` on PyPI is somebody else's package: `pip install mvdb` would fetch that."""
    folders = ("mvdb", "docs", ".github", "tests", "bench")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in [*PAGES, ROOT / "Makefile", ROOT / "pyproject.toml", *files]:
        if path.suffix not in (".md", ".py", ".yml", ".toml", "") or path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8")
        wrong = re.findall(
            r"(?:pip install|pip install -U|uv add)[^\n]*?['\" ]mvdb\b(?!-)[^\n]*", text
        )
        wrong += re.findall(r"\bmvdb\[(?:text|arrow|cli|dev|bench)\]", text)
        assert not wrong, f"{path}: {wrong}"
    assert 'name = "mvdb-engine"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
