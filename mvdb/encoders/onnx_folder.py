"""A folder with an exported ColBERT model: an ONNX file, a tokenizer and settings.

1. The tokenizer of ``tokenizer.json`` makes the tokens, with its special tokens; they are cut to
   the greatest length.
2. The prefix token follows the first token.
3. A query is filled up to its length with mask tokens ("query expansion"; Khattab and Zaharia
   2020), which the others see or not, as the settings say. All of its rows are kept.
4. A document's rows of skipped tokens (punctuation) are dropped.
5. A linear head beside the graph (``1_Dense/model.safetensors``) is applied when the graph's output
   is called ``last_hidden_state``, the name of a transformer's output without head.
6. Rows have unit length.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from mvdb.arguments import one_of
from mvdb.encoders.colbert_settings import only_file, read_settings
from mvdb.encoders.encoder_rows import Rows, as_list, model_name, never_empty, prefix_text
from mvdb.encoders.parallel_runs import ParallelRuns
from mvdb.encoders.sessions import Session
from mvdb.errors import InvalidInputError, PathError, PathNotFoundError

_MASKS = ("[MASK]", "<mask>")
_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
_HEAD = Path("1_Dense", "model.safetensors")
_HIDDEN = "last_hidden_state"
_NOWHERE = (0, 0)


@dataclass(frozen=True)
class _Text:
    """Tokens of a text: numbers, which of them the model attends to, which have a row, spans."""

    tokens: list[int]
    seen: list[bool]
    kept: list[bool]
    spans: list[tuple[int, int]]


class OnnxEncoder:
    """An exported ColBERT model as an :class:`mvdb.encoders.Encoder`, on ONNX Runtime.

    Args:
        folder: with the ONNX model, ``tokenizer.json`` and, with PyLate's or Stanford's names, the
            settings (:mod:`mvdb.encoders.colbert_settings`).
        file: the model's file in the folder; by default ``model.onnx`` or the only ``*.onnx``.
        threads: texts that are encoded at the same time, each on a thread of its own, 1 to 1024;
            ``None``: one for each processor that the process may use.
        name: kept in database files; by default the folder's name, with that of a ``file`` other
            than ``model.onnx``.
        revision: kept in database files; none by default.

    A text longer than the settings' ``document_length`` is cut there.

    Raises:
        PathNotFoundError: the folder or one of its files is missing.
        PathError: a file is no model or tokenizer.
        InvalidInputError: a setting is wrong, the model has inputs other than ``input_ids``,
            ``attention_mask`` and ``token_type_ids``, or a prefix is no token of the tokenizer.
    """

    pooling = "none"

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        file: str | None = None,
        threads: int | None = None,
        name: str | None = None,
        revision: str | None = None,
    ) -> None:
        self._folder = Path(folder)
        path = _model_file(self._folder, file)
        self._runs = ParallelRuns(threads)
        settings = self._settings = read_settings(self._folder)
        self._queries = _Side(self._folder, settings.query_prefix, settings.query_length)
        self._documents = _Side(self._folder, settings.document_prefix, settings.document_length)
        number = self._queries.tokenizer.token_to_id
        self._mask = next((n for n in map(number, _MASKS) if n is not None), None)
        self._skipped = {number(word) for word in settings.skipped}
        self._session = _session(path)
        self._head = _head(self._folder) if self._session.outputs[0] == _HIDDEN else None
        stem = "" if path.name == "model.onnx" else f"-{path.stem}"
        self.name = name or model_name(str(folder)) + stem
        self.revision = revision
        self.prefix = prefix_text(settings.query_prefix, settings.document_prefix)
        self.dim = self._probe().shape[1]

    def encode_documents(self, texts: Sequence[str]) -> list[Rows]:
        """One (n, dim) float32 array of unit rows per text; n >= 1."""
        given = as_list(texts)
        rows = self._encode([self._document(text) for text in given])
        return never_empty(rows, given, self.encode_queries)

    def encode_queries(self, texts: Sequence[str]) -> list[Rows]:
        """One (m, dim) float32 array of unit rows per text."""
        return self._encode([self._query(text) for text in as_list(texts)])

    def tokens(
        self, texts: Sequence[str], kind: Literal["document", "query"] = "document"
    ) -> list[list[tuple[int, int]]]:
        """For each row of ``encode_documents(texts)`` or ``encode_queries(texts)`` the characters
        ``text[start:end]``; ``(0, 0)`` for special, prefix and mask tokens.

        Raises:
            InvalidInputError: ``kind`` is neither ``"document"`` nor ``"query"``.
        """
        one_of("kind", kind, ("document", "query"))
        found = []
        for text in as_list(texts):
            made = self._query(text) if kind == "query" else self._document(text)
            if not any(made.kept):
                made = self._query(text)
            found.append([s for s, kept in zip(made.spans, made.kept, strict=True) if kept])
        return found

    def _probe(self) -> Rows:
        try:
            return self.encode_queries(["a"])[0]
        except InvalidInputError:
            raise
        except Exception as error:  # ONNX Runtime's own, which have no common base
            reason = " ".join(str(error).split())
            raise PathError(f"{self._folder}: the model does not run ({reason})") from error

    def _encode(self, texts: list[_Text]) -> list[Rows]:
        made = self._runs.map(self._rows, [(*zip(t.tokens, t.seen, strict=True),) for t in texts])
        return [rows[np.array(text.kept)] for text, rows in zip(texts, made, strict=True)]

    def _rows(self, tokens: Sequence[tuple[int, bool]]) -> Rows:
        """Unit rows for numbers of tokens, each with whether the others see it."""
        numbers, seen = np.array(tokens, dtype=np.int64).T[:, None, :]
        inputs = {
            "input_ids": numbers,
            "attention_mask": seen,
            "token_type_ids": np.zeros_like(numbers),
        }
        feed = {name: inputs[name] for name in self._session.inputs}
        rows = self._session.run(self._session.outputs[0], feed)
        if rows.ndim != 3 or rows.shape[:2] != (1, len(tokens)):
            raise InvalidInputError(
                f"{self._folder}: the model's output has shape {rows.shape}; a row for each of"
                f" {len(tokens)} tokens is needed"
            )
        found: NDArray[np.float32] = rows[0].astype(np.float32)
        if self._head is not None:
            found = found @ self._head
        lengths: Rows = np.linalg.norm(found, axis=1, keepdims=True)
        unit: Rows = found / np.maximum(lengths, np.finfo(np.float32).tiny)
        return unit

    def _document(self, text: str) -> _Text:
        made = self._documents.tokens(text)
        kept = [token not in self._skipped for token in made.tokens]
        return replace(made, kept=kept)

    def _query(self, text: str) -> _Text:
        settings = self._settings
        made = self._queries.tokens(text)
        missing = settings.query_length - len(made.tokens) if settings.expands_queries else 0
        if missing <= 0:
            return made
        if self._mask is None:
            raise InvalidInputError(
                f"{self._folder}: queries are expanded, and the tokenizer has none of the tokens"
                f" {', '.join(_MASKS)}"
            )
        return _Text(
            made.tokens + [self._mask] * missing,
            made.seen + [settings.attends_to_expansion] * missing,
            made.kept + [True] * missing,
            made.spans + [_NOWHERE] * missing,
        )


class _Side:
    """The tokens of documents, or of queries."""

    def __init__(self, folder: Path, prefix: str, length: int) -> None:
        self.tokenizer = _tokenizer(folder)
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(length - bool(prefix))
        self._prefix = None
        if prefix:
            numbers = map(self.tokenizer.token_to_id, (prefix, prefix.strip()))
            self._prefix = next((number for number in numbers if number is not None), None)
            if self._prefix is None:
                raise InvalidInputError(
                    f"{folder}: the prefix {prefix!r} is no token of tokenizer.json"
                )

    def tokens(self, text: str) -> _Text:
        """A text's tokens with the prefix token, all seen and kept."""
        encoding = self.tokenizer.encode(text)
        tokens, spans = list(encoding.ids), list(encoding.offsets)
        if self._prefix is not None:
            tokens.insert(1, self._prefix)
            spans.insert(1, _NOWHERE)
        return _Text(tokens, [True] * len(tokens), [True] * len(tokens), spans)


