"""On a terminal: bold type and progress; in a pipe: neither."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import ENCODER, WITHOUT_LIBRARIES, CommandLine

from tests.support.patience import PATIENCE

pty = pytest.importorskip("pty")


def on_terminal(cli: CommandLine, command: list[str], **environment: str) -> str:
    """Runs a command with a terminal for output and errors; what the terminal was sent."""
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        command,
        cwd=cli.folder,
        env=cli.environment({"TERM": "xterm", **environment}),
        stdout=inner,
        stderr=inner,
    )
    os.close(inner)
    sent = b""
    try:
        while data := os.read(outer, 65536):
            sent += data
    except OSError:  # Linux says so when the other end is closed
        pass
    os.close(outer)
    assert process.wait(timeout=PATIENCE) == 0, sent
    return sent.decode()


def mvdb_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "mvdb", *arguments, *ENCODER]


def test_matched_words_are_bold_on_a_terminal_only(notes: CommandLine) -> None:
    command = mvdb_command("search", "n.mvdb", "blue sky", "-k", "1")
    assert "The \x1b[1msky\x1b[0m is \x1b[1mblue\x1b[0m." in on_terminal(notes, command)
    assert "\x1b" not in on_terminal(notes, command, NO_COLOR="1")
    assert "\x1b" not in on_terminal(notes, command, TERM="dumb")
    assert "\x1b" not in notes.ok(*command[3:]).out


def test_lines_are_as_wide_as_the_terminal(notes: CommandLine) -> None:
    notes.write("notes/wide.txt", "wide word " * 40)
    notes.index("notes", "n.mvdb")
    command = mvdb_command("search", "n.mvdb", "wide", "-k", "1")
    for columns in (50, 100):
        shown = on_terminal(notes, command, COLUMNS=str(columns), NO_COLOR="1")
        longest = max(len(line) for line in shown.splitlines())
        assert columns - 10 < longest <= columns


@pytest.mark.parametrize("rich", [True, False])
def test_progress_is_shown_on_a_terminal(notes: CommandLine, rich: bool) -> None:
    module = "mvdb" if rich else WITHOUT_LIBRARIES
    command = [sys.executable, "-m", module, "index", "notes/sky", "notes/code.py", "new.mvdb"]
    command += ENCODER
    sent = on_terminal(notes, command)
    assert "indexing" in sent
    assert "2/2" in sent
    assert "2 files, 2 passages" in sent.splitlines()[-1]
    assert "indexing" not in on_terminal(notes, [*command, "--quiet"])
    assert notes("index", "notes", "newer.mvdb", *ENCODER).err == ""
