"""The wrapper of fastembed's models, with a tiny model in place of a published one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastembed", reason="the extra fastembed is not installed")

from mvdb import encoders
from mvdb.encoders.fastembed_encoder import FastembedEncoder
from mvdb.errors import InvalidInputError, PathError
from tests.encoders.tiny_models import expected_rows, save_onnx, save_tokenizer

NAME = "colbert-ir/colbertv2.0"
DIM = 128


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_tokenizer(tmp_path)
    save_onnx(tmp_path / "model.onnx", DIM)
    return tmp_path


@pytest.fixture
def encoder(folder: Path) -> Any:
    return encoders.load(f"fastembed:{NAME}", specific_model_path=str(folder), threads=1)


def test_load(encoder: Any) -> None:
    assert isinstance(encoder, FastembedEncoder)
    assert isinstance(encoder, encoders.Encoder)
    assert (encoder.dim, encoder.name, encoder.pooling) == (DIM, NAME, "none")


def test_rows_of_a_document_and_a_query(encoder: Any) -> None:
    tokens = ["[CLS]", "[unused1]", "river", "stone", ".", "[SEP]"]
    expected = expected_rows(tokens, [True] * 6, DIM)[[0, 1, 2, 3, 5]]
    [rows] = encoder.encode_documents(["River stone."])
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    assert encoder.encode_queries(["stone"])[0].shape == (32, DIM)


def test_no_texts_and_one_text(encoder: Any) -> None:
    assert encoder.encode_documents([]) == encoder.encode_queries([]) == []
    for method in (encoder.encode_documents, encoder.encode_queries):
        with pytest.raises(TypeError, match="sequence"):
            method("stone")


def test_wrong_arguments(folder: Path) -> None:
    with pytest.raises(PathError, match="no model that fastembed can load"):
        encoders.load("fastembed:no/such-model")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(PathError, match=r"tokenizer\.json"):
        FastembedEncoder(NAME, specific_model_path=str(folder))
    with pytest.raises(InvalidInputError, match="batch_size"):
        FastembedEncoder(NAME, batch_size=0, specific_model_path=str(folder))
