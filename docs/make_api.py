"""Writes docs/api.md, the API reference, from the docstrings of mvdb.

    python docs/make_api.py            # write
    python docs/make_api.py --check    # fail if the file is not what would be written

The output depends on the source alone: members come in the order in which they are defined.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import mvdb  # noqa: E402
from mvdb import encoders, evaluation, folders, importers, reading  # noqa: E402
from mvdb.api.document_reader import DocumentReader  # noqa: E402
from mvdb.api.readable import Readable  # noqa: E402

TARGET = HERE / "api.md"
MODULES = (encoders, folders, reading, importers, evaluation)
"""Whose public names have a section each."""

HEAD = """\
<!-- Made by docs/make_api.py from the docstrings. Do not edit. -->

# API reference

All names are in the module `mvdb`, but those of the [last sections](#mvdbencoders), a module each.
Names that begin with an underscore and names not listed here may change at any time.

Words: a *document* is the unit of storage and of search results and has an id. Its *token vectors*
are a matrix `(n_tokens, dim)` of unit rows. *MaxSim* is the sum, over the tokens of the query, of
the greatest dot product with a token of the document. *Candidates* are the documents that are
scored with their stored vectors. More words: [Glossary](engine.md#glossary).

In signatures `Id` is `str | int`, `Filter` a mapping (see [Filters](howto-filters.md)), `Texts` a
`str` or a sequence of `str | None`, `Metadata` a mapping, `MetadataInput` one mapping or a sequence
of `Mapping | None`, `TenantInput` a `str` or a sequence of them. `Progress` is a function of the
units done and their total (`int | None`), `StepProgress` a function of a `str`; `Cancel` is an
object with `is_set`, such as a `threading.Event`, or a function whose true value cancels. `Floats`
is a float32 array.
"""

AFTER_DATABASE = """\
Also: `len(db)` is the number of documents, `id in db` is true if a document has that id, and
`with mvdb.open(...) as db:` closes the database at the end of the block.
"""

VALUES = """\
Results of calls are independent of the database, unless stated otherwise. They can be pickled and
copied, and `to_dict()` gives the fields as JSON values: arrays as lists, hits as dicts.
"""

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):$")
_ENTRY = re.compile(r"^([\w*]+(?:, [\w*]+)*)(?::\s+(.*)|\.?)$")
_SESSION = re.compile(r"(>>>|\.\.\.) ")
_DOCTEST = re.compile(r"\s+# doctest: .*")
_DUNDER = re.compile(r"(?<!`)\b(__\w+__)\b(?!`)")


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="write docs/api.md")
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    options = parser.parse_args(arguments)
    text = reference()
    if not options.check:
        TARGET.write_text(text, encoding="utf-8", newline="\n")
        return 0
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    print(f"{TARGET} is stale: run python docs/make_api.py", file=sys.stderr)
    return 1


def reference() -> str:
    """The whole page."""
    exported = {name: getattr(mvdb, name) for name in mvdb.__all__}
    functions = {name: value for name, value in exported.items() if inspect.isfunction(value)}
    classes = {name: value for name, value in exported.items() if inspect.isclass(value)}
    errors = {name: value for name, value in classes.items() if issubclass(value, mvdb.Error)}
    handles = {
        name: value
        for name, value in classes.items()
        if issubclass(value, Readable) and value is not mvdb.Database
    }
    values = classes.keys() - errors.keys() - handles.keys() - {"Database"}
    parts = [HEAD, "## Functions\n"]
    parts += [function(name, value, prefix="mvdb.") for name, value in sorted(functions.items())]
    parts += [class_page("Database", mvdb.Database), AFTER_DATABASE]
    parts += [class_page(name, value, shared=False) for name, value in sorted(handles.items())]
    parts += [f"## Values\n\n{VALUES}"]
    parts += [value_page(name, classes[name]) for name in sorted(values)]
    parts += [error_table(errors), *map(module_page, MODULES)]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def class_page(name: str, cls: type, *, shared: bool = True) -> str:
    """A class with its methods; `shared`: with those of `Readable` too."""
    lines = [f"## {name}\n", markdown(doc(cls))]
    reading = [*members(Readable), *members(DocumentReader)]
    if not shared:
        names = ", ".join(f"`{member}`" for member, _ in reading)
        lines.append(f"It has the reading methods of [Database](#database): {names}.\n")
    for part in cls.__mro__:
        if part not in Readable.__mro__:
            lines += [entry(member, value) for member, value in members(part)]
    if shared:
        for member, value in reading:
            lines.append(entry(member, value))
    return "\n".join(lines)


def value_page(name: str, cls: type) -> str:
    """A class whose objects calls return."""
    lines = [f"### {name}\n", markdown(doc(cls))]
    if dataclasses.is_dataclass(cls) and "Attributes:" not in doc(cls):
        fields = dataclasses.fields(cls)
        lines.append("".join(f"- `{field.name}`: `{field.type}`\n" for field in fields))
    for member, value in members(cls):
        if inspect.isfunction(value) or inspect.getdoc(value):
            lines.append(entry(member, value, level=4))
    return "\n".join(lines)


def error_table(errors: dict[str, type]) -> str:
    """All exceptions with what they inherit."""
    rows = ["## Errors\n", "| exception | is also a | when |", "|---|---|---|"]
    for name, cls in sorted(errors.items(), key=lambda item: (item[0] != "Error", item[0])):
        bases = [base.__name__ for base in cls.__bases__ if base is not mvdb.Error]
        builtin = ", ".join(f"`{base}`" for base in bases if base != "Exception") or "-"
        rows.append(f"| `{name}` | {builtin} | {inline(' '.join(doc(cls).split()))} |")
    return "\n".join([*rows, ""])


def module_page(module: ModuleType) -> str:
    """A module with public names of its own."""
    lines = [f"## {module.__name__}\n", markdown(doc(module))]
    for name in module.__all__:
        value = getattr(module, name)
        full = f"{module.__name__}.{name}"
        if inspect.isfunction(value):
            lines.append(function(name, value, prefix=f"{module.__name__}."))
        elif inspect.isclass(value):
            lines += [f"### {full}\n", markdown(doc(value))]
            lines += [
                entry(member, inner, level=4)
                for member, inner in members(value)
                if inspect.getdoc(inner)
            ]
        else:
            lines.append(f"### {full}\n\n`{value!r}`\n")
    return "\n".join(lines)


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public functions and properties that the class itself defines, in that order."""
    for name, value in vars(cls).items():
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
            yield name, value


def entry(name: str, value: Any, level: int = 3) -> str:
    """A method or a property."""
    if isinstance(value, property):
        kind = annotation(inspect.signature(value.fget).return_annotation) if value.fget else ""
        title = f"{'#' * level} {name}\n\n```text\n{name}: {kind}\n```\n"
        return f"{title}\n{markdown(doc(value))}"
    return function(name, value, level=level)


def function(name: str, value: Any, *, prefix: str = "", level: int = 3) -> str:
    """A function or a method with its signature."""
    title = f"{'#' * level} {prefix}{name}\n"
    return f"{title}\n```text\n{signature(prefix + name, value)}\n```\n\n{markdown(doc(value))}"


def signature(name: str, value: Any) -> str:
    """The signature, on one line where it fits."""
    described = inspect.signature(value)
    parts: list[str] = []
    star = False
    before = None
    for parameter in described.parameters.values():
        if before is parameter.POSITIONAL_ONLY and parameter.kind is not before:
            parts.append("/")
        before = None if parameter.name == "self" else parameter.kind
        if before is None:
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        star = star or parameter.kind is parameter.VAR_POSITIONAL
        marks = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}
        text = marks.get(parameter.kind, "") + parameter.name
        if parameter.annotation is not parameter.empty:
            text += f": {annotation(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {parameter.default!r}"
        parts.append(text)
    if before is inspect.Parameter.POSITIONAL_ONLY:
        parts.append("/")
    result = annotation(described.return_annotation)
    arrow = f" -> {result}" if result else ""
    line = f"{name}({', '.join(parts)}){arrow}"
    if len(line) <= 96:
        return line
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){arrow}"


