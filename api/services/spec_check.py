"""The check of a spec: of a small one in a thread, of a large one in a process of the compute pool."""

from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from api.dependencies import Services
from api.http.parsing import without_mark
from api.http.spool import Body
from api.services import warm_start
from api.services.job_creation import dataset_schema, estimate_job, limits_of
from api.services.large_specs import CheckedSpec, check_large_spec, parse_spec, with_architecture
from core.jobs.outline import row_text
from core.store.scope import Scope

MAX_BYTES_IN_THREAD = 2**16
"""Larger specs are checked by a process."""


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
    found: Any = await services.compute.run(request, check_large_spec, *arguments, None)
    if isinstance(found, str):
        schema = await in_thread(dataset_schema, services, scope, found)
        found = await services.compute.run(request, check_large_spec, *arguments, schema)
    checked: CheckedSpec
    checked, weights = found
    if start := checked.spec.start_from:
        await in_thread(warm_start.require_same_weights, services, scope, start, weights)
    return checked


def _check_in_thread(services: Services, scope: Scope, body: Body) -> CheckedSpec:
    text = without_mark(body.read())
    spec = parse_spec(text)
    dataset = spec.data.dataset_id
    schema = None if dataset is None else dataset_schema(services, scope, dataset)
    made, spec, _ = with_architecture(text, spec, schema)
    return CheckedSpec(spec, estimate_job(services, scope, spec), row_text(made or text), made)
