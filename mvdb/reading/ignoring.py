"""Which files and folders are left out: hidden ones, those of tools, and what ignore files name.

Ignore files have the rules of gitignore (https://git-scm.com/docs/gitignore): `.gitignore` and, for
search alone, `.ignore`. The file nearest to a path decides, the last matching line of it. Those of
the folders above a source count up to the root of its git repository."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvdb.extras import remedy
from mvdb.reading.files import read_file
from mvdb.reading.unreadable import Unreadable, told

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILES = (".gitignore", ".ignore")
"""The second overrules the first."""
_OF_TOOLS = frozenset({"node_modules", "__pycache__", "venv", "bower_components"})
_ENVIRONMENT = "pyvenv.cfg"
"""A folder with this file is an environment of Python, whatever its name."""
MOST_BYTES = 1 << 20
"""Of an ignore file; a larger one is not read."""
_STARS = re.compile(r"\*+")
MOST_STARS = 3
"""Single ones of a line that is heeded. With three, a name of 250 characters takes up to 0.3 s to
match; for each more, 50 times as long."""
MOST_DOUBLE_STARS = 2
"""With three, a path of 1,500 folders takes 16 s."""
MOST_LINES = 5_000
"""Of an ignore file: each is tried on each name."""


@dataclass(frozen=True)
class _Rules:
    """The rules of one folder's ignore file."""

    folder: str
    spec: GitIgnoreSpec

    def decides(self, path: str, *, is_folder: bool) -> bool | None:
        """Whether a path below the folder is left out; None without a matching line."""
        relative = os.path.relpath(path, self.folder).replace(os.sep, "/")
        return self.spec.check_file(relative + "/" * is_folder).include

    def without_those_for(self, source: str) -> _Rules:
        """The rules but those by which `source` itself is left out: who names it wants it."""
        place = os.path.relpath(source, self.folder).replace(os.sep, "/") + "/"
        kept = [one for one in self.spec.patterns if not one.include or not one.match_file(place)]
        return _Rules(self.folder, type(self.spec)(kept))


class Ignoring:
    """What is left out below one source. Folders are entered before what is in them."""

    def __init__(self, source: Path, *, ignore: bool = True, hidden: bool = False) -> None:
        """ignore: keep the rules of ignore files, and leave out the folders of tools. hidden: take
        what begins with a dot, too."""
        self._ignore = ignore
        self._hidden = hidden
        self._rules: dict[str, tuple[_Rules, ...]] = {}
        if ignore:
            top = os.path.abspath(source)
            self._rules[top] = tuple(_above(top))

    def enter(self, folder: str, names: Sequence[str]) -> None:
        """Reads the ignore files among the names of a folder."""
        if not self._ignore:
            return
        folder = os.path.abspath(folder)
        outer = self._rules.get(folder) or self._rules.get(os.path.dirname(folder), ())
        self._rules[folder] = (*outer, *_rules_of(folder, names))

    def leaves_out(self, folder: str, name: str, *, is_folder: bool) -> bool:
        """Whether a name of an entered folder is left out."""
        if not self._hidden and name.startswith("."):
            return True
        if not self._ignore:
            return False
        path = os.path.join(os.path.abspath(folder), name)
        if is_folder and (name in _OF_TOOLS or name == ".git" or _is_environment(path)):
            return True
        for rules in reversed(self._rules[os.path.abspath(folder)]):
            decided = rules.decides(path, is_folder=is_folder)
            if decided is not None:
                return decided
        return False


def _is_environment(path: str) -> bool:
    return os.path.exists(os.path.join(path, _ENVIRONMENT))


def _above(top: str) -> Iterator[_Rules]:
    """The rules of the folders above a source, outermost first, as far as its repository goes."""
    folders = [top]
    while not os.path.exists(os.path.join(folders[-1], ".git")):
        parent = os.path.dirname(folders[-1])
        if parent == folders[-1]:
            return  # in no repository
        folders.append(parent)
    for folder in reversed(folders[1:]):
        for rules in _rules_of(folder, IGNORE_FILES):
            yield rules.without_those_for(top)


def _rules_of(folder: str, names: Sequence[str]) -> Iterator[_Rules]:
    for name in IGNORE_FILES:
        if name not in names:
            continue
        try:
            text = read_file(Path(folder, name), MOST_BYTES).decode("utf-8", "replace")
        except Unreadable:
            continue  # of no right to read, a pipe: as if it were not there
        lines = text.splitlines()[:MOST_LINES]
        spec = _spec(lines)
        if spec is not None:
            yield _Rules(folder, spec)


def _spec(lines: Sequence[str]) -> GitIgnoreSpec | None:
    try:
        from pathspec import GitIgnoreSpec
    except ImportError:
        message = "ignore files are not read: pathspec is not installed"
        warnings.warn(f"{message} ({remedy('cli')})", stacklevel=2)
        return None
    patterns: list[Any] = []
    for line in lines:
        stars = [] if line.startswith("#") else _STARS.findall(line)
        single = stars.count("*")
        if single > MOST_STARS or len(stars) - single > MOST_DOUBLE_STARS:
            message = f"a line of an ignore file has too many stars and is not heeded: {told(line)}"
            warnings.warn(message, stacklevel=2)
            continue
        with suppress(ValueError):  # git passes over a malformed line too
            patterns += GitIgnoreSpec.from_lines([line]).patterns
    return GitIgnoreSpec(patterns)
