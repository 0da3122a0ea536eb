"""Commands that ask no query: count, facets, list."""

from __future__ import annotations

import argparse
from typing import Any

from mvdb.cli.chosen import chosen
from mvdb.cli.commands.grammar import (
    Commands,
    add_collection,
    add_command,
    add_file,
    add_filter,
    parsed_filter,
    positive,
)
from mvdb.cli.console import BOLD, PLAIN, Console, one_line

_NEXT = "--after"


def add_parsers(commands: Commands) -> None:
    parser = add_command(commands, "count", count_documents, "print how many documents there are")
    add_file(parser)
    add_collection(parser)
    add_filter(parser.add_argument)
    parser = add_command(
        commands, "facets", facets, "print the values of a metadata field, the most frequent first"
    )
    add_file(parser)
    add_collection(parser)
    parser.add_argument("field", metavar="FIELD", help="path of the field: lang, or author.name")
    add_filter(parser.add_argument)
    _add_limit(parser, 20, "values")
    parser = add_command(commands, "list", list_documents, "list documents, page by page")
    add_file(parser)
    add_collection(parser)
    add_filter(parser.add_argument)
    help = "order by the values of a metadata field (default: by id)"
    parser.add_argument("--order-by", metavar="FIELD", help=help)
    parser.add_argument("--descending", action="store_true", help="greatest values first")
    help = "begin behind this document, the last one of the page before"
    parser.add_argument("--after", metavar="ID", help=help)
    help = "the id of --after is an integer, not a string"
    parser.add_argument("--integers", action="store_true", help=help)
    _add_limit(parser, 20, "documents")


def _add_limit(parser: argparse.ArgumentParser, default: int, what: str) -> None:
    help = f"number of {what} (default {default})"
    parser.add_argument("--limit", type=positive, default=default, metavar="N", help=help)


def count_documents(arguments: argparse.Namespace, console: Console) -> None:
    filter = parsed_filter(arguments.filter)
    with chosen(arguments, readonly=True) as db:
        number = db.count(filter)
    console.result(f"{number}", {"file": str(arguments.file), "count": number})


def facets(arguments: argparse.Namespace, console: Console) -> None:
    filter = parsed_filter(arguments.filter)
    with chosen(arguments, readonly=True) as db:
        found = db.facets(arguments.field, filter=filter, limit=arguments.limit)
    rows = [(f"{number:,}", _shown(value)) for value, number in found]
    width = max((len(number) for number, _ in rows), default=0)
    if rows:
        console.result("\n".join(f"{number:>{width}}  {value}" for number, value in rows))
    elif not console.as_json and not console.quiet:
        console.note(f"no document has a value of {one_line(arguments.field)}")
    values = [{"value": value, "count": number} for value, number in found]
    if console.as_json:
        console.json({"file": str(arguments.file), "field": arguments.field, "values": values})


def _shown(value: Any) -> str:
    words = {None: "null", False: "false", True: "true"}
    is_word = value is None or isinstance(value, bool)
    return words[value] if is_word else one_line(str(value))


def list_documents(arguments: argparse.Namespace, console: Console) -> None:
    filter = parsed_filter(arguments.filter)
    after = arguments.after
    if after is not None and arguments.integers:
        after = int(after)
    with chosen(arguments, readonly=True) as db:
        found = list(
            db.documents(
                filter,
                order_by=arguments.order_by,
                descending=arguments.descending,
                after=after,
                limit=arguments.limit,
            )
        )
    for document in found:
        name, text = one_line(str(document.id)), one_line((document.text or "")[: console.width])
        room = console.width - len(name) - 2
        console.text(f"{BOLD}{name}{PLAIN}  {text[: max(0, room)]}".rstrip())
    if console.as_json:
        console.json(
            {"file": str(arguments.file), "documents": [document.to_dict() for document in found]}
        )
    elif not found and not console.quiet:
        console.note("no documents")
