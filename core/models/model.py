"""A trained network with everything fitted beside it: it takes raw records and answers in the target's own words.

It holds no state, so any number of threads may ask it at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from core.data.errors import InvalidInstance
from core.data.features import Features, features_from_json
from core.data.targets import Target, target_from_json
from core.models.checkpoint import Saved, Which
from core.nn.layers.composite import Sequential
from core.nn.layers.embedding import NoSuchEmbedding
from core.nn.losses import Loss
from core.nn.network import Network
from core.nn.predictor import Predictor

_ARCHITECTURE: TypeAdapter[Sequential] = TypeAdapter(Sequential)
_LOSS: TypeAdapter[Loss] = TypeAdapter(Loss)


def describe(architecture: Sequential, loss: Loss, features: Features, target: Target) -> dict[str, Any]:
    """What a prediction needs beside the weights, as JSON."""
    return {
        "architecture": _ARCHITECTURE.dump_python(architecture, mode="json"),
        "loss": _LOSS.dump_python(loss, mode="json"),
        "features": features.to_json(),
        "target": target.to_json(),
    }


@dataclass(frozen=True, slots=True)
class Model:
    """A network that has learnt, and what turns records into its inputs and its outputs into answers."""

    predictor: Predictor
    loss: Loss
    features: Features
    target: Target
    nbytes: int
    """The bytes of weights and statistics."""

    @staticmethod
    def of(saved: Saved, which: Which = "best") -> Model:
        """The model that a checkpoint holds."""
        described: Mapping[str, Any] = saved.model
        features = features_from_json(described["features"])
        weights, statistics = saved.learnt(which)
        network = Network(_ARCHITECTURE.validate_python(described["architecture"]), features.input_shape)
        return Model(
            predictor=Predictor(network, weights, statistics),
            loss=_LOSS.validate_python(described["loss"]),
            features=features,
            target=target_from_json(described["target"]),
            nbytes=weights.nbytes + statistics.nbytes,
        )

    @property
    def network(self) -> Network:
        """Its network."""
        return self.predictor.network

    def predict(self, instances: Any) -> list[dict[str, Any]]:
        """An answer, with its warnings, for each record; `InvalidInstance` where one does not fit."""
        x, warnings = self.features.encode(instances)
        try:
            outputs = self.predictor.answers(x, self.loss.link)
        except NoSuchEmbedding as error:
            raise InvalidInstance(0, "/instances", str(error)) from None
        answers = self.target.answer(outputs)
        return [answer | {"warnings": warned} for answer, warned in zip(answers, warnings, strict=True)]
