"""The house has rooms, and arrows go down only.

The rooms and who may call whom: docs/architecture.md. A new room or module needs a line in
``BELOW``: that is where one decides how high it stands. Imports for type checkers alone count like
all others.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import mvdb

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "mvdb"
MAX_LINES = 400
MAX_FUNCTION_LINES = 50
LONG_FILES = {"core.py"}

GROUND = {"errors", "arguments", "extras", "hooks", "threads", "core", "types", "limits"}
STORED = {
    *GROUND,
    "storage",
    "documents",
    "filters",
    "lexical",
    "codebook",
    "segment",
    "state",
}

BELOW: dict[str, set[str]] = {
    "errors": set(),
    "limits": set(),
    "extras": set(),
    "arguments": {"errors"},
    "hooks": {"errors", "arguments"},
    "threads": {"errors"},
    "types": {"errors"},
    "core": {"errors", "threads", "_core"},
    "storage": GROUND - {"core"},
    "documents": {*GROUND, "storage"},
    "filters": {*GROUND, "storage", "documents"},
    "lexical": {*GROUND, "storage", "documents"},
    "codebook": {*GROUND, "storage"},
    "segment": {*GROUND, "storage", "documents", "filters", "lexical", "codebook"},
    "state": {*GROUND, "storage", "documents", "filters", "lexical", "codebook", "segment"},
    "search": STORED,
    "write": STORED,
    "repair": STORED,
    "ingest": STORED,
    "api": {*STORED, "search", "write", "repair", "ingest"},
    "aio": {"errors", "arguments", "hooks", "threads", "types", "api"},
    "from_model": {"errors", "api", "encoders"},
    "__init__": {"errors", "types", "api", "repair", "encoders", "aio", "from_model", "reading"},
    "encoders": {"extras", "errors", "arguments", "threads", "core"},
    "integrations": {"extras", "__init__", "errors", "types", "encoders"},
    "evaluation": {"extras", "__init__", "errors", "types"},
    "serving": {"extras", "__init__", "errors", "encoders"},
    "importers": {"extras", "__init__", "errors", "types", "encoders", "documents"},
    "reading": {"extras", "errors", "arguments"},
    "folders": {
        "extras",
        "errors",
        "arguments",
        "hooks",
        "types",
        "__init__",
        "encoders",
        "reading",
        "documents",
    },
    "cli": {
        "__init__",
        "errors",
        "encoders",
        "importers",
        "serving",
        "evaluation",
        "reading",
        "folders",
    },
    "__main__": {"cli"},
    "_core_build": set(),
}
"""For each room or module of mvdb, what else of mvdb it may import. ``__init__`` is the public API
(``import mvdb``)."""

ALLOWED_AT_IMPORT = {"mvdb", "numpy", "cffi", "_cffi_backend", "lmdb", "zstandard", "xxhash"}


def python_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """Path below the package, as a test's name."""
    return str(path.relative_to(PACKAGE))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def room_of(path: Path) -> str:
    """The room or module of mvdb that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported, wherever in the file."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def file_of(name: str) -> Path | None:
    """The file of mvdb that an imported name stands in; None for a foreign one."""
    parts = name.split(".")
    if parts[0] != "mvdb" or parts[1:2] == ["_core"]:
        return None
    for length in range(len(parts), 0, -1):
        below = PACKAGE.joinpath(*parts[1:length])
        if below.with_suffix(".py").is_file() and length > 1:
            return below.with_suffix(".py")
        if (below / "__init__.py").is_file():
            return below / "__init__.py"
    return None


@pytest.mark.parametrize("path", python_files(), ids=name_of)
def test_imports_go_down(path: Path) -> None:
    room = room_of(path)
    assert room in BELOW, f"mvdb.{room} is new: give it a place in BELOW"
    for line, name in imported(path):
        if name.startswith("mvdb._core."):
            assert room == "core", f"{path}:{line}: only core.py may import the compiled module"
            continue
        target = file_of(name)
        if target is not None and room_of(target) != room:
            assert room_of(target) in BELOW[room], f"{path}:{line}: mvdb.{room} imports {name}"


def test_the_table_itself_has_no_circle() -> None:
    done: set[str] = {"_core"}
    waiting = dict(BELOW)
    while waiting:
        ready = [room for room, below in waiting.items() if below <= done]
        assert ready, f"a circle among {sorted(waiting)}"
        for room in ready:
            done.add(room)
            del waiting[room]


def test_no_files_import_each_other_in_a_circle() -> None:
    waiting = {}
    for path in python_files():
        targets = {file_of(name) for _, name in imported(path)}
        waiting[path] = {one for one in targets if one is not None and one != path}
    while waiting:
        ready = [path for path, targets in waiting.items() if not targets & waiting.keys()]
        assert ready, f"a circle among {sorted(map(name_of, waiting))}"
        for path in ready:
            del waiting[path]


def own_names(tree: ast.Module) -> set[str]:
    """Names of methods, attributes, fields and variables that a file defines."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            is_own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            names.update({node.attr} if is_own else ())
    return names


