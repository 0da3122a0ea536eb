"""How an exported ColBERT model treats texts: the settings in its folder.

The first of these files that the folder has is read, a JSON object; every key may be absent:

| file | written by | keys |
|---|---|---|
| ``onnx_config.json``, ``config_sentence_transformers.json`` | PyLate and its exporters | \
``query_prefix`` ``document_prefix`` ``query_length`` ``document_length`` ``do_query_expansion`` \
``attend_to_expansion_tokens`` ``skiplist_words`` |
| ``artifact.metadata`` | Stanford's ColBERT | ``query_token_id`` ``doc_token_id`` \
``query_maxlen`` ``doc_maxlen`` ``attend_to_mask_tokens`` ``mask_punctuation`` |

Without any of them: no prefix, no expansion, nothing skipped.
"""

from __future__ import annotations

import json
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvdb.errors import InvalidInputError, PathNotFoundError, shown

_PYLATE_FILES = ("onnx_config.json", "config_sentence_transformers.json")
_STANFORD_FILE = "artifact.metadata"
_LONGEST = 1 << 20


@dataclass(frozen=True)
class ColbertSettings:
    """Prefixes are tokens of the vocabulary, `""` for none; lengths count all tokens."""

    query_prefix: str = ""
    document_prefix: str = ""
    query_length: int = 32
    document_length: int = 180
    expands_queries: bool = False
    attends_to_expansion: bool = False
    skipped: tuple[str, ...] = ()


def read_settings(folder: Path) -> ColbertSettings:
    """The settings of a folder.

    Raises:
        InvalidInputError: the file is no JSON object, or a value has the wrong type.
    """
    for name in (*_PYLATE_FILES, _STANFORD_FILE):
        path = folder / name
        if path.is_file():
            reader = _Reader(path)
            return _stanford(reader) if name == _STANFORD_FILE else _pylate(reader)
    return ColbertSettings()


def only_file(folder: Path, name: str, purpose: str) -> Path:
    """A file that the folder must have; PathNotFoundError without it."""
    path = folder / name
    if not path.is_file():
        raise PathNotFoundError(f"{folder}: no {name}, {purpose}; export the model with it")
    return path


def _pylate(reader: _Reader) -> ColbertSettings:
    words = reader.get("skiplist_words", list, list(string.punctuation))
    if not all(isinstance(word, str) for word in words):
        reader.refuse("skiplist_words", words)
    return ColbertSettings(
        query_prefix=reader.get("query_prefix", str, "[Q] "),
        document_prefix=reader.get("document_prefix", str, "[D] "),
        query_length=reader.length("query_length", 32),
        document_length=reader.length("document_length", 180),
        expands_queries=reader.get("do_query_expansion", bool, True),
        attends_to_expansion=reader.get("attend_to_expansion_tokens", bool, False),
        skipped=tuple(words),
    )


def _stanford(reader: _Reader) -> ColbertSettings:
    skips = reader.get("mask_punctuation", bool, True)
    return ColbertSettings(
        query_prefix=reader.get("query_token_id", str, "[unused0]"),
        document_prefix=reader.get("doc_token_id", str, "[unused1]"),
        query_length=reader.length("query_maxlen", 32),
        document_length=reader.length("doc_maxlen", 180),
        expands_queries=True,
        attends_to_expansion=reader.get("attend_to_mask_tokens", bool, False),
        skipped=tuple(string.punctuation) if skips else (),
    )


class _Reader:
    """Values of a JSON object, with their types checked. A null is an absent value."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._values = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(f"{path}: no JSON ({error})") from None
        if not isinstance(self._values, dict):
            raise InvalidInputError(f"{path}: a JSON object is needed")

    def get(self, key: str, kind: type, default: Any) -> Any:
        value = self._values.get(key)
        if value is None:
            return default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.refuse(key, value)
        return value

    def length(self, key: str, default: int) -> int:
        value: int = self.get(key, int, default)
        if not 4 <= value <= _LONGEST:
            self.refuse(key, value)
        return value

    def refuse(self, key: str, value: Any) -> None:
        raise InvalidInputError(f"{self._path}: {key} is {shown(value)}")
