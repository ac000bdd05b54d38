"""Encoders, one per file: each turns one column of a dataset into numbers of the net's input."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from core.data.encoders.boolean import Boolean, BooleanOptions
from core.data.encoders.characters import Characters, CharactersOptions
from core.data.encoders.datetime import Datetime, DatetimeOptions
from core.data.encoders.embedding import Embedding, EmbeddingOptions
from core.data.encoders.encoder import ColumnEncoder, ColumnEncoderOptions
from core.data.encoders.hashing import Hashing, HashingOptions
from core.data.encoders.image import Image, ImageOptions
from core.data.encoders.log import Log, LogOptions
from core.data.encoders.log_mel import LogMel, LogMelOptions
from core.data.encoders.mfcc import Mfcc, MfccOptions
from core.data.encoders.min_max import MinMax, MinMaxOptions
from core.data.encoders.none import NoneOptions, Unscaled
from core.data.encoders.one_hot import OneHot, OneHotOptions
from core.data.encoders.quantile import Quantile, QuantileOptions
from core.data.encoders.robust import Robust, RobustOptions
from core.data.encoders.standard import Standardize, StandardOptions
from core.data.encoders.subwords import Subwords, SubwordsOptions
from core.data.encoders.tags import Tags, TagsOptions
from core.data.encoders.vector import Vector, VectorOptions
from core.data.encoders.waveform import Waveform, WaveformOptions
from core.data.encoders.words import Words, WordsOptions
from core.data.schema import Column, ColumnType
from core.nn.tagged_union import Tagged, members

EncoderOptions = Annotated[
    StandardOptions
    | MinMaxOptions
    | RobustOptions
    | QuantileOptions
    | LogOptions
    | NoneOptions
    | OneHotOptions
    | HashingOptions
    | EmbeddingOptions
    | BooleanOptions
    | TagsOptions
    | DatetimeOptions
    | VectorOptions
    | CharactersOptions
    | WordsOptions
    | SubwordsOptions
    | ImageOptions
    | WaveformOptions
    | LogMelOptions
    | MfccOptions,
    Tagged("Encoder"),
]
"""What a spec says of an encoder."""

Encoder = (
    Standardize
    | MinMax
    | Robust
    | Quantile
    | Log
    | Unscaled
    | OneHot
    | Hashing
    | Embedding
    | Boolean
    | Tags
    | Datetime
    | Vector
    | Characters
    | Words
    | Subwords
    | Image
    | Waveform
    | LogMel
    | Mfcc
)

ENCODERS: Mapping[str, type[Encoder]] = MappingProxyType(members(Encoder))
"""Encoders by their `type` in stored JSON."""

DEFAULT_ENCODERS: Mapping[ColumnType, ColumnEncoderOptions] = MappingProxyType(
    {
        "number": StandardOptions(),
        "category": OneHotOptions(),
        "text": WordsOptions(),
        "datetime": DatetimeOptions(),
        "image": ImageOptions(),
        "audio": LogMelOptions(),
    }
)
"""The encoder of a column by the column's type."""


def default_encoder(column: Column) -> ColumnEncoderOptions:
    """Return the options of the encoder of a column for which a spec names none."""
    return DEFAULT_ENCODERS[column.type]


def encoder_from_json(json: dict[str, Any]) -> ColumnEncoder:
    """Return the encoder that `to_json` wrote."""
    return ENCODERS[json["type"]].from_json(json)
