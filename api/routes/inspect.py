"""The routes that look inside a job's next step: activations, gradients and updates, and whether they are right."""

import math
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.dependencies import ClientScope, Service, Services
from api.http.body import JsonBody, parse
from api.http.openapi import operation
from api.http.problems import BodyTooLarge, InvalidBody, JobNotTrained, UnsupportedMediaType
from api.http.responses import JsonResponse
from api.routes.predictions import UNREADABLE
from api.schemas.examples import BATCHES, JobId
from api.services.warm_start import known
from core.data.errors import InvalidInstance
from core.jobs.spec import JobSpec
from core.jobs.states import Keep
from core.json_pointer import pointer
from core.models.checkpoint import CheckpointData, decode
from core.models.inspection import InspectionLimits, inspect_next_step
from core.models.inspection import check_gradient as check_gradient_of
from core.nn.insight import step_inspection
from core.nn.insight.gradient_check import LayerCheck
from core.nn.insight.step_inspection import LayerInspection
from core.store import checkpoints, jobs
from core.store.errors import NoSuchJob
from core.store.scope import Scope
from core.store.tables import Checkpoint, Job

router = APIRouter(prefix="/v1", tags=["jobs"])

MOST_ROWS = 4096


class Rows(BaseModel):
    """A batch of rows to look with."""

    model_config = ConfigDict(extra="forbid")

    instances: list[Any] = Field(
        min_length=1, max_length=MOST_ROWS, description="Records as they stood in the data, as for a prediction."
    )
    targets: list[Any] = Field(
        min_length=1, max_length=MOST_ROWS, description="What the answers should be: numbers, or names of classes."
    )


class Batch(Rows):
    """Rows to look at the next step with."""

    arrays: bool = Field(default=False, description="Answer with the numbers themselves too, not summaries alone.")


class Summary(BaseModel):
    """An array in a few numbers, of its finite entries."""

    norm: float = Field(description="The root of the sum of squares.")
    mean: float
    std: float
    least: float
    greatest: float
    zeros: float = Field(description="The share of entries that are exactly 0.")
    nonfinite: int = Field(description="How many entries are NaN or infinite.")


class WeightInspection(BaseModel):
    """One array of weights, its gradient (penalties included), and the step that the optimizer would take."""

    weights: Summary
    gradient: Summary
    update_ratio: float | None = Field(
        description="How far it would move beside its length; a healthy training has some 0.001. Null for weights of 0."
    )


class SeenLayer(BaseModel):
    """What one layer does in the step."""

    pointer: str = Field(description="Where it stands in the spec.")
    type: str
    output: Summary
    gradient: Summary | None = Field(description="Of the loss with regard to its output; null where none comes back.")
    dead: int = Field(description="Units (entries of the last axis) that are 0 for all rows.")
    nonfinite_rows: list[int] = Field(description="Rows of the batch whose output is not finite.")
    weights: dict[str, WeightInspection]
    arrays: dict[str, list[Any]] = Field(
        description="`output`, `gradient`, and `weights.…` and `gradients.…` by name, where asked for; what is not "
        "finite is null."
    )


class NonFinite(BaseModel):
    """Where numbers stop being finite."""

    pointer: str
    type: str
    rows: list[int]


class StepInspection(BaseModel):
    """One step, seen from inside; it was taken aside, and the job knows nothing of it."""

    step: int = Field(description="The steps behind the checkpoint that was looked into.")
    epoch: int
    loss: float | None = Field(description="Of these rows before the step, penalties included.")
    nonfinite: str | None = Field(default=None, description="`nan`, `inf` or `-inf`, where loss is null.")
    first_nonfinite: NonFinite | None = Field(description="The first layer whose output is not finite.")
    layers: list[SeenLayer] = Field(description="In the order of the forward pass, a composite after its parts.")


class CheckedWeight(BaseModel):
    """The slope of the loss along one random direction of length 1 of an array of weights."""

    backward: float | None = Field(description="By the backward pass; null where it is not finite.")
    differences: float | None = Field(description="By two forward passes, 1e-5 to either side; null as before.")
    error: float | None = Field(
        description="The difference of both, relative to the larger (or to 1e-8): 1e-6 and less is right. More may "
        "come of a unit such as relu that bends between the two passes; check again with other rows."
    )


class CheckedLayer(BaseModel):
    """One layer that learns."""

    pointer: str = Field(description="Where it stands in the spec.")
    type: str
    weights: dict[str, CheckedWeight]


