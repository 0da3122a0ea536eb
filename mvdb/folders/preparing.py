"""The second step: changed files are read and cut, and told from what is stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from mvdb import Database
from mvdb.documents.file_identity import Identity, any_of
from mvdb.folders.file_changes import Change, Found, effort_of
from mvdb.folders.looking import Looking, identity_of
from mvdb.folders.report import Report
from mvdb.folders.rules import Rules
from mvdb.folders.stored_files import StoredFiles
from mvdb.reading.cutting import cut
from mvdb.reading.files import content_hash, read_file
from mvdb.reading.formats import read_bytes
from mvdb.reading.passages import Passage
from mvdb.reading.unreadable import Unreadable
from mvdb.types import Id

MOST_KEPT = 64 << 20
"""Characters of passages kept from this step to the next. What is more is read and cut again."""

MOST_PROPERTIES = 4096
"""Bytes of a document's properties, which each of its passages keeps."""


class Preparing:
    """Reads the changed files."""

    def __init__(
        self,
        db: Database,
        stored: StoredFiles,
        looking: Looking,
        report: Report,
        most_bytes: int,
        rules: Rules,
        is_duplicate: Callable[[str], bool] | None,
    ) -> None:
        """is_duplicate: whether nearly the same text was seen before; None: that is not asked."""
        self._stored = stored
        self._looking = looking
        self._report = report
        self._most_bytes = most_bytes
        self._rules = rules
        self._db = db
        self._is_duplicate = is_duplicate
        self._kept = 0

    def prepare(self, found: Found) -> Change | None:
        """What is to be stored of a file; None if that is nothing."""
        try:
            data = read_file(found.path, self._most_bytes)
            found = replace(found, hash=content_hash(data))  # it may have changed since
            reading = read_bytes(found.path, data)
            passages = list(cut(reading.blocks, self._rules.cutting))
        except Unreadable as error:
            self._looking.refuse_file(found.path, error)
            return None
        properties, left_out = bounded(reading.metadata)
        for note in filter(None, (reading.note, left_out)):
            self._report.notes.append((str(found.path), note))
        metadata: dict[str, Any] = {"document": reading.title} if reading.title else {}
        metadata |= {"properties": properties} if properties else {}
        duplicates = self._duplicates(passages)
        passages = without(passages, duplicates)
        file = self._stored.at(found.path)
        before = tuple(file.versions) if file else ()
        if not passages:
            self._looking.seen.stale += before
            self._report.empty += 1
            return None
        new = identity_of(found.path, found.root, found.hash, len(passages), self._rules.name)
        new = self._placed(new, before)
        effort = sum(effort_of(passage.encoded) for passage in passages)
        change = Change(found, new, before, metadata, effort, duplicates, passages)
        self._kept += sum(len(passage.text) for passage in passages)
        return change if self._kept <= MOST_KEPT else replace(change, passages=None)

    def _duplicates(self, passages: Iterable[Passage]) -> frozenset[int]:
        if self._is_duplicate is None:
            return frozenset()
        texts = enumerate(passage.text for passage in passages)
        found = frozenset(number for number, text in texts if self._is_duplicate(text))
        self._report.duplicates += len(found)
        return found

    def _placed(self, new: Identity, before: tuple[Identity, ...]) -> Identity:
        """The new version with the place and the ids of those before it, where these are free."""
        own: set[Id] = set()
        if before:
            last = before[-1]
            new = replace(new, root=last.root, path=last.path, stem=last.stem)
            own.update(self._db.ids(any_of(before)))
        taken = self._stored.stems - {one.stem for one in before}
        stem, number = new.stem, 1
        while new.stem in taken or any(id not in own and id in self._db for id in new.ids()):
            number += 1
            new = replace(new, stem=f"{stem}~{number}")
        self._stored.stems.add(new.stem)
        return new

    def passages(self, change: Change) -> list[Passage] | None:
        """The passages of a change, read again where they were not kept; None if the file is not
        any more what it was."""
        if change.passages is not None:
            return list(change.passages)
        try:
            data = read_file(change.found.path, self._most_bytes)
            if content_hash(data) == change.found.hash:
                blocks = read_bytes(change.found.path, data).blocks
                return without(list(cut(blocks, self._rules.cutting)), change.left_out)
        except Unreadable:
            pass
        return None


def bounded(properties: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """What each passage keeps of the properties of its document, and a note on what it does not."""
    kept: dict[str, Any] = {}
    size = 0
    for name, value in properties.items():
        size += len(json.dumps({name: value}, ensure_ascii=False).encode())
        if size > MOST_PROPERTIES:
            return kept, f"of its properties those from {name!r} on are left out: they are too long"
        kept[name] = value
    return kept, ""


def without(passages: list[Passage], left_out: frozenset[int]) -> list[Passage]:
    """The passages whose numbers, from 0, are not left out."""
    return [one for number, one in enumerate(passages) if number not in left_out]
