"""The programs of the pages about other libraries run as they stand there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.test_readme import DOCS, python_blocks, run


def run_page(page: str, folder: Path) -> str:
    script = folder / "page.py"
    script.write_text("\n".join(python_blocks(DOCS / page)), encoding="utf-8")
    return run(folder, str(script))


def test_pylate(tmp_path: Path) -> None:
    pytest.importorskip("pylate", reason="pylate is not installed")
    printed = run_page("howto-pylate.md", tmp_path).splitlines()
    assert printed[0].startswith("[('bread', ")
    assert printed[1].startswith("[('boat', ")
    assert printed[2] == "2"


def test_sentence_transformers(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers", minversion="6")
    pytest.importorskip("PIL", reason="pillow is not installed")
    from tests.integrations.tiny_model import save_model

    save_model(tmp_path / "model")
    printed = run_page("howto-sentence-transformers.md", tmp_path)
    assert "torch.Size([4, 3, 4])" in printed  # [CLS] river stone [SEP]
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def test_evaluation(tmp_path: Path) -> None:
    pytest.importorskip("ir_measures", reason="ir_measures is not installed")
    printed = run_page("howto-evaluation.md", tmp_path)
    assert "'nDCG@10': 1.0" in printed