class GradientCheck(BaseModel):
    """The backward pass held against finite differences, in float64; the job knows nothing of it."""

    step: int = Field(description="The steps behind the checkpoint whose weights were taken.")
    epoch: int
    error: float | None = Field(description="The largest of all; null where any is.")
    layers: list[CheckedLayer] = Field(description="In the order of the plan; those that do not learn are left out.")


ERRORS = (
    NoSuchJob,
    JobNotTrained,
    InvalidBody,
    InvalidInstance,
    UnsupportedMediaType,
    BodyTooLarge,
)


@router.post(
    "/jobs/{job_id}/inspect",
    summary="Look inside a job's next step",
    **operation(*ERRORS, answer=StepInspection, body=Batch, examples=BATCHES),
)
def inspect(services: Service, scope: ClientScope, job_id: JobId, body: JsonBody) -> Response:
    """Take the step that would come after its newest checkpoint on these rows, aside, and tell what each layer does."""
    batch = parse(Batch, body)
    job, spec, checkpoint, saved = _trained(services, scope, job_id)
    seen = inspect_next_step(
        saved,
        spec.optimizer,
        job.steps or 0,
        batch.instances,
        batch.targets,
        arrays=batch.arrays,
        limits=InspectionLimits(services.settings.max_memory_bytes),
    )
    return JsonResponse(_view(checkpoint, seen))


@router.post(
    "/jobs/{job_id}/check_gradient",
    summary="Check a job's gradient",
    **operation(*ERRORS, answer=GradientCheck, body=Rows, examples=BATCHES),
)
def check_gradient(services: Service, scope: ClientScope, job_id: JobId, body: JsonBody) -> Response:
    """Hold the backward pass on these rows against finite differences, for each array of weights, in float64.

    The weights are those of its newest checkpoint, and dropout and its like draw the same numbers in every pass.
    """
    rows = parse(Rows, body)
    _, _, checkpoint, saved = _trained(services, scope, job_id)
    found = check_gradient_of(saved, rows.instances, rows.targets, InspectionLimits(services.settings.max_memory_bytes))
    layers = [_checked(layer) for layer in found]
    errors = [told["error"] for layer in layers for told in layer["weights"].values()]
    worst = None if None in errors else max(errors)
    return JsonResponse({"step": checkpoint.step, "epoch": checkpoint.epoch, "error": worst, "layers": layers})


def _trained(services: Services, scope: Scope, job_id: str) -> tuple[Job, JobSpec, Checkpoint, CheckpointData]:
    """A job, what was posted, and its newest checkpoint."""
    with services.database.read() as s:
        job, posted = jobs.with_spec(s, scope, known(s, scope, job_id))
        found = checkpoints.of_job(s, scope, job.id)
    if not found or job.keep is Keep.NONE:
        raise JobNotTrained(job.id, job.status)
    return job, JobSpec.model_validate_json(posted), *_newest(services, found)


def _newest(services: Services, found: list[Checkpoint]) -> tuple[Checkpoint, CheckpointData]:
    """The newest that can be read: a training that goes on may just have given up another, or one is damaged."""
    for one in found[:-1]:
        try:
            return one, decode(services.blobs.read(one.sha256))
        except UNREADABLE:
            pass
    return found[-1], decode(services.blobs.read(found[-1].sha256))


def _view(checkpoint: Checkpoint, seen: step_inspection.StepInspection) -> dict[str, Any]:
    lost = {"loss": seen.loss} if math.isfinite(seen.loss) else {"loss": None, "nonfinite": str(seen.loss)}
    first = seen.first_nonfinite
    where = first and {
        "pointer": pointer("architecture", *first.path),
        "type": first.type,
        "rows": first.nonfinite_rows,
    }
    layers = [_layer(layer) for layer in seen.layers]
    return {"step": checkpoint.step, "epoch": checkpoint.epoch, **lost, "first_nonfinite": where, "layers": layers}


def _layer(layer: LayerInspection) -> dict[str, Any]:
    return {
        "pointer": pointer("architecture", *layer.path),
        "type": layer.type,
        "output": asdict(layer.output),
        "gradient": layer.gradient and asdict(layer.gradient),
        "dead": layer.dead,
        "nonfinite_rows": layer.nonfinite_rows,
        "weights": {name: asdict(told) for name, told in layer.weights.items()},
        "arrays": {name: array.tolist() for name, array in layer.arrays.items()},
    }


def _checked(layer: LayerCheck) -> dict[str, Any]:
    weights = {
        name: {
            "backward": _finite(told.backward),
            "differences": _finite(told.differences),
            "error": _finite(told.error),
        }
        for name, told in layer.weights.items()
    }
    return {"pointer": pointer("architecture", *layer.path), "type": layer.type, "weights": weights}


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
