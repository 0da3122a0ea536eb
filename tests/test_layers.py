"""The house has layers, and arrows go down only: imports in Python (C: test_layers_c.py).

A new module needs a line in ``MAY_IMPORT``: that is where one decides how high it stands.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mvdb

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "mvdb"
MAX_LINES = 600

BASE = {"errors", "shield"}
STORED = {*BASE, "core", "storage", "catalogue"}
CHECKED = {"arguments", "settings", "encoding", "inputs"}
INDEXED = {*STORED, *CHECKED, "types", "querypool", "workers", "index"}
READABLE = {*INDEXED, "contents", "reading", "journal"}

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "shield": {"errors"},
    "core": {*BASE, "_core"},
    "storage": BASE,
    "catalogue": BASE,
    "types": {"errors", "catalogue"},
    "arguments": BASE,
    "settings": {*STORED, "arguments"},
    "encoding": {*STORED, "arguments"},
    "inputs": STORED,
    "arrow": STORED,
    "querypool": STORED,
    "journal": {*BASE, "storage"},
    "workers": BASE,
    "scheduler": {"workers"},
    "index": {*STORED, "types", "settings", "workers"},
    "options": {*STORED, *CHECKED, "index"},
    "contents": INDEXED,
    "reading": {*INDEXED, "contents"},
    "snapshot": READABLE,
    "transaction": READABLE,
    "streaming": {*READABLE, "arrow", "transaction"},
    "maintenance": {*BASE, "storage", "index", "scheduler", "workers"},
    "database": {*READABLE, "options", "snapshot", "transaction", "streaming", "maintenance"},
    "repairing": {*READABLE, "snapshot", "transaction", "database"},
    "__init__": {"errors", "types", "snapshot", "transaction", "database", "repairing"},
    "encoders": {"__init__"},
    "cli": {"__init__", "encoders"},
    "__main__": {"cli"},
    "_core_build": set(),
    "viewer": {"__init__", "encoders"},
    "integrations": {"__init__", "encoders"},
}
"""For each module or package of mvdb, what else of mvdb it may import. ``__init__`` is the public
API (``import mvdb``)."""

ALLOWED_AT_IMPORT = {"mvdb", "numpy", "cffi", "_cffi_backend", "lmdb", "zstandard", "xxhash"}


def layer_of(path: Path) -> str:
    """The module or package of mvdb that a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported when the code runs (also inside functions).

    What stands under ``if TYPE_CHECKING:`` is for type checkers only and is passed over."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"
        pending.extend(ast.iter_child_nodes(node))


def target_layer(name: str) -> str | None:
    """The layer of mvdb that an imported name belongs to; None for a foreign one."""
    parts = name.split(".")
    if parts[0] != "mvdb":
        return None
    second = parts[1] if len(parts) > 1 else ""
    is_module = (PACKAGE / second).is_dir() or (PACKAGE / f"{second}.py").is_file()
    return second if second and (is_module or second == "_core") else "__init__"


def python_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", python_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_python_imports_go_down(path: Path) -> None:
    layer = layer_of(path)
    assert layer in MAY_IMPORT, f"mvdb.{layer} is new: give it a place in MAY_IMPORT"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for line, name in imported(tree):
        target = target_layer(name)
        if target is None or target == layer:
            continue
        assert target in MAY_IMPORT[layer], f"{path}:{line}: mvdb.{layer} imports {name}"


def test_every_named_layer_may_only_name_lower_ones() -> None:
    """The table itself has no cycle."""
    done: set[str] = {"_core"}
    waiting = dict(MAY_IMPORT)
    while waiting:
        ready = [layer for layer, below in waiting.items() if below <= done]
        assert ready, f"a cycle among {sorted(waiting)}"
        for layer in ready:
            done.add(layer)
            del waiting[layer]


@pytest.mark.parametrize(("module", "owner"), [("lmdb", "storage"), ("mvdb._core", "core")])
def test_one_owner_of_a_door(module: str, owner: str) -> None:
    for path in python_files():
        for line, name in imported(ast.parse(path.read_text(encoding="utf-8"))):
            if f"{name}.".startswith(f"{module}."):
                assert layer_of(path) == owner, f"{path}:{line} imports {name}"


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


# ---- sizes ----


def test_files_stay_small() -> None:
    too_long = {}
    for folder in ("mvdb", "csrc", "tests", "bench", "docs"):
        for suffix in ("*.py", "*.c", "*.h"):
            for path in (ROOT / folder).rglob(suffix):
                if path == PACKAGE / "_core.c":  # generated
                    continue
                lines = len(path.read_text(encoding="utf-8").splitlines())
                if lines > MAX_LINES:
                    too_long[str(path.relative_to(ROOT))] = lines
    assert not too_long, f"over {MAX_LINES} lines: {too_long}"
