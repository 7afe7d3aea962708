"""WordPiece tokenizers, learned from the training texts alone."""

import string
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
"""Special tokens, with ids from 0: padding, unknown, the first of a text, the last of a text."""

BLOCK = 10_000
"""Texts encoded at once: while it is made, an encoding takes a hundred times the memory of its token ids."""


@dataclass(frozen=True)
class Tokenizer:
    """Token ids of texts as in BERT: lower case, no accents, [CLS] before and [SEP] after."""

    model: Any
    """A `tokenizers.Tokenizer`."""

    @classmethod
    def learned(cls, texts: list[str], vocabulary: int, length: int) -> "Tokenizer":
        """At most `vocabulary` word pieces; the same texts give the same ones in every process.

        Source: Wu et al. 2016 (word pieces), Devlin et al. 2019 (BERT).
        """
        return cls(_model(_vocabulary(texts, vocabulary), length))

    @property
    def vocabulary(self) -> dict[str, int]:
        """Word piece -> token id."""
        return self.model.get_vocab()

    def __call__(self, texts: list[str]) -> Int64[Tensor, "texts length"]:
        """Token ids, truncated or padded to the length."""
        tokens = torch.empty(len(texts), self.model.padding["length"], dtype=torch.int64)
        for start in range(0, len(texts), BLOCK):
            encodings = self.model.encode_batch_fast(texts[start : start + BLOCK])
            tokens[start : start + BLOCK] = torch.tensor([encoding.ids for encoding in encodings])
        return tokens


def _vocabulary(texts: list[str], size: int) -> dict[str, int]:
    """The most frequent word pieces, with their ids.

    The trainer numbers the letters that continue a word by a hash seeded anew in each process, and breaks ties by
    number; so that ids are reproducible, these letters are numbered here and given to it as special tokens.
    """
    from tokenizers import trainers

    letters = _letters(texts, (size - len(SPECIAL)) // 2)
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=[*SPECIAL, *(f"##{letter}" for letter in letters)],
        initial_alphabet=letters,
        limit_alphabet=len(letters),
        show_progress=False,
    )
    model = _model({token: number for number, token in enumerate(SPECIAL)}, length=None)
    model.train_from_iterator(texts, trainer)
    return model.get_vocab()


def _letters(texts: list[str], count: int) -> list[str]:
    """The most frequent letters, sorted; ties are broken by code point."""
    from tokenizers.normalizers import BertNormalizer

    normalizer, counts = BertNormalizer(lowercase=True), Counter[str]()
    for text in texts:
        counts.update(normalizer.normalize_str(text))
    letters = sorted(counts.keys() - set(string.whitespace), key=lambda letter: (-counts[letter], letter))
    return sorted(letters[:count])


def _model(vocabulary: dict[str, int], length: int | None) -> Any:
    """The pipeline from text to token ids; without a length nothing is truncated or padded."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    model = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 - no password
    model.normalizer = normalizers.BertNormalizer(lowercase=True)
    model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if length is not None:
        ends = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
        model.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
        model.enable_truncation(length)
        model.enable_padding(length=length, pad_id=vocabulary["[PAD]"])
    return model
