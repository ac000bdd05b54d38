"""Encoders, one per file: each turns one column of a table into numbers of the net's input."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from core.data.encoders.encoder import ColumnEncoder
from core.data.encoders.one_hot import OneHot
from core.data.encoders.standard import Standardize
from core.data.schema import Column, ColumnType
from core.nn.tagged_union import members

Encoder = Standardize | OneHot

ENCODERS: Mapping[str, type[Encoder]] = MappingProxyType(members(Encoder))
"""Encoders by their `type` in JSON."""

DEFAULT_ENCODERS: Mapping[ColumnType, type[ColumnEncoder]] = MappingProxyType(
    {"number": Standardize, "category": OneHot}
)
"""The encoder of a column by the column's type."""


def default_encoder(column: Column) -> type[ColumnEncoder]:
    """Return the encoder class of a column of numbers or categories."""
    return DEFAULT_ENCODERS[column.type]


def encoder_from_json(json: dict[str, Any]) -> ColumnEncoder:
    """Return the encoder that `to_json` wrote."""
    return ENCODERS[json["type"]].from_json(json)
