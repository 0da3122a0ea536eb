"""The programs of the how-tos of the frameworks run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.test_readme import DOCS, python_blocks, run
from tests.integrations.frameworks import need


@pytest.mark.parametrize("framework", ["langchain", "llama-index", "haystack", "llm", "txtai"])
def test_blocks_of_a_page_run_in_order(framework: str, tmp_path: Path) -> None:
    need(framework)
    script = tmp_path / "page.py"
    blocks = python_blocks(DOCS / f"howto-{framework}.md")
    assert blocks
    script.write_text("\n".join(blocks), encoding="utf-8")
    run(tmp_path, str(script))
