"""Folders with an exported ColBERT model, beside numpy and beside fastembed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("tokenizers", reason="the extra onnx is not installed")
pytest.importorskip("safetensors", reason="the extra onnx is not installed")

from mvdb import encoders
from mvdb.encoders.onnx_folder import OnnxEncoder
from mvdb.errors import InvalidInputError, PathError, PathNotFoundError
from tests.encoders.tiny_models import (
    expected_rows,
    save_json,
    save_onnx,
    save_tokenizer,
)

DIM = 8
PYLATE = {
    "query_prefix": "[Q] ",
    "document_prefix": "[D] ",
    "query_length": 10,
    "document_length": 9,
    "do_query_expansion": True,
    "attend_to_expansion_tokens": False,
    "skiplist_words": [".", ","],
}
QUERY = ["[CLS]", "[Q] ", "stone", ".", "[SEP]", *["[MASK]"] * 5]
DOCUMENT = ["[CLS]", "[D] ", "river", "stone", ".", "[SEP]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    save_tokenizer(folder)
    save_onnx(folder / "model.onnx", DIM)
    save_json(folder / "onnx_config.json", PYLATE)
    return folder


def check_query(encoder: Any, tokens: list[str], seen: int, **reference: Any) -> None:
    expected = expected_rows(tokens, [i < seen for i in range(len(tokens))], DIM, **reference)
    np.testing.assert_allclose(encoder.encode_queries(["stone."])[0], expected, atol=1e-5)


def test_a_model_with_the_settings_of_pylate(folder: Path) -> None:
    encoder = encoders.load(folder)
    assert isinstance(encoder, OnnxEncoder)
    assert isinstance(encoder, encoders.Encoder)
    assert (encoder.name, encoder.dim, encoder.pooling) == ("tiny", DIM, "none")
    assert (encoder.prefix, encoder.revision) == ('{"query": "[Q] ", "document": "[D] "}', None)
    check_query(encoder, QUERY, 5)
    expected = expected_rows(DOCUMENT, [True] * 6, DIM)[[0, 1, 2, 3, 5]]  # the full stop is skipped
    np.testing.assert_allclose(encoder.encode_documents(["River stone."])[0], expected, atol=1e-5)


def test_expansion_that_is_seen(folder: Path) -> None:
    save_json(folder / "onnx_config.json", {**PYLATE, "attend_to_expansion_tokens": True})
    check_query(OnnxEncoder(folder), QUERY, 10)


def test_no_expansion_and_no_prefix(folder: Path) -> None:
    plain = {**PYLATE, "do_query_expansion": False, "query_prefix": "", "document_prefix": ""}
    save_json(folder / "onnx_config.json", plain)
    encoder = OnnxEncoder(folder)
    assert encoder.prefix is None
    check_query(encoder, ["[CLS]", "stone", ".", "[SEP]"], 4)


def test_a_folder_without_settings(folder: Path) -> None:
    (folder / "onnx_config.json").unlink()
    encoder = OnnxEncoder(folder)
    check_query(encoder, ["[CLS]", "stone", ".", "[SEP]"], 4)
    assert len(encoder.encode_documents(["stone."])[0]) == 4


def test_the_settings_of_stanford(folder: Path) -> None:
    (folder / "onnx_config.json").unlink()
    stanford = {"query_token_id": "[unused0]", "doc_token_id": "[unused1]", "query_maxlen": 10}
    save_json(folder / "artifact.metadata", {**stanford, "mask_punctuation": True})
    encoder = OnnxEncoder(folder)
    check_query(encoder, ["[CLS]", "[unused0]", *QUERY[2:]], 5)
    assert len(encoder.encode_documents(["river stone."])[0]) == 5


def test_a_linear_head_beside_the_graph(folder: Path) -> None:
    from safetensors.numpy import save_file

    head = np.random.default_rng(0).normal(size=(5, DIM)).astype(np.float32)
    (folder / "1_Dense").mkdir()
    save_file({"linear.weight": head}, folder / "1_Dense" / "model.safetensors")
    assert OnnxEncoder(folder).dim == DIM, "the output has another name: the head is in the graph"
    save_onnx(folder / "model.onnx", DIM, output="last_hidden_state")
    encoder = OnnxEncoder(folder)
    assert encoder.dim == 5
    check_query(encoder, QUERY, 5, head=head)


def test_long_texts_are_cut_before_the_last_token(folder: Path) -> None:
    encoder = OnnxEncoder(folder)
    long = "stone " * 40
    rows = encoder.encode_documents([long])[0]
    tokens = ["[CLS]", "[D] ", *["stone"] * 6, "[SEP]"]
    np.testing.assert_allclose(rows, expected_rows(tokens, [True] * 9, DIM), atol=1e-5)
    assert len(encoder.encode_queries([long])[0]) == 10


def test_spans(folder: Path) -> None:
    encoder = OnnxEncoder(folder)
    text = "River stone."
    assert encoder.tokens([text]) == [[(0, 0), (0, 0), (0, 5), (6, 11), (0, 0)]]
    [spans] = encoder.tokens([text], "query")
    assert spans == [(0, 0), (0, 0), (0, 5), (6, 11), (11, 12), *[(0, 0)] * 5]
    with pytest.raises(InvalidInputError, match="kind"):
        encoder.tokens([text], "passage")  # type: ignore[arg-type]


def test_company_and_threads_change_nothing(folder: Path) -> None:
    texts = ["stone", "", "river lamp, stone.", "..."] * 3
    one = OnnxEncoder(folder, threads=1)
    many = OnnxEncoder(folder, threads=3).encode_documents(texts)
    for text, rows in zip(texts, many, strict=True):
        np.testing.assert_array_equal(rows, one.encode_documents([text])[0])


def test_no_document_is_without_rows(folder: Path) -> None:
    skips = [".", "[CLS]", "[SEP]", "[D] "]
    save_json(folder / "onnx_config.json", {**PYLATE, "skiplist_words": skips})
    encoder = OnnxEncoder(folder)
    assert [len(rows) for rows in encoder.encode_documents([".", "river"])] == [10, 1]
    assert list(map(len, encoder.tokens([".", "river"]))) == [10, 1]


def test_no_texts_and_one_text(folder: Path) -> None:
    encoder = OnnxEncoder(folder)
    assert encoder.encode_documents([]) == encoder.encode_queries([]) == []
    for method in (encoder.encode_documents, encoder.encode_queries, encoder.tokens):
        with pytest.raises(TypeError, match="sequence"):
            method("stone")


def test_another_file_and_the_only_file(folder: Path) -> None:
    (folder / "model.onnx").rename(folder / "model_int8.onnx")
    assert OnnxEncoder(folder).name == "tiny-model_int8"
    assert OnnxEncoder(folder, name="mine", revision="2").revision == "2"
    shutil.copy(folder / "model_int8.onnx", folder / "other.onnx")
    with pytest.raises(PathNotFoundError, match=r"model_int8\.onnx, other\.onnx.*file="):
        OnnxEncoder(folder)
    assert OnnxEncoder(folder, file="other.onnx", name="mine").name == "mine"


FAULTS: dict[str, tuple[type[Exception], str]] = {
    "no folder": (PathNotFoundError, "no such folder"),
    "no tokenizer": (PathNotFoundError, r"no tokenizer\.json"),
    "no model": (PathNotFoundError, "one ONNX model is needed; there are none"),
    "a broken tokenizer": (PathError, "no tokenizer"),
    "a broken model": (PathError, "no model that ONNX Runtime can load"),
    "settings that are no JSON": (InvalidInputError, "no JSON"),
    "settings that are a list": (InvalidInputError, "JSON object"),
    "a wrong length": (InvalidInputError, "query_length is 0"),
    "a wrong type": (InvalidInputError, "do_query_expansion is 'yes'"),
    "wrong words": (InvalidInputError, r"skiplist_words is \[1\]"),
    "an unknown prefix": (InvalidInputError, "prefix '>> ' is no token"),
    "other inputs": (InvalidInputError, "inputs pixel_values"),
    "a broken head": (PathError, "no linear head"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_clear_error(folder: Path, fault: str) -> None:
    config = folder / "onnx_config.json"
    if fault == "no folder":
        shutil.rmtree(folder)
    elif fault == "no tokenizer":
        (folder / "tokenizer.json").unlink()
    elif fault == "no model":
        (folder / "model.onnx").unlink()
    elif fault == "a broken tokenizer":
        (folder / "tokenizer.json").write_text("{}")
    elif fault == "a broken model":
        (folder / "model.onnx").write_bytes(b"\xff" * 100)
    elif fault == "settings that are no JSON":
        config.write_text("{")
    elif fault == "settings that are a list":
        config.write_text("[]")
    elif fault == "other inputs":
        content = (folder / "model.onnx").read_bytes()
        (folder / "model.onnx").write_bytes(content.replace(b"attention_mask", b"pixel_values\0\0"))
    elif fault == "a broken head":
        save_onnx(folder / "model.onnx", DIM, output="last_hidden_state")
        (folder / "1_Dense").mkdir()
        (folder / "1_Dense" / "model.safetensors").write_bytes(b"\xff" * 20)
    else:
        wrong = {
            "a wrong length": {"query_length": 0},
            "a wrong type": {"do_query_expansion": "yes"},
            "wrong words": {"skiplist_words": [1]},
            "an unknown prefix": {"query_prefix": ">> "},
        }
        save_json(config, {**PYLATE, **wrong[fault]})
    kind, message = FAULTS[fault]
    with pytest.raises(kind, match=message):
        encoders.load(f"onnx:{folder}")


def test_same_rows_as_fastembed(tmp_path: Path) -> None:
    """fastembed has an implementation of its own of the same steps."""
    pytest.importorskip("fastembed", reason="the extra fastembed is not installed")
    from mvdb.encoders.fastembed_encoder import FastembedEncoder

    folder = tmp_path / "tiny"
    save_tokenizer(folder)
    save_onnx(folder / "model.onnx", 128)
    stanford = {"query_token_id": "[unused0]", "doc_token_id": "[unused1]", "query_maxlen": 32}
    save_json(folder / "artifact.metadata", stanford)
    ours = encoders.load(folder)
    theirs = encoders.load(
        "fastembed:colbert-ir/colbertv2.0", specific_model_path=str(folder), threads=1
    )
    assert isinstance(theirs, FastembedEncoder)
    texts = ["River stone.", "lamp", "stone, river, lamp."]
    for method in ("encode_documents", "encode_queries"):
        pairs = zip(getattr(ours, method)(texts), getattr(theirs, method)(texts), strict=True)
        for our_rows, their_rows in pairs:
            unit = their_rows / np.linalg.norm(their_rows, axis=1, keepdims=True)
            np.testing.assert_allclose(our_rows, unit, atol=1e-5)
