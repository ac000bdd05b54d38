"""The job spec that a client posts: data, architecture, loss, optimizer, training.

The names follow Keras. Each part is the frozen dataclass that does the work.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, Len, MaxLen
from pydantic import BaseModel, ConfigDict, ValidationError

from core.data.sources import Data
from core.jobs.errors import UnknownSpec
from core.jobs.examples import DOUBLING
from core.nn.layers.composite import Sequential
from core.nn.losses import Loss
from core.nn.optimizers.adam import Adam
from core.nn.optimizers.wrappers import Optimizer
from core.nn.training.options import Training

MAX_METADATA = 16
"""Key-value pairs of a job."""
MAX_METADATA_CHARACTERS = 512
"""Characters of a value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StartFrom:
    """Initial weights and moving statistics from another job (warm start); the optimizer state is new."""

    job: Annotated[str, MaxLen(64)]
    """The job's id, or `latest` for the newest. Its network must have weights of the same shapes."""
    checkpoint: Literal["best", "last"] | Annotated[int, Ge(0)] = "best"
    """Which weights: those of the best epoch, the last ones, or those of the checkpoint at this step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobLimits:
    """Limits of this job, below those of the service. For time there is `max_runtime`."""

    memory: Annotated[int, Ge(1)] | None = None
    """Bytes of memory, as estimated; a job that needs more is refused."""
    flops: Annotated[int, Ge(1)] | None = None
    """Floating-point operations per step; a job that needs more is refused."""
    rows: Annotated[int, Ge(1)] | None = None
    """Metric rows; a job that would write more fails, and its weights are kept."""
    checkpoints: Annotated[int, Ge(1), Le(2)] | None = None
    """Number of checkpoints kept; default: two, so that one may be damaged."""


class JobSpec(BaseModel):
    """A job: data, architecture, loss, optimizer and training."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        json_schema_extra={"example": DOUBLING},
    )

    name: Annotated[str, Len(1, 200)] | None = None
    """A name for people."""
    data: Data
    """The training data."""
    architecture: Sequential
    """The network, from input to output."""
    loss: Loss | None = None
    """The loss; default: mean squared error for numbers, cross-entropy for classes."""
    optimizer: Optimizer = Adam()
    """The optimizer."""
    training: Training = Training()
    """Epochs, batches and stop rules."""
    priority: Annotated[int, Ge(-10), Le(10)] = 0
    """Queued jobs of higher priority are trained first."""
    limits: JobLimits = JobLimits()
    """Limits of this job."""
    start_from: StartFrom | None = None
    """Start with the weights of another job instead of random ones."""
    metadata: Annotated[
        dict[Annotated[str, Len(1, 64)], Annotated[str, MaxLen(MAX_METADATA_CHARACTERS)]], MaxLen(MAX_METADATA)
    ] = {}
    """Key-value pairs of the client, by which jobs can be filtered."""


def parse_stored(text: str) -> JobSpec:
    """Return the spec of a stored job.

    Raises
    ------
    UnknownSpec
        If this version does not accept it; the version that stored it did.
    """
    try:
        return JobSpec.model_validate_json(text)
    except ValidationError as error:
        raise UnknownSpec from error
