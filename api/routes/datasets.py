"""The routes of datasets: upload, list, look, page through the rows, delete.

A file is streamed to disk, hashed on the way and inspected there by a process apart; only then there is a row.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.dependencies import ClientScope, Service, Services
from api.http.openapi import operation
from api.http.parameters import Cursor, Limit
from api.http.problems import BodyTooLarge, InvalidBody, StorageFull
from api.http.responses import JsonResponse
from api.schemas import views
from api.schemas.examples import CSV, FORM, LATEST, DatasetId
from api.services.schema_inference import TooManyUploads, UnreadableFile
from api.services.upload import receive
from core.blobs.folder import Writer
from core.data.errors import InvalidFile
from core.data.readers import formats
from core.data.schema import Limits, Schema
from core.ids import is_id
from core.store import datasets
from core.store.errors import BadCursor, DatasetInUse, NoSuchDataset
from core.store.scope import Scope

router = APIRouter(prefix="/v1", tags=["datasets"])

BINARY = {"type": "string", "format": "binary"}
BODIES = {
    "multipart/form-data": FORM,
    "text/csv": {"schema": {"type": "string"}, "example": CSV},
    "application/x-npy": {"schema": BINARY},
    "application/zip": {"schema": BINARY},
}
RAW = [
    {
        "name": name,
        "in": "query",
        "schema": {"type": "string"},
        "description": f"{text} For a raw body; a form has a part of that name.",
    }
    for name, text in (
        ("name", "What to call it."),
        ("format", "csv, npy or npz, where it is not plain to see."),
        ("types", 'Types you know better, as JSON: `{"zip": "category"}`.'),
    )
]

_POST = operation(
    InvalidBody,
    InvalidFile,
    UnreadableFile,
    BodyTooLarge,
    TooManyUploads,
    StorageFull,
    answer=views.Dataset,
    content=BODIES,
)
_POST["openapi_extra"]["parameters"] = RAW
_POST["responses"][200] = {"model": views.Dataset, "description": "The same was here before: bytes, format and types."}


@router.post("/datasets", status_code=201, summary="Upload a dataset", **_POST)
async def post(request: Request, services: Service, scope: ClientScope) -> Response:
    """CSV, npy or npz, as the part `file` of a form or as the body itself.

    The same bytes, read as the same types, give the same dataset.
    """
    with services.blobs.writer() as writer:
        upload = await receive(request, writer)
        await run_in_threadpool(writer.flush)
        name, limits = upload.name, Limits(cells=services.settings.max_cells)
        found = formats.format_of(upload.fields.get("format"), upload.file_name, upload.content_type, upload.head)
        schema = await services.schema_inference.inspect(writer.path, found, upload.types, limits)
        return await run_in_threadpool(_keep, services, scope, writer, name, schema)


def _keep(services: Services, scope: Scope, writer: Writer, name: str | None, schema: Schema) -> Response:
    """Make file and row of what was found good."""
    size, sha256 = writer.bytes, writer.commit()
    with services.database.begin() as s:
        row, new = datasets.insert(
            s,
            scope,
            name=name,
            format=schema.format,
            sha256=sha256,
            fingerprint=schema.fingerprint(sha256),
            bytes=size,
            rows=schema.rows,
            columns=schema.to_json(),
        )
    status = 201 if new else 200
    return JsonResponse(views.dataset_view(row), status_code=status, headers={"Location": f"/v1/datasets/{row.id}"})


@router.get("/datasets", summary="List datasets", **operation(BadCursor, answer=views.Page[views.Dataset]))
def listed(services: Service, scope: ClientScope, limit: Limit = 20, cursor: Cursor = None) -> Response:
    """All datasets, newest first."""
    with services.database.read() as s:
        found, following = datasets.page(s, scope, limit=limit, cursor=cursor)
    items = [views.dataset_view(row) for row in found]
    return JsonResponse(views.Page[views.Dataset](items=items, next_cursor=following))


@router.get("/datasets/{dataset_id}", summary="Look at a dataset", **operation(NoSuchDataset, answer=views.Dataset))
def get(services: Service, scope: ClientScope, dataset_id: DatasetId) -> Response:
    """Its columns with type, missing values, range and classes."""
    with services.database.read() as s:
        return JsonResponse(views.dataset_view(datasets.get(s, scope, known(s, scope, dataset_id))))


def known(s: Session, scope: Scope, dataset_id: str) -> str:
    """The id that a client means: `latest` is the newest dataset's. `NoSuchDataset` for what cannot be one."""
    if dataset_id == LATEST:
        newest, _ = datasets.page(s, scope, limit=1)
        if newest:
            return newest[0].id
    if not is_id("ds", dataset_id):
        raise NoSuchDataset(dataset_id)
    return dataset_id


@router.get("/datasets/{dataset_id}/rows", summary="Read a dataset", **operation(NoSuchDataset, answer=views.Rows))
def rows(
    services: Service,
    scope: ClientScope,
    dataset_id: DatasetId,
    offset: Annotated[int, Query(ge=0, le=2**53, description="Rows to pass over.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many rows at most.")] = 20,
) -> Response:
    """A page of its rows, as stored."""
    with services.database.read() as s:
        row = datasets.get(s, scope, known(s, scope, dataset_id))
    items = formats.rows(services.blobs.fetch(row.sha256), Schema.from_json(row.columns), offset, limit)
    following = offset + limit if offset + limit < row.rows else None
    return JsonResponse({"items": items, "next_offset": following})


@router.delete(
    "/datasets/{dataset_id}", status_code=204, summary="Delete a dataset", **operation(NoSuchDataset, DatasetInUse)
)
def delete(services: Service, scope: ClientScope, dataset_id: DatasetId) -> Response:
    """Refused while a job needs it. Its file goes a minute or two later."""
    with services.database.begin() as s:
        datasets.delete(s, scope, known(s, scope, dataset_id))
    return Response(status_code=204)
