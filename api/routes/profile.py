"""The route of a dataset's profile."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from api.dependencies import ClientScope, Services, ServicesDep
from api.http.errors import InvalidParameter, ServiceBusy, TooMuchWork
from api.http.openapi import operation
from api.http.patterns import NO_NUL
from api.http.responses import JsonResponse
from api.http.routes import Router
from api.schemas.examples import DatasetId
from api.schemas.profile import Profile
from api.services.dataset_profile import parse_split, profile_json
from api.services.identifiers import resolve_dataset_id
from core.data.profile import MAX_COLUMNS, ProfileQuery
from core.store import datasets, tables
from core.store.errors import NoSuchDataset
from core.store.scope import Scope

router = Router(prefix="/v1", tags=["datasets"])

Target = Annotated[
    str | None, Query(max_length=256, pattern=NO_NUL, description="The column to predict, for associations and leaks.")
]
SplitText = Annotated[
    str | None,
    Query(
        max_length=2000,
        pattern=NO_NUL,
        description='The parts to compare, as JSON: `{"type": "fraction", "validation": 0.2}`. It needs a target.',
    ),
]


@router.get(
    "/datasets/{dataset_id}/profile",
    summary="Get a dataset's profile",
    **operation(NoSuchDataset, TooMuchWork, ServiceBusy, answer=Profile),
)
async def get_dataset_profile(
    request: Request,
    services: ServicesDep,
    scope: ClientScope,
    dataset_id: DatasetId,
    target: Target = None,
    split: SplitText = None,
    seed: Annotated[int, Query(ge=0, le=2**63 - 1, description="Seed of the split, as `training.seed`.")] = 0,
    offset: Annotated[int, Query(ge=0, le=2**53, description="Number of columns to skip.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_COLUMNS, description="Maximum number of columns.")] = 50,
) -> Response:
    """Return what is in each column, how it relates to a target, and what is probably wrong with the data."""
    if split is not None and target is None:
        raise InvalidParameter("split", "needs a target: name the column to predict, too")
    parts = None if split is None else parse_split(split)
    query = ProfileQuery(target=target, split=parts, seed=seed, offset=offset, limit=limit)
    row = await services.compute.in_thread(_row, services, scope, dataset_id)
    key = f"{row.fingerprint} {query}"
    answer = services.profiles.get(key)
    if answer is None:
        path = await services.compute.in_thread(services.blobs.fetch, row.sha256)
        answer = await services.compute.run(request, profile_json, path, row.columns, query)
        services.profiles.put(key, answer)
    return Response(answer, media_type=JsonResponse.media_type)


def _row(services: Services, scope: Scope, dataset_id: str) -> tables.Dataset:
    with services.database.read() as s:
        return datasets.get(s, scope, resolve_dataset_id(s, scope, dataset_id))
