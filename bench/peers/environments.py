"""One virtual environment per peer, outside the repository: their requirements never meet."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
_COMMON_TORCH = "torch_2_11"


@dataclass(frozen=True)
class Environment:
    """How a peer's environment is made: from ``requirements-NAME.txt`` beside this file.

    With ``common_torch`` the list is installed without dependencies, beside a torch that several
    environments share; the list then names everything else that is imported.
    """

    name: str
    common_torch: bool = False

    @property
    def folder(self) -> Path:
        """Where the environment is, or will be."""
        return environments_folder() / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return _interpreter(self.folder)

    def installed(self) -> bool:
        """Whether it was made from the present requirements."""
        return _stamp_matches(self.folder, self.name)

    def install(self) -> None:
        """Make it, or leave it alone when the requirements are those it was made from."""
        if self.installed():
            return
        venv.create(self.folder, with_pip=True, clear=True)
        if self.common_torch:
            _link(_install_common_torch(), self.folder)
        flags = ["--no-deps"] if self.common_torch else []
        _pip(self.python, [*flags, "-r", str(_requirements(self.name))])
        _write_stamp(self.folder, self.name)


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment("exact_torch"),
        Environment("xtr_warp", common_torch=True),
        Environment("fast_plaid", common_torch=True),
        Environment("qdrant_edge"),
    )
}


def environments_folder() -> Path:
    """``$MVDB_PEERS``, or ``~/.cache/mvdb-peers``."""
    return Path(os.environ.get("MVDB_PEERS") or Path.home() / ".cache" / "mvdb-peers")


def _install_common_torch() -> Path:
    """Make the environment that holds the shared torch; return it."""
    folder = environments_folder() / _COMMON_TORCH
    if not _stamp_matches(folder, _COMMON_TORCH):
        venv.create(folder, with_pip=True, clear=True)
        _pip(_interpreter(folder), ["--no-deps", "-r", str(_requirements(_COMMON_TORCH))])
        _write_stamp(folder, _COMMON_TORCH)
    return folder


def _link(shared: Path, folder: Path) -> None:
    """Let the environment in ``folder`` import what is installed in ``shared``."""
    path = _site_packages(folder) / "common_torch.pth"
    path.write_text(f"{_site_packages(shared)}\n", encoding="utf-8")


def _interpreter(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _site_packages(folder: Path) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run(
        [_interpreter(folder), "-c", code], check=True, capture_output=True, text=True
    )
    return Path(done.stdout.strip())


def _pip(python: Path, arguments: list[str]) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", *arguments]
    print(" ".join(command), file=sys.stderr)
    subprocess.run(command, check=True)


def _requirements(name: str) -> Path:
    return HERE / f"requirements-{name}.txt"


def _stamp_matches(folder: Path, name: str) -> bool:
    stamp = folder / "requirements.txt"
    return stamp.exists() and stamp.read_bytes() == _requirements(name).read_bytes()


def _write_stamp(folder: Path, name: str) -> None:
    (folder / "requirements.txt").write_bytes(_requirements(name).read_bytes())
