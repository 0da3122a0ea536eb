"""Reads and cuts every file of real folders and accounts for them, by kind:

    python -m tests.reading.real_trees [FOLDER ...]

Without folders: /usr/share/doc, the site-packages of the running Python, and the project. Exit code
1 if a reader failed, or files found and outcomes differ."""

from __future__ import annotations

import sys
import sysconfig
import time
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from mvdb.reading.cutting import cut
from mvdb.reading.files import read_file
from mvdb.reading.finding import find_files
from mvdb.reading.formats import has_reader, read_bytes
from mvdb.reading.unreadable import BINARY, FAILED, Unreadable
from tests.support.children import ROOT

MOST_BYTES = 16 << 20
_SHOWN = 12


@dataclass
class Account:
    """What became of the files of a folder."""

    found: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    endings: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    failures: list[str] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    passages: int = 0
    seconds: list[tuple[float, str]] = field(default_factory=list)
    binary: list[str] = field(default_factory=list)


def account(folder: Path) -> Account:
    """Reads a folder as the indexer does by default."""
    result = Account()

    def refused(path: Path, reason: str, kind: str) -> None:
        result.found += 1
        _count(result, path, kind)

    for path in find_files(folder, refused):
        result.found += 1
        start = time.process_time()
        try:
            reading = read_bytes(path, read_file(path, MOST_BYTES))
            passages = sum(1 for _ in cut(reading.blocks))
            result.passages += passages
            result.notes[reading.note] += 1
            _count(result, path, "passages" if passages else "empty")
        except Unreadable as error:
            _count(result, path, error.kind)
            if error.kind == FAILED:
                result.failures.append(f"{path}: {error}")
            elif error.kind == BINARY and has_reader(path):
                result.binary.append(str(path))
        result.seconds.append((time.process_time() - start, str(path)))
    return result


def _count(result: Account, path: Path, outcome: str) -> None:
    result.outcomes[outcome] += 1
    result.endings[outcome][path.suffix.lower()] += 1


def show(folder: Path, result: Account) -> None:
    """Prints an account."""
    spent = sum(seconds for seconds, _ in result.seconds)
    print(f"{folder}: {result.found:,} files, {result.passages:,} passages, {spent:.1f} s")
    for outcome, number in result.outcomes.most_common():
        kinds = result.endings[outcome].most_common(_SHOWN)
        print(f"  {outcome} {number:,}:", ", ".join(f"{kind or '-'} {n:,}" for kind, n in kinds))
    for note, number in result.notes.most_common(_SHOWN):
        if note:
            print(f"  note: {note} ({number:,})")
    for seconds, path in sorted(result.seconds, reverse=True)[:5]:
        print(f"  {seconds:.2f} s {path}")
    for path in result.binary[:_SHOWN]:
        print(f"  binary: {path}")
    for failure in result.failures:
        print(f"  failed: {failure}")


def main(folders: list[str]) -> int:
    """Runs the command."""
    warnings.simplefilter("ignore")
    places = [Path("/usr/share/doc"), Path(sysconfig.get_paths()["purelib"]), ROOT]
    faults = 0
    for folder in map(Path, folders) if folders else places:
        result = account(folder)
        show(folder, result)
        faults += len(result.failures) + (result.found != sum(result.outcomes.values()))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
