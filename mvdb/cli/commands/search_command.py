"""``mvdb search``: the passages that answer a query best, with the words that matched."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from typing import Any

import mvdb
from mvdb.cli.commands.grammar import (
    Commands,
    add_command,
    add_encoder,
    add_file,
    add_filter,
    parsed_filter,
    positive,
)
from mvdb.cli.console import Console
from mvdb.cli.display import Result, show
from mvdb.cli.encoder_choice import check_encoder, load_encoder
from mvdb.cli.matching import matched_words
from mvdb.encoders import Encoder


def add_parsers(commands: Commands) -> None:
    parser = add_command(commands, "search", run, "search a database", __doc__)
    add_file(parser)
    parser.add_argument("query", metavar="QUERY", help="words, or a question")
    help = "number of results (default 5)"
    parser.add_argument("-k", type=positive, default=5, metavar="N", help=help)
    add_filter(parser.add_argument)
    parser.add_argument("--exact", action="store_true", help="score every document")
    add_encoder(parser)


def run(arguments: argparse.Namespace, console: Console) -> None:
    options = {"filter": parsed_filter(arguments.filter), "exact": arguments.exact}
    if not arguments.query.strip():
        raise ValueError("the query is empty")
    with mvdb.open(arguments.file, readonly=True) as db:
        # The file first: a wrong name shows at once, not after seconds of loading a model.
        encoder = load_encoder(arguments.encoder)
        check_encoder(encoder, db.stats().encoder, arguments.file)
        answer = search(db, encoder, arguments.query, arguments.k, **options)
    if console.as_json:
        console.json({"file": str(arguments.file), "query": arguments.query, **as_json(*answer)})
    elif answer[0]:
        show(answer[0], console, arguments.file)
    elif not console.quiet:
        console.note("nothing found")


def search(
    db: mvdb.Database, encoder: Encoder, query: str, k: int, **options: Any
) -> tuple[list[Result], float]:
    """The hits for a query in words, with the words that matched in each; seconds it took."""
    started = time.monotonic()
    vectors = encoder.encode_queries([query])[0]
    with db.snapshot() as snapshot:
        results = []
        for rank, hit in enumerate(snapshot.search(vectors, k, **options), start=1):
            text, metadata, matches = hit.text, dict(hit.metadata or {}), []
            # Optional for encoders: the span of characters for each of a document's rows.
            if text is not None and (document_tokens := getattr(encoder, "document_tokens", None)):
                scores = snapshot.explain(vectors, hit.id).scores
                matches = matched_words(text, document_tokens(text), scores)
            results.append(Result(rank, hit.id, round(hit.score, 4), text, metadata, matches))
    return results, time.monotonic() - started


def as_json(results: list[Result], seconds: float) -> dict[str, Any]:
    """The outcome of `search` for --json."""
    return {"seconds": round(seconds, 4), "hits": [asdict(result) for result in results]}
