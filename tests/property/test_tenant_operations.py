"""The short form of `python -m tests.property.tenant_operations`."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.property.tenant_operations import Run


@pytest.mark.parametrize("seed", [1, 2])
def test_no_call_shows_a_document_of_another_tenant(tmp_path: Path, seed: int) -> None:
    run = Run(tmp_path / "a.mvdb", Random(seed))
    run.run(600)
    assert set(run.done) >= {"search", "read", "put", "delete", "update", "delete_tenant"}
