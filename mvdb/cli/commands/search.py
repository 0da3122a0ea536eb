"""``mvdb search``: the passages that answer a query best, with the words that matched."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import mvdb
from mvdb.cli.commands.options import Commands, add_file, add_json, positive
from mvdb.cli.console import Console
from mvdb.cli.encoder_choice import HELP as ENCODER_HELP
from mvdb.cli.encoder_choice import check_encoder, load_encoder
from mvdb.cli.matching import Match, matched_words
from mvdb.cli.results import Result, show
from mvdb.encoders import Encoder


def add_parsers(commands: Commands, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "search", parents=[common], help="search a database", description=__doc__
    )
    add_file(parser)
    parser.add_argument("query", metavar="QUERY", help="words, or a question")
    parser.add_argument(
        "-k", type=positive, default=5, metavar="N", help="number of results (default 5)"
    )
    parser.add_argument(
        "--filter", metavar="JSON", help='condition on the metadata: \'{"path": "a.md"}\''
    )
    parser.add_argument("--exact", action="store_true", help="score every document")
    parser.add_argument("--encoder", metavar="NAME", help=ENCODER_HELP)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, console: Console) -> int:
    filter = parse_filter(arguments.filter)
    if not arguments.query.strip():
        raise ValueError("the query is empty")
    with mvdb.open(arguments.file, readonly=True) as db:
        # The file first: a wrong name shows at once, not after seconds of loading a model.
        encoder = load_encoder(arguments.encoder)
        check_encoder(encoder, db.stats().encoder, arguments.file)
        started = time.monotonic()
        results = search(
            db, encoder, arguments.query, arguments.k, filter=filter, exact=arguments.exact
        )
        seconds = time.monotonic() - started
    if console.as_json:
        console.json(_as_json(arguments.file, arguments.query, results, seconds))
    elif results:
        show(results, console, arguments.file)
    elif not console.quiet:
        console.note("nothing found")
    return 0


def parse_filter(text: str | None) -> dict[str, Any] | None:
    """The value of ``--filter``."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"--filter: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError('--filter: must be a JSON object, as in \'{"path": "a.md"}\'')
    return value


def search(db: mvdb.Database, encoder: Encoder, query: str, k: int, **options: Any) -> list[Result]:
    """The hits for a query in words, with what matched in each."""
    vectors = encoder.encode_queries([query])[0]
    with db.snapshot() as snapshot:
        hits = snapshot.search(vectors, k, **options)
        return [
            Result(rank, hit.id, hit.score, hit.text, dict(hit.metadata or {}), matches)
            for rank, hit in enumerate(hits, start=1)
            for matches in [_matches(snapshot, encoder, vectors, hit)]
        ]


def _matches(snapshot: mvdb.Snapshot, encoder: Encoder, vectors: Any, hit: mvdb.Hit) -> list[Match]:
    # Optional for encoders: the span of characters that each of a document's rows stands for.
    document_tokens = getattr(encoder, "document_tokens", None)
    if document_tokens is None or hit.text is None:
        return []
    explanation = snapshot.explain(vectors, hit.id)
    return matched_words(hit.text, document_tokens(hit.text), explanation.scores)


def _as_json(file: Path, query: str, results: list[Result], seconds: float) -> dict[str, Any]:
    return {
        "file": str(file),
        "query": query,
        "seconds": round(seconds, 4),
        "hits": [result.as_json() for result in results],
    }