FOREIGN_PRIVATE = {
    "_exit": "private by name only: `os._exit` is documented",
    "_envid": "py-lmdb takes a parent's files for the child's; tests/storage/test_lmdb_shape.py",
}
"""Private names of other libraries that may be used, and why."""


@pytest.mark.parametrize("path", python_files(), ids=name_of)
def test_private_names_stay_in_their_file(path: Path) -> None:
    tree = tree_of(path)
    own = own_names(tree) | FOREIGN_PRIVATE.keys()
    inherited = any(isinstance(node, ast.ClassDef) and node.bases for node in ast.walk(tree))
    for line, name in imported(path):
        last = name.rpartition(".")[2]
        is_private = last.startswith("_") and not last.startswith("__")
        may = name.startswith("mvdb._core") or last in FOREIGN_PRIVATE
        assert not is_private or may, f"{path}:{line}: imports {name}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not node.attr.startswith("_"):
            continue
        is_self = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        if node.attr.startswith("__") or node.attr in own or (is_self and inherited):
            continue
        pytest.fail(f"{path}:{node.lineno}: {node.attr} belongs to another file")


@pytest.mark.parametrize(("module", "owner"), [("lmdb", "storage"), ("mvdb._core", "core")])
def test_one_owner_of_a_door(module: str, owner: str) -> None:
    for path in python_files():
        for line, name in imported(path):
            if f"{name}.".startswith(f"{module}."):
                assert room_of(path) == owner, f"{path}:{line} imports {name}"


def test_importing_mvdb_brings_in_its_dependencies_only() -> None:
    code = (
        "import sys; before = set(sys.modules); import mvdb; "
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    search_path = str(Path(mvdb.__file__).parent.parent)
    answer = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {search_path!r}); {code}"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT.anchor,
    )
    foreign = set(answer.stdout.split()) - ALLOWED_AT_IMPORT - set(sys.stdlib_module_names)
    # C extensions of the dependencies may register helper modules of the interpreter's own kind.
    foreign = {name for name in foreign if not name.startswith(("_cython", "__mp_main"))}
    assert not foreign, f"import mvdb also imports {sorted(foreign)}"


def test_no_two_files_share_a_name() -> None:
    counts = Counter(path.name for path in python_files())
    shared = {name for name, count in counts.items() if count > 1}
    assert shared <= {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("path", python_files(), ids=name_of)
def test_files_and_functions_stay_small(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_LINES or path.name in LONG_FILES, f"{path} has {lines} lines"
    for node in ast.walk(tree_of(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            begin = (
                node.body[0].lineno if ast.get_docstring(node) is None else _after_docstring(node)
            )
            length = (node.end_lineno or 0) - begin + 1
            assert length <= MAX_FUNCTION_LINES, f"{path}: {node.name} has {length} lines"


def _after_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """First line of the code: signatures and docstrings of the public API are documentation."""
    return (node.body[0].end_lineno or 0) + 1
