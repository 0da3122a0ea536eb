"""Commands that ask no query: count, facets, list, tenants."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from mvdb.cli.chosen import chosen
from mvdb.cli.commands.grammar import (
    Commands,
    add_collection,
    add_command,
    add_file,
    add_filter,
    add_tenant,
    parsed_filter,
    positive,
)
from mvdb.cli.console import BOLD, PLAIN, Console, one_line
from mvdb.cli.hints import near_fields, note_unknown_fields

_NEXT = "--after"


def add_parsers(commands: Commands) -> None:
    parser = add_command(commands, "count", count_documents, "print how many documents there are")
    add_file(parser)
    add_collection(parser)
    add_filter(parser.add_argument)
    add_tenant(parser)
    parser = add_command(
        commands, "facets", facets, "print the values of a metadata field, the most frequent first"
    )
    add_file(parser)
    add_collection(parser)
    parser.add_argument("field", metavar="FIELD", help="path of the field: lang, or author.name")
    add_filter(parser.add_argument)
    add_tenant(parser)
    _add_limit(parser, 20, "values")
    parser = add_command(commands, "list", list_documents, "list documents, page by page")
    add_file(parser)
    add_collection(parser)
    add_filter(parser.add_argument)
    add_tenant(parser)
    help = "order by the values of a metadata field (default: by id)"
    parser.add_argument("--order-by", metavar="FIELD", help=help)
    parser.add_argument("--descending", action="store_true", help="greatest values first")
    help = "begin behind this document, the last one of the page before"
    parser.add_argument("--after", metavar="ID", help=help)
    help = "the id of --after is an integer, not a string"
    parser.add_argument("--integers", action="store_true", help=help)
    _add_limit(parser, 20, "documents")
    about = "print the tenants of a database, each with the number of its documents"
    parser = add_command(commands, "tenants", list_tenants, about)
    add_file(parser)
    add_collection(parser)


def _add_limit(parser: argparse.ArgumentParser, default: int, what: str) -> None:
    help = f"number of {what} (default {default})"
    parser.add_argument("--limit", type=positive, default=default, metavar="N", help=help)


def count_documents(arguments: argparse.Namespace, console: Console) -> None:
    filter = parsed_filter(arguments.filter)
    with chosen(arguments, readonly=True) as db:
        number = db.count(filter, tenant=arguments.tenant)
        note_unknown_fields(db, arguments, console, found=number > 0)
    console.result(f"{number}", {"file": str(arguments.file), "count": number})


def facets(arguments: argparse.Namespace, console: Console) -> None:
    filter = parsed_filter(arguments.filter)
    with chosen(arguments, readonly=True) as db:
        found = db.facets(
            arguments.field, filter=filter, tenant=arguments.tenant, limit=arguments.limit
        )
        near = "" if found else near_fields(db, arguments.field, arguments.tenant)
    if found:
        console.result(_counted([(_shown(value), number) for value, number in found]))
    elif not console.as_json and not console.quiet:
        console.note(f"no document has a value of {one_line(arguments.field)}{near}")
    values = [{"value": value, "count": number} for value, number in found]
    if console.as_json:
        console.json({"file": str(arguments.file), "field": arguments.field, "values": values})


def _counted(rows: Sequence[tuple[str, int]]) -> str:
    """A line for each name, its number in front."""
    width = max(len(f"{number:,}") for _, number in rows)
    return "\n".join(f"{number:>{width},}  {name}" for name, number in rows)


def list_tenants(arguments: argparse.Namespace, console: Console) -> None:
    with chosen(arguments, readonly=True) as db:
        tenants = db.tenants()
    if console.as_json:
        console.json({"file": str(arguments.file), "tenants": tenants})
    elif tenants:
        console.result(_counted([(one_line(name), number) for name, number in tenants.items()]))
    elif not console.quiet:
        console.note("no tenants")


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
                tenant=arguments.tenant,
                order_by=arguments.order_by,
                descending=arguments.descending,
                after=after,
                limit=arguments.limit,
            )
        )
        note_unknown_fields(db, arguments, console, found=bool(found))
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
