"""The wrapper of PyLate's `ColBERT`, with a real one: a tiny BERT of random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

models = pytest.importorskip("pylate.models", reason="the extra pylate is not installed")

from mvdb import encoders  # noqa: E402
from mvdb.encoders.pylate_encoder import PylateEncoder  # noqa: E402
from mvdb.errors import InvalidInputError, PathError  # noqa: E402
from tests.encoders.tiny_models import save_bert  # noqa: E402

DIM = 6
TEXTS = ["river stone, lamp.", "lamp", "stone stone"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_bert(folder / "bert")
    model = models.ColBERT(
        str(folder / "bert"), device="cpu", embedding_size=DIM, query_length=12, document_length=16
    )
    model.save(str(folder / "tiny"), create_model_card=False)
    return folder / "tiny"


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Any:
    return encoders.load(f"pylate:{folder}", device="cpu")


def test_load(encoder: Any) -> None:
    assert isinstance(encoder, PylateEncoder)
    assert isinstance(encoder, encoders.Encoder)
    assert (encoder.dim, encoder.name, encoder.pooling) == (DIM, "tiny", "none")
    assert (encoder.prefix, encoder.revision) == ('{"query": "[Q] ", "document": "[D] "}', None)


def test_same_vectors_as_the_model(encoder: Any, folder: Path) -> None:
    model = models.ColBERT(str(folder), device="cpu")
    for method, is_query in ((encoder.encode_documents, False), (encoder.encode_queries, True)):
        expected = model.encode(TEXTS, is_query=is_query, show_progress_bar=False)
        for rows, right in zip(method(TEXTS), expected, strict=True):
            assert rows.dtype == np.float32
            np.testing.assert_allclose(rows, right, atol=1e-6)
    assert [len(rows) for rows in encoder.encode_queries(TEXTS)] == [12] * 3


def test_pooling_lessens_rows(folder: Path) -> None:
    encoder = PylateEncoder(folder, pool_factor=2, device="cpu")
    assert encoder.pooling == "hierarchical, 2"
    text = "river stone lamp river stone lamp"
    all_rows = PylateEncoder(folder, device="cpu").encode_documents([text])[0]
    assert len(encoder.encode_documents([text])[0]) < len(all_rows)


def test_no_texts_and_one_text(encoder: Any) -> None:
    assert encoder.encode_documents([]) == encoder.encode_queries([]) == []
    for method in (encoder.encode_documents, encoder.encode_queries):
        with pytest.raises(TypeError, match="sequence"):
            method("stone")


def test_wrong_arguments(folder: Path, tmp_path: Path) -> None:
    for wrong in ({"batch_size": 0}, {"pool_factor": 0}):
        with pytest.raises(InvalidInputError, match=next(iter(wrong))):
            PylateEncoder(folder, **wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="name"):
        PylateEncoder(models.ColBERT(str(folder), device="cpu"))
    with pytest.raises(PathError, match="absent"):
        PylateEncoder(tmp_path / "absent", local_files_only=True)
