"""Python: what modules, classes and functions say about themselves, with their signatures.

The code itself is left out: an encoder of prose finds a function by its docstring, not its body.
Nothing is imported or run."""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mvdb.cli.reading.blocks import Block, paragraphs
from mvdb.cli.reading.plain import read_plain

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_MAX_SIGNATURE = 300


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


def docstrings(source: str) -> Iterator[Docstring]:
    """The docstrings in Python source, in its order; functions within functions are left out.

    Raises:
        SyntaxError: `source` is not Python of this version, or is nested too deeply."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like are not our business
            tree = ast.parse(source)
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(str(error)) from error
    return _walk(tree, ())


def _walk(node: ast.Module | ast.ClassDef, name: tuple[str, ...]) -> Iterator[Docstring]:
    if isinstance(node, ast.Module) and (found := _docstring(node, (), "")):
        yield found
    for child in _statements(node.body):
        if isinstance(child, (ast.ClassDef, *_Function)):
            if found := _docstring(child, (*name, child.name), _signature(child)):
                yield found
            if isinstance(child, ast.ClassDef):
                yield from _walk(child, (*name, child.name))


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body, those under a condition (of the platform, say) included."""
    for child in body:
        yield child
        if isinstance(child, (ast.If, ast.Try)):
            yield from _statements(child.body)
            yield from _statements(child.orelse)
        if isinstance(child, ast.Try):
            yield from (found for handler in child.handlers for found in _statements(handler.body))


def _docstring(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
    name: tuple[str, ...],
    signature: str,
) -> Docstring | None:
    raw = ast.get_docstring(node, clean=False)
    if raw is None or not raw.strip():
        return None
    literal = node.body[0]
    text = inspect.cleandoc(raw)
    # An escape or a continuation in the literal shifts this by a line: good enough to jump to.
    blank = len(raw) - len(raw.lstrip())
    start = literal.lineno + raw[:blank].count("\n")
    line = literal.lineno if isinstance(node, ast.Module) else node.lineno
    return Docstring(name, signature, text, line, start, literal.end_lineno or start)


def _signature(node: ast.stmt) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        text = f"class {node.name}({bases}):" if bases else f"class {node.name}:"
    elif isinstance(node, _Function):
        word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
        result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        text = f"{word} {node.name}({ast.unparse(node.args)}){result}:"
    else:
        return ""
    return text if len(text) <= _MAX_SIGNATURE else text[: _MAX_SIGNATURE - 1] + "…"


def blocks_of(found: Docstring) -> Iterator[Block]:
    """The signature and the paragraphs of a docstring."""
    if found.signature:
        yield Block(found.signature, found.line, found.line, found.name, verbatim=True)
    numbered = enumerate(found.text.split("\n"), start=found.text_line)
    for block in paragraphs(numbered, found.name):
        end = min(block.end_line, found.end_line)
        yield Block(block.text, min(block.line, end), end, block.trail)


def read_python(text: str) -> Iterator[Block]:
    """Blocks of Python source; of its lines as plain text if it does not parse."""
    try:
        found = list(docstrings(text))
    except SyntaxError:
        return read_plain(text)
    return (block for docstring in found for block in blocks_of(docstring))
