"""Inspections of a training step and gradient checks, as the processes of the compute pool run them."""

from collections.abc import Iterator
from typing import NamedTuple

from api.http.parsing import parse
from api.http.responses import json_bytes
from api.http.spool import Body
from api.schemas.inspection import (
    GradientCheckRequest,
    InspectionRequest,
    gradient_check_view,
    step_inspection_view,
)
from api.services.model_cache import UNREADABLE_CHECKPOINT
from core.blobs.storage import open_blobs
from core.jobs.spec import parse_stored
from core.models.checkpoint import CheckpointData, decode
from core.models.inspection import InspectionLimits, check_gradient, inspect_next_step
from core.settings import Settings


class CheckpointReference(NamedTuple):
    """A checkpoint, and where in the training it was written."""

    sha256: str
    step: int
    epoch: int


class TrainedJob(NamedTuple):
    """What an inspection needs of a job."""

    spec: str
    steps: int
    checkpoints: tuple[CheckpointReference, ...]
    """Newest first; at least one."""


def inspect_step(settings: Settings, job: TrainedJob, body: Body) -> Iterator[bytes]:
    """Yield the inspection of the job's next step on the rows of the body, as JSON.

    Raise `InvalidBody`, `InvalidInstance`, `UnknownVersion`, and `BlobError` or `DamagedCheckpoint` if no checkpoint
    can be read.
    """
    batch = parse(InspectionRequest, body.read())
    spec = parse_stored(job.spec)
    checkpoint, saved = _newest_readable(settings, job)
    found = inspect_next_step(
        saved,
        spec.optimizer,
        job.steps,
        batch.instances,
        batch.targets,
        arrays=batch.arrays,
        limits=_limits(settings),
    )
    yield json_bytes(step_inspection_view(checkpoint.step, checkpoint.epoch, found))


def check_gradients(settings: Settings, job: TrainedJob, body: Body) -> Iterator[bytes]:
    """Yield the gradient check of the job's newest weights on the rows of the body, as JSON. Raise as above."""
    batch = parse(GradientCheckRequest, body.read())
    parse_stored(job.spec)  # a job of another version is refused here as it is there
    checkpoint, saved = _newest_readable(settings, job)
    found = check_gradient(saved, batch.instances, batch.targets, _limits(settings))
    yield json_bytes(gradient_check_view(checkpoint.step, checkpoint.epoch, found))


def _limits(settings: Settings) -> InspectionLimits:
    return InspectionLimits(min(settings.max_memory_bytes, settings.compute_memory_bytes))


def _newest_readable(settings: Settings, job: TrainedJob) -> tuple[CheckpointReference, CheckpointData]:
    """Skip checkpoints that a running training has just pruned, or that are damaged."""
    blobs = open_blobs(settings)
    for checkpoint in job.checkpoints[:-1]:
        try:
            return checkpoint, decode(blobs.read(checkpoint.sha256))
        except UNREADABLE_CHECKPOINT:
            pass
    return job.checkpoints[-1], decode(blobs.read(job.checkpoints[-1].sha256))
