"""PyLate, sentence-transformers or MTEB that is missing, too old or too new: one clear error."""

from __future__ import annotations

import importlib
import sys
from importlib import metadata
from pathlib import Path

import pytest

from mvdb.integrations.requirement import MTEB, PYLATE, SENTENCE_TRANSFORMERS, Requirement

ROOT = Path(__file__).resolve().parents[2]
each = pytest.mark.parametrize(
    "one", [MTEB, PYLATE, SENTENCE_TRANSFORMERS], ids=lambda one: one.extra
)


@each
@pytest.mark.parametrize("version", [None, "0.9.1", "99.0"])
def test_importing_an_adapter_says_so(
    monkeypatch: pytest.MonkeyPatch, one: Requirement, version: str | None
) -> None:
    """Whether or not its framework is installed."""
    adapter = f"mvdb.integrations.{one.extra.replace('-', '_')}"
    monkeypatch.delitem(sys.modules, adapter, raising=False)

    def found(name: str) -> str:
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", found)
    with pytest.raises(ImportError) as caught:
        importlib.import_module(adapter)
    message = str(caught.value)
    assert f"{adapter} needs {one.distribution} >={one.lowest},<{one.below}" in message
    assert f"'mvdb-engine[{one.extra}]'" in message
    assert "not installed" in message if version is None else version in message


@each
def test_the_extra_asks_pip_for_the_same_range(one: Requirement) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'{one.extra} = ["{one.distribution}>={one.lowest},<{one.below}"]' in text
