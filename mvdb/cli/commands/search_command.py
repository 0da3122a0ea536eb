"""``mvdb search``: the passages that answer a query best. ``mvdb similar``: those most like one."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import mvdb
from mvdb import folders
from mvdb.cli.chosen import chosen, shown
from mvdb.cli.commands.grammar import (
    MODES,
    Commands,
    Parser,
    add_collection,
    add_command,
    add_encoder,
    add_file,
    add_filter,
    add_tenant,
    natural,
    parsed_filter,
    positive,
)
from mvdb.cli.console import Console
from mvdb.cli.display import Result, show
from mvdb.cli.encoder_choice import check_encoder, load_encoder
from mvdb.cli.hints import check_group_by, note_unknown_fields
from mvdb.cli.matching import Match, matched_words, words_found
from mvdb.cli.named import Named
from mvdb.encoders import Encoder

Matches = Callable[[mvdb.Hit], list[Match]]
"""The words of a hit's text that matched."""
_NOT_RELEVANT = "nothing found of relevance {:g} or more; --min-relevance 0 shows the nearest"
MIN_RELEVANCE = 0.5
"""Least relevance of a result, where the file has a level of relevance: the value that parts
answers from the best hits of questions that the collection does not answer (`mvdb.Hit`)."""


def add_parsers(commands: Commands) -> None:
    about = "The passages that answer a query best, with the words that matched."
    parser = add_command(commands, "search", run, "search a database", about)
    add_file(parser)
    help = 'words, or a question; "a phrase", +must, -not, prefix*, field:value'
    parser.add_argument("query", metavar="QUERY", nargs="+", help=help)
    parser.words = "query"
    help = (
        "dense: by meaning; lexical: by words, without an encoder; hybrid: by both; auto "
        "(default): hybrid, or what the file and the encoder allow of it"
    )
    parser.add_argument("--mode", choices=MODES, default="auto", help=help)
    help = "0..1: the weight of the words in a hybrid search (default: chosen by the query)"
    parser.add_argument("--lexical-weight", type=float, metavar="X", help=help)
    help = (
        f"0..1: leave out results of less relevance; 0: none (default {MIN_RELEVANCE}, where the "
        "file's relevance has been measured and the search has vectors)"
    )
    parser.add_argument("--min-relevance", type=float, metavar="X", help=help)
    _add_options(parser)
    add_encoder(parser)
    about = "The passages most like a stored one, which is left out. Needs no encoder."
    parser = add_command(commands, "similar", run_similar, "passages like a stored one", about)
    add_file(parser)
    parser.add_argument("id", metavar="ID", help="the id of the stored passage")
    parser.add_argument("--integer", action="store_true", help="the id is an integer, not a string")
    _add_options(parser)


def _add_options(parser: Parser) -> None:
    add_collection(parser)
    help = "number of results (default 5)"
    parser.add_argument("-k", type=positive, default=5, metavar="N", help=help)
    help = "results to leave out before the first one: the next page"
    parser.add_argument("--offset", type=natural, default=0, metavar="N", help=help)
    add_filter(parser.add_argument)
    add_tenant(parser)
    help = "one result for each value of a field of the metadata, such as path"
    parser.add_argument("--group-by", metavar="FIELD", help=help)
    help = "0..1: the weight of being unlike the results before (default 0)"
    parser.add_argument("--diversity", type=float, default=0.0, metavar="X", help=help)
    help = (
        "what results have of text, metadata and metadata.FIELD, with commas between (default all)"
    )
    parser.add_argument("--fields", metavar="NAMES", help=help)
    parser.add_argument("--exact", action="store_true", help="score every document")


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    fields = arguments.fields
    return {
        "filter": parsed_filter(arguments.filter),
        "tenant": arguments.tenant,
        "exact": arguments.exact,
        "offset": arguments.offset,
        "group_by": arguments.group_by,
        "diversity": arguments.diversity,
        "fields": None if fields is None else [name for name in fields.split(",") if name],
    }


def run(arguments: argparse.Namespace, console: Console) -> None:
    options = _options(arguments)
    query = " ".join(arguments.query)
    if not query.strip():
        raise ValueError("the query is empty")
    options |= {"mode": arguments.mode, "lexical_weight": arguments.lexical_weight}
    # The file first: a wrong name shows at once, not after seconds of loading a model.
    with chosen(arguments, readonly=True) as db:
        stats = db.stats()
    encoder = _encoder(arguments, stats, console)
    least = _least_relevance(arguments, stats, with_vectors=encoder is not None)
    options["min_relevance"] = least
    with chosen(arguments, encoder, readonly=True) as db:
        check_group_by(db, arguments)
        answer = search(db, encoder, query, arguments.k, **options)
        note_unknown_fields(db, arguments, console, found=bool(answer[0]))
    nothing = "nothing found" if least is None else _NOT_RELEVANT.format(least)
    _print(answer, {"query": query}, arguments, console, nothing)


