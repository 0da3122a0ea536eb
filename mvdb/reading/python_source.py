"""Python source, whole, cut at its classes and functions; or its docstrings alone, with their
signatures. Nothing is imported or run."""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import groupby

from mvdb.reading.blocks import Block, paragraphs
from mvdb.reading.code import read_code

_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_MAX_SIGNATURE = 300
MOST_PARSED = 400_000
"""Characters of source that is parsed: a syntax tree takes up to 1,200 bytes for each."""


@dataclass(frozen=True)
class Docstring:
    """A docstring in its place.

    Attributes:
        name: names of the enclosing classes and of the object; empty for the module.
        signature: ``class A(B):`` or ``def f(x: int) -> str:``; empty for the module.
        text: the docstring, indentation cleaned.
        line: line of the ``def`` or ``class``; of the docstring itself for the module.
        text_line, end_line: the docstring's first and last line."""

    name: tuple[str, ...]
    signature: str
    text: str
    line: int
    text_line: int
    end_line: int


def docstrings(source: str) -> list[Docstring]:
    """The docstrings in Python source, in its order; functions within functions are left out.

    SyntaxError: `source` is not Python of this version, or is nested too deeply."""
    try:
        return list(_walk(_parsed(source), ()))
    except RecursionError as error:
        raise SyntaxError(str(error)) from error


def _parsed(source: str) -> ast.Module:
    if len(source) > MOST_PARSED:
        raise SyntaxError(f"more than {MOST_PARSED:,} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like in the source
            return ast.parse(source)
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(str(error)) from error


def _walk(node: ast.Module | _Definition, name: tuple[str, ...]) -> Iterator[Docstring]:
    raw = ast.get_docstring(node, clean=False) or ""
    if raw.strip():
        literal = node.body[0]
        # An escape or a continuation in the literal shifts this by a line: good enough to jump to.
        start = literal.lineno + raw[: len(raw) - len(raw.lstrip())].count("\n")
        line = literal.lineno if isinstance(node, ast.Module) else node.lineno
        end = literal.end_lineno or start
        yield Docstring(name, _signature(node), inspect.cleandoc(raw), line, start, end)
    if isinstance(node, (ast.Module, ast.ClassDef)):
        for child in _statements(node.body):
            if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from _walk(child, (*name, child.name))


def _statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The statements of a body, those under a condition (of the platform, say) included."""
    for child in body:
        yield child
        if isinstance(child, (ast.If, ast.Try)):
            yield from _statements([*child.body, *child.orelse, *getattr(child, "handlers", ())])
        elif isinstance(child, ast.ExceptHandler):
            yield from _statements(child.body)


def _signature(node: ast.Module | _Definition) -> str:
    if isinstance(node, ast.Module):
        return ""
    bare = copy(node)
    bare.body, bare.decorator_list = [ast.Pass()], []
    if isinstance(bare, ast.ClassDef):
        bare.keywords = []
    text = ast.unparse(bare).removesuffix("\n    pass")
    return text if len(text) <= _MAX_SIGNATURE else text[: _MAX_SIGNATURE - 1] + "…"


def blocks_of(found: Docstring) -> Iterator[Block]:
    """The signature and the paragraphs of a docstring."""
    if found.signature:
        yield Block(found.signature, found.line, found.line, found.name, verbatim=True)
    for block in paragraphs(found.text.split("\n"), found.text_line, found.name):
        end = min(block.end_line, found.end_line)
        yield Block(block.text, min(block.line, end), end, block.trail)


def read_python(text: str) -> Iterator[Block]:
    """Blocks of Python source, lines as they are, below the names of the classes and functions that
    they belong to; of code by its indentation if it does not parse."""
    lines = text.split("\n")
    owners: list[tuple[str, ...]] = [()] * len(lines)
    try:
        for first, end, name in _spans(_parsed(text), (), lines):
            owners[first:end] = [name] * (end - first)
    except SyntaxError:
        yield from read_code(text)
        return
    for trail, group in groupby(range(len(lines)), key=lambda number: owners[number]):
        numbers = list(group)
        own = lines[numbers[0] : numbers[-1] + 1]
        yield from paragraphs(own, numbers[0] + 1, trail, verbatim=True)


def _spans(
    node: ast.Module | _Definition, name: tuple[str, ...], lines: Sequence[str]
) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """The lines from and to which classes and functions reach, outer ones first, with decorators
    and the comment above; and their names."""
    for child in _statements(node.body):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([child.lineno, *(one.lineno for one in child.decorator_list)]) - 1
            while first > 0 and lines[first - 1].lstrip().startswith("#"):
                first -= 1
            inner = (*name, child.name)
            yield first, child.end_lineno or child.lineno, inner
            if isinstance(child, ast.ClassDef):
                yield from _spans(child, inner, lines)
