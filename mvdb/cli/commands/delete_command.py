"""``mvdb delete``: documents by their ids, files, folders, or a filter."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import mvdb
from mvdb.cli.chosen import chosen, shown
from mvdb.cli.commands.grammar import (
    Commands,
    add_collection,
    add_command,
    add_file,
    add_filter,
    add_tenant,
    add_timeout,
    parsed_filter,
)
from mvdb.cli.console import Console, count, one_line
from mvdb.cli.free_space import hint_to_compact
from mvdb.cli.hints import note_unknown_fields
from mvdb.cli.named import Named
from mvdb.cli.waiting import writing

_ABOUT = """\
Deletes documents by their ids; all passages of an indexed file, or of all files below a folder; or
the documents that a filter matches. If nothing is there under any of the names, it fails."""


def add_parsers(commands: Commands) -> None:
    help = "delete documents, files, or what a filter matches"
    parser = add_command(commands, "delete", delete, help, _ABOUT)
    add_file(parser)
    add_collection(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    help = "ids, or paths of indexed files and folders; what is not there is ignored"
    names = which.add_argument("names", metavar="ID|PATH", nargs="*", default=[], help=help)
    # A group wants it optional, but "*" would take no names at all in front of an option.
    names.nargs = "+"
    parser.words = "names"
    add_filter(which.add_argument, "delete the documents that match")
    add_tenant(parser)
    parser.add_argument("--integers", action="store_true", help="the ids are integers, not strings")
    help = "print what would be deleted, and delete nothing"
    parser.add_argument("--dry-run", action="store_true", help=help)
    add_timeout(parser)


def delete(arguments: argparse.Namespace, console: Console) -> None:
    filter = parsed_filter(arguments.filter)
    if arguments.dry_run:
        with chosen(arguments, readonly=True) as db:
            doomed = _Doomed(db, arguments, filter)
            note_unknown_fields(db, arguments, console, found=bool(doomed.ids))
        doomed.report(arguments, console, 0)
        return
    with chosen(arguments, create=False) as db:
        with writing(db, arguments, console) as txn:
            # What a filter matches need not be listed.
            doomed = _Doomed(db, arguments)
            named = {"ids": doomed.ids} if filter is None else {"filter": filter}
            deleted = txn.delete(**named, tenant=arguments.tenant)
        note_unknown_fields(db, arguments, console, found=deleted > 0)
        stats = db.stats()
    doomed.report(arguments, console, deleted)
    hint_to_compact(stats, arguments, console)


class _Doomed:
    """What the arguments name.

    Attributes:
        names: each with the number of documents that go with it.
        missing: names that nothing has, each with the end of a message about it."""

    def __init__(
        self,
        db: mvdb.Database,
        arguments: argparse.Namespace,
        filter: dict[str, Any] | None = None,
    ) -> None:
        """filter: the documents that it matches, too. Raises NotFoundError if there are names, and
        nothing is there under any of them."""
        self.names: dict[str, int] = {}
        self.missing: dict[str, str] = {}
        self._ids: dict[str | int, None] = {}
        for id in [] if filter is None else db.ids(filter, tenant=arguments.tenant):
            self._take(str(id), [id])
        named = Named(db, arguments.tenant)
        for name in dict.fromkeys(arguments.names):
            self._find(named, int(name) if arguments.integers else name)
        if not self.names and self.missing:
            name, near = next(iter(self.missing.items()))
            raise mvdb.NotFoundError(
                f"{shown(arguments)}: no document, file or folder {name!r}{near}; "
                "nothing was deleted"
            )

    @property
    def ids(self) -> list[str | int]:
        """Of all documents that go."""
        return list(self._ids)

    def _find(self, named: Named, name: str | int) -> None:
        if named.document(name) is not None:
            self._take(str(name), [name])
            return
        files = named.files(name) if isinstance(name, str) else []
        for file in files:
            self._take(named.name(file), named.ids(file))
        if not files:
            self.missing[str(name)] = named.hint(str(name))

    def _take(self, name: str, ids: Sequence[str | int]) -> None:
        self.names[name] = len(ids)
        self._ids |= dict.fromkeys(ids)

    def report(self, arguments: argparse.Namespace, console: Console, deleted: int) -> None:
        """Prints what has been deleted, or would be."""
        missing = len(self.missing)
        number = len(self._ids) if arguments.dry_run else deleted
        value = {"file": str(arguments.file), "deleted": deleted, "not_found": missing}
        if arguments.dry_run:
            value["would_delete"] = self.ids
            for name, documents in self.names.items():
                what = "" if documents == 1 else f"  {count(documents, 'passage')}"
                console.text(f"{one_line(name)}{what}")
        text = f"{count(number, 'document')} {'would be ' * arguments.dry_run}deleted"
        console.summary(text + (f", {missing:,} not found" if missing else ""), value)
        for name, near in self.missing.items():
            if near and not console.quiet:
                console.note(f"{name}: not found{near}")
