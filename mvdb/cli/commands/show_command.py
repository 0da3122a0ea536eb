"""``mvdb ls``: the indexed files. ``mvdb show``: a document, or the passages of a file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import mvdb
from mvdb.cli.chosen import chosen, shown
from mvdb.cli.commands.grammar import (
    Commands,
    add_collection,
    add_command,
    add_file,
    add_tenant,
    natural,
)
from mvdb.cli.console import BOLD, PLAIN, Console, count, one_line, printable, size
from mvdb.cli.files_by_name import FilesByName
from mvdb.cli.named import Named
from mvdb.cli.nearest import did_you_mean
from mvdb.folders import IndexedFile

_LISTED = ("path", "root", "passages", "size", "modified")
_INTERNAL = ("indexed",)
"""Fields of a passage that the indexer keeps for itself."""
_LS = """\
Lists the indexed files, those below PREFIX if one is named, each with its number of passages, its
size and the time of its last change (UTC)."""
_SHOW = """\
Prints the text of a document with its metadata, or all passages of an indexed file in their
order."""


def add_parsers(commands: Commands) -> None:
    parser = add_command(commands, "ls", list_files, "list the indexed files", _LS)
    add_file(parser)
    help = "a folder or a file, as ls prints it (default: all)"
    parser.add_argument("prefix", metavar="PREFIX", nargs="?", help=help)
    add_collection(parser)
    help = "print a document, or the passages of a file"
    parser = add_command(commands, "show", show, help, _SHOW)
    add_file(parser)
    help = "the id of a document, or the path of an indexed file"
    parser.add_argument("name", metavar="ID|PATH", help=help)
    help = "also N passages of the same file before and after the one with this id"
    parser.add_argument("--context", type=natural, default=0, metavar="N", help=help)
    add_collection(parser)
    add_tenant(parser)
    parser.add_argument("--integer", action="store_true", help="the id is an integer, not a string")


def list_files(arguments: argparse.Namespace, console: Console) -> None:
    prefix = arguments.prefix
    with chosen(arguments, readonly=True) as db:
        stored = _files(db, arguments)
        found = stored.all if prefix is None else stored.below(prefix)
        others = len(db) - sum(one.passages for one in stored.all)
        if prefix is not None and not found:
            raise mvdb.NotFoundError(
                f"{shown(arguments)}: no indexed file or folder {prefix!r}"
                f"{did_you_mean(prefix, stored.names())}"
            )
    if console.as_json:
        files = [{name: getattr(one, name) for name in _LISTED} for one in found]
        console.json({"file": str(arguments.file), "files": files, "others": others})
        return
    for line in _table([(stored.name(one), one) for one in found]):
        console.text(line)
    passages = sum(one.passages for one in found)
    total = f"{count(len(found), 'file')}, {count(passages, 'passage')}"
    other = f"{count(others, 'other document')}, not of a file"
    console.summary(f"{total}; {other}" if others and prefix is None else total)


def _files(db: mvdb.Database, arguments: argparse.Namespace) -> FilesByName:
    stored = FilesByName(db)
    try:
        stored.all  # noqa: B018  (read here: the call says whether tenants are separated)
    except mvdb.InvalidInputError as error:
        raise mvdb.InvalidInputError(
            f"{shown(arguments)}: documents of tenants are of no file; mvdb list lists those of a "
            "tenant"
        ) from error
    return stored


def _table(files: Sequence[tuple[str, IndexedFile]]) -> list[str]:
    """A line for each file, its name last."""
    rows = [
        (
            f"{one.passages:,}",
            size(one.size),
            one.modified[:16].replace("T", " "),
            f"{BOLD}{one_line(name)}{PLAIN}",
        )
        for name, one in files
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return [
        "  ".join([*(cell.rjust(n) for cell, n in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]


def show(arguments: argparse.Namespace, console: Console) -> None:
    name, around = arguments.name, arguments.context
    with chosen(arguments, readonly=True) as db:
        named = Named(db, arguments.tenant)
        document = named.document(int(name) if arguments.integer else name)
        if document is None:
            files = [] if arguments.integer else named.files(name)
            if len({one.path for one in files}) != 1:
                raise mvdb.NotFoundError(_reason(arguments, named, files))
            documents = [passage for one in files for passage in named.passages(one)]
        else:
            documents = named.around(document, around)
    if console.as_json:
        shown_ones = [one.to_dict() for one in documents]
        console.json({"file": str(arguments.file), "documents": shown_ones})
        return
    common = _common(documents) if len(documents) > 1 else {}
    for line in _rows(common):
        console.text(line)
    for number, one in enumerate(documents):
        if number or common:
            console.text("")
        _print(one, common, console)


def _reason(arguments: argparse.Namespace, named: Named, files: Sequence[IndexedFile]) -> str:
    """Why a name is not that of one document or one file."""
    name = arguments.name
    if files:
        number = count(len(files), "file")
        return f"{name} is a folder of {number}: mvdb ls {arguments.file} {name} lists them"
    return f"{shown(arguments)}: no document and no indexed file {name!r}{named.hint(name)}"


def _common(documents: Sequence[mvdb.Document]) -> dict[str, Any]:
    """The metadata that all documents share."""
    first, *rest = [one.metadata or {} for one in documents]
    return {
        name: value
        for name, value in first.items()
        if all(name in other and other[name] == value for other in rest)
    }


def _print(document: mvdb.Document, common: dict[str, Any], console: Console) -> None:
    console.text(f"{BOLD}{one_line(str(document.id))}{PLAIN}")
    own = {name: v for name, v in (document.metadata or {}).items() if name not in common}
    for line in _rows(own):
        console.text(line)
    console.text("")
    console.text(printable("(no text stored)" if document.text is None else document.text))


def _rows(metadata: dict[str, Any]) -> list[str]:
    """Metadata, a line for each field."""
    fields = {one_line(name): v for name, v in metadata.items() if name not in _INTERNAL}
    width = max(map(len, fields), default=0)
    return [f"  {name:{width}}  {_value(value)}".rstrip() for name, value in fields.items()]


def _value(value: Any) -> str:
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
