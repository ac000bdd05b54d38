"""A trained model: a network with its fitted features and target. It predicts from raw records.

It is stateless, so any number of threads can share one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from core.data.errors import InvalidInstance
from core.data.features import Features, features_from_json
from core.data.features.features import Instances
from core.data.targets import Target, target_from_json
from core.models.checkpoint import CheckpointData, Which
from core.nn.layers.composite import Sequential
from core.nn.layers.embedding import NoSuchEmbedding
from core.nn.losses import Loss
from core.nn.network import Network
from core.nn.predictor import Predictor

BLOCK_NUMBERS = 2**18
"""Numbers of the inputs or outputs of a block of records; a batch of the network may have more."""
WARNINGS_BYTES = 16
"""Bytes of a record's list of warnings in JSON, which is empty in most cases."""


class _Description(BaseModel):
    """The JSON of `describe`. An unknown field is an error: another version may mean something by it."""

    model_config = ConfigDict(extra="forbid", defer_build=True)  # a tenth of a second, which not every process needs

    architecture: Sequential
    loss: Loss
    features: dict[str, Any]
    target: dict[str, Any]


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def describe(architecture: Sequential, loss: Loss, features: Features, target: Target) -> dict[str, Any]:
    """Return what a prediction needs besides the weights, as JSON."""
    return {
        "architecture": _adapter(Sequential).dump_python(architecture, mode="json"),
        "loss": _adapter(Loss).dump_python(loss, mode="json"),
        "features": features.to_json(),
        "target": target.to_json(),
    }


@dataclass(frozen=True, slots=True)
class Model:
    """A trained network, with the features that encode records and the target that decodes outputs."""

    predictor: Predictor
    loss: Loss
    features: Features
    target: Target
    nbytes: int
    """Size of weights and statistics in bytes."""
    step: int = 0
    """The training step after which the weights were as they are."""
    epoch: int = 0
    """Its epoch."""

    @staticmethod
    def of(checkpoint: CheckpointData, which: Which = "best") -> Model:
        """Return the model of a checkpoint.

        Raises
        ------
        UnknownCheckpoint
            If the model has parts that this version does not know.
        """
        with checkpoint.known("model"):
            return _model(checkpoint, which)

    @property
    def network(self) -> Network:
        """The network."""
        return self.predictor.network

    def answer_bytes(self, rows: int) -> int:
        """Return the estimated bytes of the predictions for so many records as JSON."""
        return rows * (self.target.answer_bytes(self.network.output_shape) + WARNINGS_BYTES)

    def flops(self, rows: int) -> int:
        """Return the floating-point operations of predicting so many records, as planned."""
        return rows * sum(plan.flops for plan in self.network.plan.walk())

    def predict_in_blocks(self, instances: Instances) -> Iterator[list[dict[str, Any]]]:
        """Yield the predictions of `predict` for one block of records after the other, in bounded memory."""
        numbers = max(math.prod(self.network.output_shape), math.prod(self.network.input_shape), 1)
        batch = self.network.prediction_batch  # whole batches, so that the bits are those of `predict`
        rows = batch * max(1, BLOCK_NUMBERS // (batch * numbers))
        for start in range(0, len(instances), rows):
            try:
                yield self.predict(instances[start : start + rows])
            except InvalidInstance as error:
                raise error.after(start) from None

    def predict(self, instances: Instances) -> list[dict[str, Any]]:
        """Return a prediction with its warnings for each record.

        Raises
        ------
        InvalidInstance
            Where a record does not fit the features.
        """
        x, warnings = self.features.encode(instances)
        try:
            outputs = self.predictor.predict(x, self.loss.link)
        except NoSuchEmbedding as error:
            raise InvalidInstance(0, "/instances", str(error)) from None
        answers = self.target.answer(outputs)
        return [
            answer | {"warnings": [one._asdict() for one in warned]}
            for answer, warned in zip(answers, warnings, strict=True)
        ]


def _model(checkpoint: CheckpointData, which: Which) -> Model:
    description = _Description.model_validate(checkpoint.model)
    features, target = features_from_json(description.features), target_from_json(description.target)
    _require_known(description.features, features.to_json())
    _require_known(description.target, target.to_json())
    weights, statistics = checkpoint.weights_and_statistics(which)
    network = Network(description.architecture, features.input_shape)
    if (len(weights), len(statistics)) != (network.parameters, network.statistics_size):
        raise ValueError("the network has other weights in this version")
    return Model(
        predictor=Predictor(network, weights, statistics),
        loss=description.loss,
        features=features,
        target=target,
        nbytes=weights.nbytes + statistics.nbytes,
        **checkpoint.position(which),
    )


def _require_known(stored: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    if unknown := stored.keys() - known.keys():
        raise ValueError(f"has unknown fields: {sorted(unknown)}")
