"""The C core has layers, and arrows go down only: the includes of its files, and the symbols that
their objects need of each other.

A new folder needs a line in ``BELOW``: that is where one decides how high it stands.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

CSRC = Path(__file__).resolve().parent.parent / "csrc"
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50

BELOW: dict[str, set[str]] = {
    "base": set(),
    "kernels": {"base"},
    "vectors": {"base", "kernels"},
    "centroids": {"base", "kernels", "vectors"},
    "codec": {"base", "kernels", "vectors", "centroids"},
    "postings": {"base", "kernels"},
    "ranking": {"base"},
    "lexical": {"base", "ranking"},
    "segment": {"base", "kernels", "vectors", "centroids", "codec", "postings"},
    "search": {
        "base",
        "kernels",
        "vectors",
        "centroids",
        "codec",
        "postings",
        "segment",
        "ranking",
    },
}
"""For each folder, the others whose headers it may include and whose functions it may call. All but
base may also include ``mvdb.h``, the public API, which itself includes a header of base."""

SYSTEM_HEADERS = (
    *("stdio.h", "fcntl.h", "pthread.h", "threads.h"),
    *("unistd.h", "sys/mman.h", "sys/stat.h", "windows.h"),
)
MAY_CALL_THE_SYSTEM = {
    "base/cpu.c": {"unistd.h"},
    "segment/prefetch.c": {"unistd.h", "sys/mman.h", "windows.h"},
}

_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
_FUNCTION = re.compile(
    r"^[A-Za-z_][^;{}=]*?\b(\w+)\([^;{}]*\) \{$(.*?)^\}$", re.MULTILINE | re.DOTALL
)


def c_files() -> list[Path]:
    return sorted([*CSRC.rglob("*.c"), *CSRC.rglob("*.h")])


def product_files() -> list[Path]:
    return [path for path in c_files() if folder_of(path) != "test"]


def folder_of(path: Path) -> str:
    """The folder of a file inside csrc; "" for mvdb.h."""
    return path.relative_to(CSRC).parent.as_posix().removeprefix(".")


def included(path: Path) -> list[Path]:
    return [
        (path.parent / name).resolve()
        for name in _INCLUDE.findall(path.read_text(encoding="utf-8"))
    ]


# ---- includes ----


@pytest.mark.parametrize("path", product_files(), ids=lambda path: str(path.relative_to(CSRC)))
def test_includes_go_down(path: Path) -> None:
    folder = folder_of(path)
    assert not folder or folder in BELOW, f"{folder} is new: give it a place in BELOW"
    allowed = {"base"} if folder in ("", "base") else {folder, "", *BELOW[folder]}
    for target in included(path):
        assert target.is_file(), f"{path} includes {target}"
        below = folder_of(target)
        assert below in allowed, f"{path} includes {target}: {folder} is not above {below}"


def test_includes_have_no_circle() -> None:
    check_no_circle({str(path): set(map(str, included(path))) for path in product_files()})


# ---- symbols ----


@pytest.fixture(scope="module")
def needs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[str]]]:
    """For each source, the other sources whose symbols its object needs, and the symbols."""
    compiler, nm = shutil.which("cc") or shutil.which("gcc"), shutil.which("nm")
    if compiler is None or nm is None:
        pytest.skip("needs a C compiler and nm")
    folder = tmp_path_factory.mktemp("objects")
    owner: dict[str, str] = {}
    undefined: dict[str, set[str]] = {}
    for path in product_files():
        if path.suffix != ".c":
            continue
        name = path.relative_to(CSRC).as_posix()
        target = folder / f"{path.stem}.o"
        subprocess.run([compiler, "-std=c11", "-c", str(path), "-o", str(target)], check=True)
        lines = subprocess.run([nm, "-g", str(target)], check=True, capture_output=True, text=True)
        undefined[name] = set()
        for *_, kind, symbol in map(str.split, lines.stdout.splitlines()):
            symbol = symbol.removeprefix("_")  # of macOS
            if kind == "U":
                undefined[name].add(symbol)
            else:
                assert symbol not in owner, f"{symbol} is defined by {owner[symbol]} and {name}"
                owner[symbol] = name
    result: dict[str, dict[str, set[str]]] = {}
    for name, symbols in undefined.items():
        result[name] = defaultdict(set)
        for symbol in symbols & owner.keys():
            result[name][owner[symbol]].add(symbol)
    return result


def test_calls_go_down(needs: dict[str, dict[str, set[str]]]) -> None:
    for name, others in needs.items():
        folder = name.partition("/")[0]
        for other, symbols in others.items():
            below = other.partition("/")[0]
            assert below in {folder, *BELOW[folder]}, f"{name} calls {sorted(symbols)} of {other}"


def test_calls_have_no_circle(needs: dict[str, dict[str, set[str]]]) -> None:
    check_no_circle({name: set(others) for name, others in needs.items()})


def test_folders_have_no_circle() -> None:
    check_no_circle(BELOW)


def check_no_circle(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


# ---- the system ----


def test_the_core_does_no_input_or_output() -> None:
    """The core touches no files: its callers give it bytes. Its only system calls prefetch mapped
    bytes, in one file, and ask for the registers of tiles, in another."""
    for path in product_files():
        text = path.read_text(encoding="utf-8")
        allowed = MAY_CALL_THE_SYSTEM.get(path.relative_to(CSRC).as_posix(), set())
        for header in SYSTEM_HEADERS:
            if header not in allowed:
                assert f"<{header}>" not in text, f"{path} includes <{header}>"


# ---- names and sizes ----


def test_names_are_unique() -> None:
    """A header and the source of the same name beside it are one."""
    folders = defaultdict(set)
    for path in c_files():
        folders[path.stem].add(folder_of(path))
    assert not {stem: sorted(where) for stem, where in folders.items() if len(where) > 1}


def test_files_stay_small() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in c_files()}
    assert not {str(path): n for path, n in lines.items() if n > MAX_FILE_LINES}


def test_functions_stay_small() -> None:
    too_long, seen = {}, 0
    for path in c_files():
        for name, body in _FUNCTION.findall(path.read_text(encoding="utf-8")):
            seen += 1
            if body.count("\n") + 1 > MAX_FUNCTION_LINES:
                too_long[f"{path.name}: {name}"] = body.count("\n") + 1
    assert seen > 500, "the pattern no longer finds functions"
    assert not too_long
