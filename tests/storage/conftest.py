"""Fixtures of the storage tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mvdb.storage import registry
from mvdb.storage.environment import Environment


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where a test's database goes."""
    return str(tmp_path / "test.mvdb")


@pytest.fixture
def environment(path: str) -> Iterator[Environment]:
    """A new, open database."""
    with Environment.open(path) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _nothing_left_open() -> Iterator[None]:
    yield
    assert not registry.open_environments(), "a test left a file open"
