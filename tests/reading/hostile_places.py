"""Files and folders whose names, kinds or links are made to harm."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

DEPTH = 1_200
"""Folders in each other: more than Python calls itself."""
OTHERS = 9
"""Names that are no regular files: special ones and links."""
_NAMES = [
    b"not-utf8-\xff\xfe.txt",
    b"twin-\xff.md",
    b"twin-\\xff.md",
    b"line\nbreak.txt",
    b"\x1b]0;title\x07\x1b[31mred.md",
    b"\x9b31m.txt",
    "\u202etxt.exe.md".encode(),
    b"-rf",
    b"--help.md",
    b"a.md#3",
    b"a.md",
    b"#1",
    b" ",
    b"  spaced  .txt",
    b"*.md",
    b"[a].txt",
    b"a'\"$(touch pwned)`.md",
    b"%s%n{0}.md",
    b"con.txt",
    b"a\\b.md",
    b"e\xcc\x81.txt",
    b"\xc3\xa9.txt",
    b"A.MD",
    b"n" * 251 + b".txt",
    ("\U0001f468" * 62 + ".md").encode(),
]


def make_places(folder: Path) -> int:
    """Makes them below a folder. Returns the number of regular files."""
    made = 0
    for name in _NAMES:
        with suppress(OSError), open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(b"words of " + name)
            made += 1
    os.mkfifo(folder / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as one:
        before = os.getcwd()
        os.chdir(folder)  # the path of a socket has at most 108 bytes
        one.bind("socket.txt")
        os.chdir(before)
    os.symlink("loop.txt", folder / "loop.txt")
    os.symlink(".", folder / "folder-loop")
    os.symlink("gone", folder / "to-nothing.md")
    os.symlink("x" * 300, folder / "to-too-long.md")
    os.symlink("/dev/zero", folder / "to-zero.txt")
    os.symlink("/proc/self/mem", folder / "to-memory.txt")
    with open(folder / "sparse.txt", "wb") as file:
        file.truncate(10 << 30)
    (folder / "rights.md").write_text("words")
    (folder / "rights.md").chmod(0)
    (folder / "no-rights").mkdir()
    (folder / "no-rights" / "a.md").write_text("words")
    (folder / "no-rights").chmod(0)
    (folder / ".gitignore").write_text("*a*a*a*a*a*a*a*b\n[\n\\\n!\n**/**/**/**/x\n*.ignored\n")
    (folder / "a.ignored").write_text("words")
    return made + 2 + _deep(folder)


def _deep(folder: Path) -> int:
    """Folders in folders, with a file in the innermost one."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    file = os.open("deep.md", os.O_CREAT | os.O_WRONLY, dir_fd=here)
    os.write(file, b"words at the bottom")
    os.close(file)
    os.close(here)
    return 1


def remove_places(folder: Path) -> None:
    """Removes what a test runner could not: its remover calls itself for each folder."""
    (folder / "no-rights").chmod(0o700)
    path = str(folder) + "/d" * DEPTH
    os.unlink(path + "/deep.md")
    while len(path) > len(str(folder)):
        os.rmdir(path)
        path = path[:-2]


if sys.platform == "win32":
    raise ImportError("files of these kinds are those of POSIX")
