"""What a client posts: what to learn from, with which net, and how.

The fields are api.md's and the names Keras's; each part is the frozen dataclass that does the work.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, Len, MaxLen
from pydantic import BaseModel, ConfigDict

from core.data.sources.source import Data
from core.nn.layers.composite import Sequential
from core.nn.losses import Loss
from core.nn.optimizers.adam import Adam
from core.nn.optimizers.wrappers import Optimizer
from core.nn.training.options import Training


@dataclass(frozen=True, kw_only=True, slots=True)
class StartFrom:
    """The weights and moving statistics of another job, to begin with; the optimizer begins anew."""

    job: str
    """The job's id, or `latest` for the newest. Its net must have the same weights."""
    checkpoint: Literal["best", "last"] | Annotated[int, Ge(0)] = "best"
    """Which of its weights: those of the best epoch, the last, or those of a checkpoint, by its step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobLimits:
    """What this one job may take, where that is less than the service allows; for time there is `max_runtime`."""

    memory: Annotated[int, Ge(1)] | None = None
    """Bytes by the estimate; a job that needs more is refused."""
    flops: Annotated[int, Ge(1)] | None = None
    """Floating-point operations a step; a job that needs more is refused."""
    rows: Annotated[int, Ge(1)] | None = None
    """Metric rows; a job that would leave more ends as failed, with its weights kept."""
    checkpoints: Annotated[int, Ge(1), Le(2)] | None = None
    """How many checkpoints are kept at a time; left out: two, so that one may be damaged."""


class JobSpec(BaseModel):
    """A job: data, architecture, loss, optimizer and training."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        json_schema_extra={
            "example": {
                "name": "y = 2x",
                "data": {"type": "inline", "x": [[1], [2], [3], [4], [5]], "y": [[2], [4], [6], [8], [10]]},
                "architecture": {"layers": [{"type": "dense", "units": 1, "use_bias": False}]},
                "loss": {"type": "mean_squared_error"},
                "optimizer": {"type": "sgd", "learning_rate": 0.01},
                "training": {"epochs": 100, "batch_size": 5, "shuffle": False, "seed": 7},
                "metadata": {"lesson": "1"},
            }
        },
    )

    name: Annotated[str, Len(1, 200)] | None = None
    """What people call it."""
    data: Data
    """What to learn from."""
    architecture: Sequential
    """The net, from the input to the output."""
    loss: Loss | None = None
    """How wrong the net is; left out: mean squared error for numbers, cross-entropy for classes."""
    optimizer: Optimizer = Adam()
    """How the weights follow the gradient."""
    training: Training = Training()
    """How long, in which portions, and when to stop."""
    priority: Annotated[int, Ge(-10), Le(10)] = 0
    """Among the jobs that wait, those with more are trained first."""
    limits: JobLimits = JobLimits()
    """What it may take at most."""
    start_from: StartFrom | None = None
    """Begin with the weights of another job instead of drawing them."""
    metadata: Annotated[dict[Annotated[str, Len(1, 64)], Annotated[str, MaxLen(512)]], MaxLen(16)] = {}
    """Words of the client's own, by which jobs can be found again."""