def annotation(value: Any) -> str:
    """An annotation as it is written in the source."""
    if value is inspect.Signature.empty:
        return ""
    text = value if isinstance(value, str) else getattr(value, "__name__", repr(value))
    return text.replace("core.Floats", "Floats")


def doc(value: Any) -> str:
    """The docstring; an empty one is a fault of the source."""
    text = inspect.getdoc(value)
    if not text:
        raise SystemExit(f"{value!r} has no docstring")
    return text


def markdown(text: str) -> str:
    """A docstring as Markdown: its sections become lists."""
    result: list[str] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if lines[at].startswith(">>> "):
            end = next((n for n in range(at, len(lines)) if not _SESSION.match(lines[n])), None)
            session = [_DOCTEST.sub("", line) for line in lines[at:end]]
            result += ["```text", *session, "```"]
            at += len(session)
            continue
        found = _SECTION.match(lines[at])
        if not found:
            result.append(inline(lines[at]))
            at += 1
            continue
        block: list[str] = []
        at += 1
        while at < len(lines) and (not lines[at] or lines[at].startswith(" ")):
            block.append(lines[at])
            at += 1
        result += [f"**{found[1]}**", "", *section(found[1], block), ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(result)).strip("\n") + "\n"


def section(title: str, block: list[str]) -> list[str]:
    """The lines of a section, indented as in the docstring."""
    lines = [line for line in block if line.strip()]
    margin = min(len(line) - len(line.lstrip()) for line in lines)
    texts = [line[margin:] for line in lines]
    if title in ("Returns", "Yields"):
        return [inline(text) for text in texts]
    joined: list[str] = []
    for text in texts:
        if text.startswith(" ") and joined:
            joined[-1] += " " + text.strip()
        else:
            joined.append(text)
    return [item(text) for text in joined]


def item(text: str) -> str:
    """One entry of a section: ``name: meaning``, or names alone."""
    found = _ENTRY.match(text)
    if not found:
        return f"- {inline(text)}"
    names = ", ".join(f"`{name}`" for name in found[1].split(", "))
    return f"- {names}: {inline(found[2])}" if found[2] else f"- {names}"


def inline(text: str) -> str:
    """Roles and double backquotes as Markdown has them."""
    text = re.sub(r":\w+:`([^`]+)`", r"`\1`", text)
    return _DUNDER.sub(r"`\1`", text.replace("``", "`"))


if __name__ == "__main__":
    sys.exit(main())
