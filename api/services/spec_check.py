"""The check of a large spec in a process of the compute pool, so that others do not wait for it meanwhile.

Only what a job's row needs returns: neither rows of data nor layers.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from api.dependencies import Services
from api.http.body import parse, without_mark
from api.http.spool import Body
from api.services import warm_start
from api.services.job_creation import dataset_schema, estimate_job, limits_of
from core.data.prepare import signature
from core.data.schema import Schema
from core.data.sources.inline import Inline
from core.jobs.estimate import Estimate, Limits, estimate_cost
from core.jobs.outline import row_text
from core.jobs.resolve import resolve
from core.jobs.spec import JobSpec
from core.jobs.warm_start import LayerWeights, weights_by_layer
from core.nn.layers.composite import Sequential
from core.nn.layers.reshaping import Flatten
from core.store.scope import Scope

MAX_BYTES_IN_THREAD = 2**16
"""Larger specs are checked by a process."""

NO_LAYERS = Sequential(layers=(Flatten(),))


class CheckedSpec(NamedTuple):
    """A valid spec, if it was large without its rows and layers, and its cost."""

    spec: JobSpec
    estimate: Estimate
    row: str
    """The text that a row stores of it: as posted, or an outline."""


class _Checked(NamedTuple):
    """A spec that a process has checked, with the weights of its network if it starts from those of another job."""

    spec: CheckedSpec
    weights: list[LayerWeights]


def thread_of(services: Services, body: Body) -> Callable[..., Any]:
    """Return the function that runs the light parts of a request with this body in a thread.

    Large bodies have threads of their own, so that light requests never wait for them.
    """
    return services.compute.in_thread if body.size > MAX_BYTES_IN_THREAD else run_in_threadpool


async def checked_spec(request: Request, services: Services, scope: Scope, body: Body) -> CheckedSpec:
    """Return the spec in this body with its cost.

    Raises
    ------
    InvalidBody, InvalidData, InvalidSpec
        With the first errors in the spec.
    ServiceBusy, TooMuchWork, ClientDisconnect
        As the compute pool does.
    """
    in_thread = thread_of(services, body)
    if body.size <= MAX_BYTES_IN_THREAD:
        return await run_in_threadpool(_check_in_thread, services, scope, body)
    arguments = (body, limits_of(services.settings), services.settings.job_threads)
    found = await services.compute.run(request, check_large_spec, *arguments, None)
    if isinstance(found, str):
        schema = await in_thread(dataset_schema, services, scope, found)
        found = await services.compute.run(request, check_large_spec, *arguments, schema)
    checked: _Checked = found
    if start := checked.spec.spec.start_from:
        await in_thread(warm_start.require_same_weights, services, scope, start, checked.weights)
    return checked.spec


def check_large_spec(body: Body, limits: Limits, threads: int, schema: Schema | None) -> Any:
    """Return a `_Checked`, or the id of the dataset whose schema is needed. Raise as `checked_spec`."""
    text = without_mark(body.read())
    spec = parse(JobSpec, text, code="invalid_spec")
    if spec.data.dataset_id is not None and schema is None:
        return spec.data.dataset_id
    data_signature = signature(spec.data, schema)
    estimate = estimate_cost(spec, data_signature, limits, threads)
    weights = list(weights_by_layer(resolve(spec, data_signature).network)) if spec.start_from else []
    return _Checked(CheckedSpec(_without_bulk(spec), estimate, row_text(text)), weights)


def _check_in_thread(services: Services, scope: Scope, body: Body) -> CheckedSpec:
    text = without_mark(body.read())
    spec = parse(JobSpec, text, code="invalid_spec")
    return CheckedSpec(spec, estimate_job(services, scope, spec), row_text(text))


def _without_bulk(spec: JobSpec) -> JobSpec:
    data = spec.data
    if isinstance(data, Inline):
        data = replace(data, x=[0], y=[0], sample_weight=None)
    return spec.model_copy(update={"data": data, "architecture": NO_LAYERS})
