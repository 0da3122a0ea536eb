"""The options of `sync`, checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvdb import arguments
from mvdb.encoders import Encoder
from mvdb.errors import InvalidInputError, shown
from mvdb.extras import library
from mvdb.reading.cutting import Cutting

MOST_BYTES = 16 << 20
"""Of a file, by default."""

Source = str | os.PathLike[str]
EncoderInput = Encoder | Callable[[], Encoder] | None


@dataclass(frozen=True)
class Options:
    """How files are found, read, and kept. include, exclude: whether a path below a source, with
    forward slashes, matches; None: no rule."""

    root: Path | None
    include: Callable[[str], bool] | None
    exclude: Callable[[str], bool] | None
    ignore: bool
    hidden: bool
    most_bytes: int
    keep_unreadable: bool
    prune: bool
    cutting: Cutting | None
    dedupe: bool

    def takes(self, relative: str) -> bool:
        """Whether the rules of the caller take a file."""
        is_in = self.include is None or self.include(relative)
        return is_in and not (self.exclude is not None and self.exclude(relative))


def checked(
    *,
    root: Source | None = None,
    include: Iterable[str] | str | None = None,
    exclude: Iterable[str] | str | None = None,
    max_bytes: int = MOST_BYTES,
    ignore: bool = True,
    hidden: bool = False,
    keep_unreadable: bool = False,
    prune: bool = False,
    cutting: Cutting | None = None,
    dedupe: bool = False,
) -> Options:
    """The options that a caller gives; InvalidInputError for anything else."""
    if cutting is not None and not isinstance(cutting, Cutting):
        raise InvalidInputError(f"cutting: a Cutting or None is needed, not {shown(cutting)}")
    return Options(
        root=None if root is None else absolute("root", root),
        include=_patterns("include", include),
        exclude=_patterns("exclude", exclude),
        ignore=arguments.flag("ignore", ignore),
        hidden=arguments.flag("hidden", hidden),
        most_bytes=arguments.whole_number("max_bytes", max_bytes, 1, 1 << 40),
        keep_unreadable=arguments.flag("keep_unreadable", keep_unreadable),
        prune=arguments.flag("prune", prune),
        cutting=cutting,
        dedupe=arguments.flag("dedupe", dedupe),
    )


def sources_of(sources: Source | Sequence[Source]) -> list[Path]:
    """The absolute paths of files and folders."""
    if isinstance(sources, (str, os.PathLike)):
        sources = [sources]
    if isinstance(sources, bytes) or not isinstance(sources, Iterable):
        raise InvalidInputError(
            f"sources: a path or a sequence of paths is needed, not {shown(sources)}"
        )
    return [absolute("sources", source) for source in sources]


def absolute(name: str, path: Any) -> Path:
    """A path as it is from here, absolute; links stay."""
    try:
        text = os.fsdecode(path)
        os.fsencode(text)  # may fail on a surrogate that stands for no byte
    except (TypeError, UnicodeError):
        text = ""
    if not text or "\0" in text:
        raise InvalidInputError(
            f"{name}: the path of a file or folder is needed, not {shown(path)}"
        )
    return Path(os.path.abspath(text))


def _patterns(name: str, given: Iterable[str] | str | None) -> Callable[[str], bool] | None:
    if given is None:
        return None
    lines = [given] if isinstance(given, str) else given
    if not isinstance(lines, Iterable) or not all(isinstance(line, str) for line in lines):
        raise InvalidInputError(f"{name}: a sequence of patterns is needed, not {shown(given)}")
    lines = list(lines)
    if not lines:
        return None
    pathspec = library("pathspec", "cli", f"{name}: patterns need pathspec")
    try:
        spec = pathspec.GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise InvalidInputError(f"{name}: {error}") from error
    return lambda path: bool(spec.match_file(path))


def loader(encoder: EncoderInput) -> Callable[[], Encoder | None]:
    """A function that gives the encoder, made at its first call where a function was given."""
    if encoder is None or isinstance(encoder, Encoder):
        return lambda: encoder
    if not callable(encoder):
        raise InvalidInputError(
            f"encoder: an encoder, a function that makes one, or None is needed, not "
            f"{shown(encoder)}"
        )
    made: list[Encoder] = []

    def load() -> Encoder:
        if not made:
            made.append(encoder())
        return made[0]

    return load
