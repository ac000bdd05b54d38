"""The cost of a job spec as JSON."""

from dataclasses import asdict

from pydantic import BaseModel, Field

from api.schemas.warning import JobWarning, warnings_view
from core.jobs.estimate import Estimate


class LayerEstimate(BaseModel):
    """One layer of a checked network."""

    pointer: str
    type: str
    output_shape: list[int] = Field(description="Without the batch axis.")
    parameters: int


class JobEstimate(BaseModel):
    """The cost of a job spec, known before anything is allocated."""

    parameters: int
    layers: list[LayerEstimate]
    output_shape: list[int]
    memory_bytes: int = Field(description="Estimated memory of the training, in bytes.")
    flops: int = Field(description="Floating-point operations per step.")
    steps: int | None
    metric_rows: int = Field(description="Metric rows that the job may store.")
    checkpoint_bytes: int = Field(description="Estimated size of the checkpoints that the job keeps, in bytes.")
    warnings: list[JobWarning] = Field(description="What is probably not meant; the job has them too.")


def estimate_view(estimate: Estimate) -> JobEstimate:
    """Return the view of an estimate."""
    fields = asdict(estimate)
    fields |= {"memory_bytes": fields.pop("bytes"), "warnings": warnings_view(estimate.warnings)}
    return JobEstimate.model_validate(fields)
