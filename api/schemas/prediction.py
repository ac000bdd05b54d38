"""Predictions: the request and the response."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class PredictionRequest(BaseModel):
    """The instances to predict."""

    model_config = ConfigDict(extra="forbid")

    instances: list[Any] = Field(
        min_length=1, description="Records in the form of the training data: objects by column, or (nested) lists."
    )


class Predictions(BaseModel):
    """One prediction per instance, in the same order, and the checkpoint that made them."""

    predictions: list[dict[str, Any]]
    checkpoint: dict[str, Any]