def _model_file(folder: Path, file: str | None) -> Path:
    if not folder.is_dir():
        raise PathNotFoundError(f"{folder}: no such folder")
    if file is not None or (folder / "model.onnx").is_file():
        return only_file(folder, file or "model.onnx", "the model")
    found = sorted(path.name for path in folder.glob("*.onnx"))
    if len(found) != 1:
        which = f"several ({', '.join(found)}); name one with file=" if found else "none"
        raise PathNotFoundError(f"{folder}: one ONNX model is needed; there are {which}")
    return folder / found[0]


def _tokenizer(folder: Path) -> Tokenizer:
    path = only_file(folder, "tokenizer.json", "the tokenizer")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises Exception itself
        raise PathError(f"{path}: no tokenizer ({error})") from error


def _session(path: Path) -> Session:
    try:
        session = Session(str(path), {})
    except Exception as error:  # ONNX Runtime's own, which have no common base
        reason = " ".join(str(error).split())
        raise PathError(f"{path}: no model that ONNX Runtime can load ({reason})") from error
    unknown = set(session.inputs) - _INPUTS
    if unknown:
        raise InvalidInputError(
            f"{path}: the model has inputs {', '.join(sorted(unknown))}; only"
            f" {', '.join(sorted(_INPUTS))} are known"
        )
    return session


def _head(folder: Path) -> NDArray[np.float32] | None:
    """The linear head beside the graph, (hidden, dim); None without one."""
    path = folder / _HEAD
    if not path.is_file():
        return None
    from safetensors.numpy import load_file

    try:
        weight: Any = load_file(path)["linear.weight"]
    except Exception as error:  # safetensors raises an exception of its own, or KeyError
        raise PathError(f"{path}: no linear head ({error})") from error
    return np.ascontiguousarray(weight.T, dtype=np.float32)
