"""Targets, one per file: what a net learns to predict, and how its outputs become answers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from core.data.targets.classes import Classes
from core.data.targets.embeddings import Embeddings
from core.data.targets.labels import Labels
from core.data.targets.numbers import Numbers
from core.data.targets.standardized import Standardized
from core.nn.tagged_union import members

SourceTarget = Numbers | Classes
"""Targets that data sources find; a loss may turn them into `Labels` or `Embeddings`, an encoder into
`Standardized`."""

Target = SourceTarget | Standardized | Labels | Embeddings

TARGETS: Mapping[str, type[Target]] = MappingProxyType(members(Target))
"""Targets by their `type` in JSON."""


def target_from_json(json: dict[str, Any]) -> Target:
    """Return the target that `to_json` wrote."""
    return TARGETS[json["type"]].from_json(json)
