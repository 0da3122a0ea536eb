"""What a document says of itself at its very beginning, above its text.

- YAML between lines ``---`` (Jekyll, Obsidian, Quarto), ended by ``---`` or ``...``;
- TOML between lines ``+++`` (Hugo, Zola);
- keywords of Org (``#+TITLE: ...``)."""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from typing import Any, NamedTuple

from mvdb.extras import remedy
from mvdb.reading.json_values import NoJsonError, json_object
from mvdb.reading.yaml_values import parse_yaml

MOST_FRONT_MATTER = 1 << 16
"""Characters; a longer head is text."""
_MOST_DOTS = 64
"""Of a line of TOML: dotted keys take time with the square of their parts."""
_FENCE = re.compile(r"(---|\+\+\+)[ \t]*\n")
_CLOSES = {
    "---": re.compile(r"^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.MULTILINE),
    "+++": re.compile(r"^\+\+\+[ \t]*(?:\n|\Z)", re.MULTILINE),
}
_ORG = re.compile(r"#\+([A-Za-z_]+):[ \t]*(.*)")
_ORG_KEYS = frozenset(
    [
        "title",
        "subtitle",
        "author",
        "email",
        "date",
        "description",
        "keywords",
        "filetags",
        "language",
        "category",
    ]
)


class Headed(NamedTuple):
    """A text whose front matter is blanked, so that its lines keep their numbers; the front matter;
    what a user is told, empty if nothing."""

    text: str
    metadata: dict[str, Any]
    note: str = ""


def without_front_matter(text: str) -> Headed:
    """The text, and the YAML or TOML that it begins with. What is malformed stays text, with a
    note; so does what is no mapping, without one: a rule between paragraphs begins so too."""
    opened = _FENCE.match(text)
    if opened is None:
        return Headed(text, {})
    kind = opened[1]
    most = opened.end() + MOST_FRONT_MATTER
    closed = _CLOSES[kind].search(text[:most], opened.end())
    if closed is None:
        return Headed(text, {})
    source = text[opened.end() : closed.start()]
    if not source.strip():
        return Headed(_blanked(text, closed.end()), {})
    try:
        value = parse_yaml(source) if kind == "---" else _parsed_toml(source)
        if not isinstance(value, dict):
            return Headed(text, {})
        metadata = json_object(value)
    except NoJsonError as error:
        return Headed(text, {}, f"front matter is read as text: {error}")
    except ImportError as error:
        name = getattr(error.__cause__, "name", None) or error.name
        missing = f"{name} is not installed ({remedy('cli')})"
        warnings.warn(f"front matter is read as text: {missing}", stacklevel=2)
        return Headed(text, {})
    return Headed(_blanked(text, closed.end()), metadata)


def without_org_keywords(text: str) -> Headed:
    """The text of an Org document, and the keywords above its first line of text."""
    metadata: dict[str, str] = {}
    blank = at = 0
    while at < min(len(text), MOST_FRONT_MATTER):
        end = text.find("\n", at) + 1 or len(text)
        line = text[at:end].strip()
        found = _ORG.fullmatch(line)
        if found and found[1].lower() in _ORG_KEYS:
            key = found[1].lower()
            # A keyword may be given again: the values belong together.
            metadata[key] = f"{metadata[key]} {found[2]}" if key in metadata else found[2]
            blank = end
        elif line and not line.startswith("#"):
            break
        at = end
    try:
        return Headed(_blanked(text, blank), json_object(metadata))
    except NoJsonError as error:
        return Headed(text, {}, f"keywords are read as text: {error}")


def _blanked(text: str, end: int) -> str:
    return "\n" * text.count("\n", 0, end) + text[end:]


def _parsed_toml(source: str) -> Any:
    """The value of a TOML document; NoJsonError if it is malformed."""
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    if any(line.count(".") > _MOST_DOTS for line in source.split("\n")):
        raise NoJsonError(f"a line has more than {_MOST_DOTS} dots")
    try:
        return toml.loads(source)
    except (ValueError, RecursionError) as error:
        raise NoJsonError(" ".join(str(error).split())[:100]) from error
