"""Models of a few kilobytes, made on the spot: a vocabulary of a dozen words, random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mvdb.encoders.onnx_graph import Graph

WORDS = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS += ["[Q] ", "[D] ", "river", "stone", "lamp", ".", ","]
HIDDEN = 12


def save_tokenizer(folder: Path) -> None:
    """`tokenizer.json` of a BERT, and the files beside it that libraries ask for."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    number = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(number, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", number["[SEP]"]), ("[CLS]", number["[CLS]"])
    )
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[Q] ", "[D] "])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {
        "unk_token": "[UNK]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    limits = {"model_max_length": 64, "tokenizer_class": "BertTokenizer"}
    save_json(folder / "special_tokens_map.json", special)
    save_json(folder / "tokenizer_config.json", {**special, **limits})
    save_json(folder / "config.json", {"pad_token_id": 0, "model_type": "bert"})


def save_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def table(dim: int) -> Any:
    """A row for each token."""
    rows = np.random.default_rng(dim).normal(size=(len(WORDS), dim))
    return rows.astype(np.float32)


def save_onnx(path: Path, dim: int, output: str = "contextual") -> None:
    """A model whose row of a token is the token's row of `table` and half of the mean row of the
    tokens that are attended to."""
    graph = Graph()
    ids = graph.input("input_ids", np.int64, ["batch", "length"])
    mask = graph.input("attention_mask", np.int64, ["batch", "length"])
    [rows] = graph.add("Gather", graph.constant(table(dim)), ids)
    [seen] = graph.add("Cast", mask, to=1)
    [column] = graph.add("Unsqueeze", seen, graph.constant(np.array([2])))
    [shown] = graph.add("Mul", rows, column)
    [total] = graph.add("ReduceSum", shown, graph.constant(np.array([1])), keepdims=1)
    [count] = graph.add("ReduceSum", column, graph.constant(np.array([1])), keepdims=1)
    [mean] = graph.add("Div", total, count)
    [half] = graph.add("Mul", mean, graph.constant(np.array([0.5], np.float32)))
    [rows] = graph.add("Add", rows, half)
    graph.output(output, rows, ["batch", "length", dim])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(graph.model())
    assert not graph.arrays, "small enough to be in the file"


def expected_rows(tokens: list[str], seen: list[bool], dim: int, head: Any = None) -> Any:
    """Unit rows of that model for these tokens, in numpy."""
    given = table(dim)[[WORDS.index(token) for token in tokens]]
    rows = given + given[np.array(seen)].mean(axis=0) / 2
    rows = rows if head is None else rows @ head.T
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def save_bert(folder: Path) -> None:
    """A one-layer BERT of random weights, and its tokenizer, for transformers."""
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    save_tokenizer(folder)
    PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=HIDDEN,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