def _least_relevance(
    arguments: argparse.Namespace, stats: mvdb.Stats, *, with_vectors: bool
) -> float | None:
    """The least relevance of a result; None: all are shown."""
    asked: float | None = arguments.min_relevance
    if asked is not None:
        return asked or None
    return MIN_RELEVANCE if with_vectors and stats.relevance_level is not None else None


def _encoder(arguments: argparse.Namespace, stats: mvdb.Stats, console: Console) -> Encoder | None:
    """The encoder of a search; None for one by words, which is also what is left without one."""
    if arguments.mode == "lexical":
        return None
    try:
        encoder = load_encoder(arguments.encoder)
    except ValueError as error:
        if arguments.encoder or arguments.mode != "auto" or not stats.bytes["words"]:
            raise
        if not console.quiet:
            console.note(f"searching by words alone: {error}")
        return None
    check_encoder(encoder, stats.encoder, arguments.file)
    return encoder


def run_similar(arguments: argparse.Namespace, console: Console) -> None:
    options = _options(arguments)
    name = int(arguments.id) if arguments.integer else arguments.id
    started = time.monotonic()
    with chosen(arguments, readonly=True) as db:
        named = Named(db, arguments.tenant)
        if named.document(name) is None:
            near = named.hint_for_ids(str(name))
            raise mvdb.NotFoundError(f"{shown(arguments)}: no document {name!r}{near}")
        check_group_by(db, arguments)
        with db.snapshot() as snapshot:
            hits = snapshot.more_like(name, arguments.k, **options)
            results = _results(hits, arguments.offset, lambda hit: [])
        note_unknown_fields(db, arguments, console, found=bool(results))
    _print((results, time.monotonic() - started), {"id": name}, arguments, console)


def _print(
    answer: tuple[list[Result], float],
    asked: dict[str, Any],
    arguments: argparse.Namespace,
    console: Console,
    nothing: str = "nothing found",
) -> None:
    if console.as_json:
        console.json({"file": str(arguments.file), **asked, **as_json(*answer)})
    elif answer[0]:
        fields = arguments.fields
        with_texts = fields is None or "text" in fields.split(",")
        show(answer[0], console, with_texts=with_texts)
    elif not console.quiet:
        console.note(nothing)


def search(
    db: mvdb.Database, encoder: Encoder | None, query: str, k: int, **options: Any
) -> tuple[list[Result], float]:
    """The hits for a query, with the words that matched in each; seconds it took. encoder: that of
    the database; None without one."""
    started = time.monotonic()
    # Optional for encoders: the span of characters for each row.
    tokens = getattr(encoder, "tokens", None)
    with db.snapshot() as snapshot:

        def matches(hit: mvdb.Hit) -> list[Match]:
            if hit.text is None:
                return []
            found = [] if hit.lexical_score is None else words_found(hit.text, hit.highlights)
            if found or hit.dense_score is None or tokens is None:
                return found
            encoded = folders.encoded_text(hit.text, hit.metadata or {})
            before = len(encoded) - len(hit.text)
            spans = [(first - before, last - before) for first, last in tokens([encoded])[0]]
            return matched_words(hit.text, spans, snapshot.explain(query, hit.id).scores)

        hits = snapshot.search(query, k, **options)
        results = _results(hits, options.get("offset", 0), matches)
    return results, time.monotonic() - started


def _results(hits: list[mvdb.Hit], offset: int, matches: Matches) -> list[Result]:
    return [
        Result(
            rank,
            hit.id,
            round(hit.score, 4),
            _rounded(hit.dense_score),
            _rounded(hit.lexical_score),
            _rounded(hit.relevance),
            hit.text,
            dict(hit.metadata or {}),
            matches(hit),
        )
        for rank, hit in enumerate(hits, start=offset + 1)
    ]


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)


def as_json(results: list[Result], seconds: float) -> dict[str, Any]:
    """The outcome of `search` for --json."""
    return {"seconds": round(seconds, 4), "hits": [asdict(result) for result in results]}
