"""Texts as the ids of their subwords, learnt by SentencePiece.

Byte-pair encoding is by Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units"
(2016); the unigram model by Kudo, "Subword Regularization" (2018).
"""

import io
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import sentencepiece
from annotated_types import Ge, Le
from numpy.typing import NDArray

from core.data.encoders.tokens import PADDING, UNKNOWN, TokenEncoder, TokenOptions, most_frequent, normalized
from core.data.schema import Column

MAX_SENTENCES = 200_000
"""Training rows that the subwords are learnt from, evenly spread over all of them."""
MAX_SENTENCE_BYTES = 4096
"""Bytes of such a row that are read."""
RESERVED = 4
"""Ids that are no characters: padding, unknown characters, the mark of a blank, and one to spare."""
LOG_ERRORS_ONLY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SubwordsOptions(TokenOptions):
    """Texts: the id of each subword, for an embedding layer; frequent words are whole, rare ones in several parts.

    Subwords are learnt from the training rows by SentencePiece, as byte pairs (the pair of neighbours that is most
    frequent is merged, again and again) or as a unigram model (the subwords that make the texts most probable).
    Ids are 0 for padding, 1 for unknown characters.
    """

    type: Literal["subwords"] = "subwords"
    """`subwords`."""

    length: Annotated[int, Ge(1), Le(65_536)] = 64
    """Ids of each text: longer ones are cut at the end, shorter ones padded with 0."""

    vocabulary: Annotated[int, Ge(8), Le(64_000)] = 1000
    """Ids at most, those for padding and unknown characters among them: the `input_dim` of an embedding layer."""

    model: Literal["bpe", "unigram"] = "bpe"
    """`bpe` for byte pairs, or `unigram`."""

    lower: bool = False
    """Whether upper case is read as lower case."""

    def fit(self, column: Column, values: NDArray[Any], *, scaled: bool) -> "Subwords":
        """Return the encoder with the subwords of texts `(rows,)`, None for missing ones."""
        step = -(-len(values) // MAX_SENTENCES) or 1
        texts = [normalized(text, self.length, lower=self.lower) for text in values[::step]]
        learnt = _learn([text for text in texts if text.strip()], self.vocabulary, self.model)
        return Subwords(
            column=column.name, length=self.length, lower=self.lower, sentencepiece=b64encode(learnt).decode()
        )


@dataclass(frozen=True, kw_only=True)
class Subwords(TokenEncoder):
    """A column of texts: the ids of their first subwords."""

    type: Literal["subwords"] = "subwords"
    """`subwords`."""

    sentencepiece: str
    """SentencePiece's model, in base64."""

    @cached_property
    def _processor(self) -> Any:
        return sentencepiece.SentencePieceProcessor(model_proto=b64decode(self.sentencepiece))

    def ids(self, text: str | None) -> list[int]:
        """Return the ids of the first subwords of a text."""
        found: list[int] = self._processor.encode(normalized(text, self.length, lower=self.lower))
        return found[: self.length]


def _learn(texts: Sequence[str], vocabulary: int, model: str) -> bytes:
    """Return SentencePiece's model of texts; in one thread, so that it is the same for the same texts."""
    file = io.BytesIO()
    kept = set(most_frequent(texts, vocabulary - RESERVED))
    shortened = ("".join(character if character in kept else " " for character in text) for text in texts)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=shortened if texts else iter("-"),
        model_writer=file,
        model_type=model,
        character_coverage=1.0,
        normalization_rule_name="identity",  # texts are normalized before; the rules would take 300 kB of each model
        vocab_size=vocabulary,
        hard_vocab_limit=False,
        max_sentence_length=MAX_SENTENCE_BYTES,
        num_threads=1,
        pad_id=PADDING,
        unk_id=UNKNOWN,
        bos_id=-1,
        eos_id=-1,
        minloglevel=LOG_ERRORS_ONLY,
    )
    return file.getvalue()
