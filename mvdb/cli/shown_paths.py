"""Paths of files for people."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mvdb import folders


def from_here(path: str | Path) -> str:
    """A path from the working folder if it is below that, else as it is."""
    whole, here = Path(path), Path.cwd()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else whole)


def path_of(metadata: Mapping[str, Any]) -> str:
    """The path of a passage's file; as it is stored if the file is there no more."""
    place = folders.place_of(metadata)
    if place is None or not os.path.lexists(place):
        return str(metadata.get("path"))
    return from_here(place)
