"""A `MultiVectorEncoder` of random weights, saved to a folder in a second."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "river", "stone", "lamp", "bread", "."]


def save_model(folder: Path) -> None:
    """Its documents have neither a row for the full stop nor for [CLS] and [SEP]."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    with TemporaryDirectory() as bert:
        _save_bert(Path(bert))
        MultiVectorEncoder(
            modules=[
                Transformer(bert),
                MultiVectorMask(skiplist_words=[".", "[CLS]", "[SEP]"]),
                Normalize(module_input_name="token_embeddings"),
            ],
            device="cpu",
        ).save_pretrained(str(folder))


def _save_bert(folder: Path) -> None:
    """A one-layer BERT of random weights, with a vocabulary of `WORDS`."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {"unk": "[UNK]", "pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=32,
        **{f"{name}_token": token for name, token in special.items()},
    ).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "max_position_embeddings": 32}
    BertModel(
        BertConfig(vocab_size=len(WORDS), num_hidden_layers=1, num_attention_heads=2, **sizes)
    ).save_pretrained(folder)
