"""The wrapper of `MultiVectorEncoder`, with a real one: a tiny BERT of random weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
sentence_transformers = pytest.importorskip("sentence_transformers", minversion="6")

from mvdb import encoders  # noqa: E402
from mvdb.encoders.sentence import SentenceEncoder  # noqa: E402
from mvdb.errors import InvalidInputError  # noqa: E402
from tests.encoders.tiny_models import HIDDEN as DIM  # noqa: E402
from tests.encoders.tiny_models import save_bert  # noqa: E402


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    folder = tmp_path_factory.mktemp("models")
    save_bert(folder / "bert")
    model = sentence_transformers.MultiVectorEncoder(
        modules=[
            Transformer(str(folder / "bert")),
            MultiVectorMask(skiplist_words=[".", ",", "[CLS]", "[SEP]"]),
            Normalize(module_input_name="token_embeddings"),
        ],
        device="cpu",
    )
    model.save_pretrained(str(folder / "tiny"))
    return folder / "tiny"


@pytest.fixture(scope="module")
def encoder(model_folder: Path) -> SentenceEncoder:
    return SentenceEncoder(model_folder, device="cpu", local_files_only=True)


def test_load(model_folder: Path) -> None:
    for argument in (model_folder, str(model_folder)):
        encoder = encoders.load(argument)
        assert isinstance(encoder, SentenceEncoder)
        assert isinstance(encoder, encoders.Encoder)
        assert encoder.dim == DIM
        assert encoder.name == "tiny"


def test_arrays_follow_the_models_rows(encoder: SentenceEncoder) -> None:
    texts = ["river stone, lamp.", "lamp", "stone stone"]
    documents, queries = encoder.encode_documents(texts), encoder.encode_queries(texts)
    assert [len(array) for array in documents] == [3, 1, 2]
    assert [len(array) for array in queries] == [7, 3, 4]
    for array in documents + queries:
        assert array.dtype == np.float32
        assert array.shape[1] == DIM
        np.testing.assert_allclose(np.linalg.norm(array, axis=1), 1, atol=1e-5)


def test_same_vectors_as_the_model(encoder: SentenceEncoder, model_folder: Path) -> None:
    model = sentence_transformers.MultiVectorEncoder(str(model_folder), device="cpu")
    text = "river stone, lamp."
    np.testing.assert_allclose(
        encoder.encode_documents([text])[0],
        model.encode_document(text, convert_to_numpy=True),
        atol=1e-6,
    )
    np.testing.assert_allclose(
        encoder.encode_queries([text])[0],
        model.encode_query(text, convert_to_numpy=True),
        atol=1e-6,
    )


def test_no_document_is_without_rows(encoder: SentenceEncoder) -> None:
    documents = encoder.encode_documents(["river", ".", "", "stone lamp"])
    assert [len(array) for array in documents] == [1, 3, 2, 2]


def test_no_texts_no_arrays(encoder: SentenceEncoder) -> None:
    assert encoder.encode_documents([]) == []
    assert encoder.encode_queries([]) == []


def test_one_str_is_not_a_sequence_of_texts(encoder: SentenceEncoder) -> None:
    with pytest.raises(TypeError, match="sequence"):
        encoder.encode_documents("river")
    with pytest.raises(TypeError, match="sequence"):
        encoder.encode_queries("river")


def test_token_pooling(model_folder: Path) -> None:
    pooling = pytest.importorskip(
        "sentence_transformers.multi_vector_encoder.modules"
    ).HierarchicalTokenPooling(pool_factor=2)
    encoder = SentenceEncoder(model_folder, token_pooling=pooling, device="cpu")
    assert encoder.pooling == "HierarchicalTokenPooling"
    text = "river stone lamp river stone lamp river stone"
    assert len(encoder.encode_documents([text])[0]) < 8
    assert len(encoder.encode_queries([text])[0]) == 10


def test_loaded_model_needs_a_name(model_folder: Path) -> None:
    model = sentence_transformers.MultiVectorEncoder(str(model_folder), device="cpu")
    with pytest.raises(InvalidInputError, match="name"):
        SentenceEncoder(model)
    assert SentenceEncoder(model, name="mine").name == "mine"


def test_prompts_and_revision_are_part_of_the_identity(model_folder: Path) -> None:
    prompts = {"query": "[Q] ", "document": "[D] "}
    encoder = SentenceEncoder(model_folder, device="cpu", prompts=prompts, revision="2")
    assert encoder.prefix == '{"query": "[Q] ", "document": "[D] "}'
    assert encoder.revision == "2"
    assert SentenceEncoder(model_folder, device="cpu").prefix is None


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_other_backends(model_folder: Path, encoder: SentenceEncoder, backend: str) -> None:
    if importlib.util.find_spec("optimum") is None:
        with pytest.raises(ImportError, match=rf"pip install 'sentence-transformers\[{backend}\]'"):
            encoders.load(model_folder, backend=backend)
        return
    other = encoders.load(model_folder, backend=backend)
    for left, right in zip(
        other.encode_documents(["river stone", "lamp"]),
        encoder.encode_documents(["river stone", "lamp"]),
        strict=True,
    ):
        np.testing.assert_allclose(left, right, atol=1e-3)


def test_no_such_model(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        SentenceEncoder(tmp_path / "absent", local_files_only=True)
