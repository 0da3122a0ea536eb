"""``mvdb index`` over a folder of files made to harm: every file is accounted for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mvdb
from tests.reading.hostile_files import write
from tests.support.children import ROOT
from tests.support.patience import PATIENCE

if sys.platform == "win32":
    pytest.skip("files of these kinds are those of POSIX", allow_module_level=True)

from tests.reading.hostile_places import OTHERS, make_places, remove_places

_OUTCOMES = ("indexed", "unchanged", "empty", "skipped", "failed")


def index(folder: Path, *options: str) -> tuple[int, Any, str]:
    """Runs `mvdb index` on the folder `all` with the encoder of the tests."""
    command = [sys.executable, "-m", "mvdb", "index", "all", "all.mvdb", "--json", *options]
    done = subprocess.run(
        [*command, "--encoder", "tests.cli.words_encoder:make"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder)},
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    errors = done.stderr.decode()
    assert done.returncode in (0, 1), errors
    return done.returncode, json.loads(done.stdout), errors


def accounted(files: dict[str, int]) -> int:
    return sum(files[outcome] for outcome in _OUTCOMES)


def test_files_made_to_harm_are_all_accounted_for(tmp_path: Path) -> None:
    folder = tmp_path / "all"
    folder.mkdir()
    kept = [
        path
        for number, path in enumerate(write(folder, 5, 800, 20_000))
        if (number % 6 == 0 and "again" not in path.name) or path.unlink()
    ]
    code, summary, errors = index(tmp_path)
    files = summary["files"]
    assert accounted(files) == len(kept) + 1  # the file that external entities name
    assert files["failed"] == 0, summary
    assert code == 0
    assert "\x1b" not in errors
    assert "Traceback" not in errors
    again = index(tmp_path)[1]["files"]
    assert again["indexed"] == 0
    assert accounted(again) == accounted(files)
    with mvdb.open(tmp_path / "all.mvdb") as db:
        assert db.verify().ok


def test_names_links_and_special_files(tmp_path: Path) -> None:
    folder = tmp_path / "all"
    folder.mkdir()
    regular = make_places(folder)
    try:
        code, summary, errors = index(tmp_path)
        for mark in errors:
            assert mark == "\n" or mark.isprintable() or ord(mark) > 159, repr(errors)
        files = summary["files"]
        assert code == 0, (summary, errors)
        assert accounted(files) == regular + OTHERS
        assert files["indexed"] >= regular - 3  # one has an escape sequence in it, two no rights
        again = index(tmp_path)[1]["files"]
        assert (again["indexed"], accounted(again)) == (0, accounted(files))
        with mvdb.open(tmp_path / "all.mvdb") as db:
            paths = {dict(one.metadata or {})["path"] for one in db.get(list(db.ids()))}
        assert any(path.endswith("d/deep.md") for path in paths)
        assert len([path for path in paths if "twin" in path]) == 2
    finally:
        remove_places(folder)
