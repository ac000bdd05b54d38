"""Features: how the instances of a prediction become rows of x. One file for each form of instances."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from core.data.features.arrays import ArrayFeatures
from core.data.features.sequences import SequenceFeatures
from core.data.features.table import TableFeatures

Features = ArrayFeatures | SequenceFeatures | TableFeatures

FEATURES: Mapping[str, type[Features]] = MappingProxyType(
    {"arrays": ArrayFeatures, "sequences": SequenceFeatures, "table": TableFeatures}
)
"""Features by their `type` in JSON."""


def features_from_json(json: dict[str, Any]) -> Features:
    """Return the features that `to_json` wrote."""
    return FEATURES[json["type"]].from_json(json)
