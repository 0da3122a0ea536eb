"""A framework that is missing, too old or too new gives one clear error."""

from __future__ import annotations

import importlib
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest

from mvdb.integrations import requirement
from mvdb.integrations.requirement import Requirement

ROOT = Path(__file__).resolve().parents[2]
ALL = [
    requirement.LANGCHAIN,
    requirement.LLAMA_INDEX,
    requirement.HAYSTACK,
    requirement.LLM,
    requirement.TXTAI,
]


def with_version(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    def found(name: str) -> str:
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", found)


@pytest.mark.parametrize("version", ["1.2", "1.2.0", "1.10", "2.9.9", "1.3rc1"])
def test_supported_versions(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    with_version(monkeypatch, version)
    Requirement("langchain", "langchain-core", "1.2", "3").check()


@pytest.mark.parametrize("version", ["0.9", "1.1.99", "3.0", "3.0.0rc1", "10.0", "3", "unknown"])
def test_other_versions_are_named_with_the_range_and_the_extra(
    monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with_version(monkeypatch, version)
    message = re.escape(f"langchain-core >=1.2,<3, found version {version}: pip install")
    with pytest.raises(ImportError, match=rf"{message} 'mvdb-engine\[langchain\]'"):
        Requirement("langchain", "langchain-core", "1.2", "3").check()


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.extra)
@pytest.mark.parametrize("version", [None, "0.0.1", "99.0"])
def test_importing_an_adapter_says_so(
    monkeypatch: pytest.MonkeyPatch, one: Requirement, version: str | None
) -> None:
    """Whether or not its framework is installed."""
    adapter = f"mvdb.integrations.{one.extra.replace('-', '_')}"
    for name in list(sys.modules):
        if f"{name}.".startswith(f"{adapter}."):
            monkeypatch.delitem(sys.modules, name)
    with_version(monkeypatch, version)
    with pytest.raises(ImportError, match=rf"{adapter} needs {one.distribution} >=.*{one.extra}"):
        importlib.import_module(adapter)


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.extra)
def test_the_extra_asks_pip_for_the_same_range(one: Requirement) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'{one.extra} = ["{one.distribution}>={one.lowest},<{one.below}"]' in text
