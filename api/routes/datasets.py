"""The routes of datasets: upload, list, get, page through the rows, delete.

An upload is streamed to disk and hashed meanwhile; a child process infers its schema; only then a row is inserted.
"""

from typing import Annotated

from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.dependencies import ClientScope, Services, ServicesDep
from api.http.body import discard
from api.http.errors import BodyTooLarge, InvalidBody, ServiceBusy, StorageFull, TooMuchWork
from api.http.limits import content_length
from api.http.openapi import operation
from api.http.parameters import Cursor, Limit
from api.http.responses import JsonResponse
from api.http.routes import Router
from api.schemas.dataset import Dataset, DatasetRows, dataset_view
from api.schemas.examples import CSV, DATASET_FORM, RECORDS, DatasetId
from api.schemas.page import Page
from api.services.dataset_rows import RowsPage, page_json
from api.services.identifiers import resolve_dataset_id
from api.services.resumable_upload import assemble, finish
from api.services.schema_inference import TooManyUploads, UnreadableFile
from api.services.storage_limits import storage_limits
from api.services.upload import (
    LISTS,
    MAX_LIST_LENGTH,
    MAX_NAME_LENGTH,
    MAX_OPTION_LENGTH,
    MAX_TYPES_LENGTH,
    Upload,
    receive,
)
from core.blobs.errors import NoSuchUpload, UploadIncomplete
from core.blobs.writer import BlobWriter
from core.data import readers
from core.data.errors import InvalidFile
from core.data.schema import Limits, Schema
from core.store import datasets, totals
from core.store.errors import BadCursor, DatasetInUse, LimitReached, NoSuchDataset
from core.store.scope import Scope
from core.store.totals import Amounts

router = Router(prefix="/v1", tags=["datasets"])

BINARY = {"type": "string", "format": "binary"}
BODIES = {
    "multipart/form-data": DATASET_FORM,
    "text/csv": {"schema": {"type": "string"}, "example": CSV},
    "application/json": {"schema": {"type": "array", "items": {"type": "object"}}, "example": RECORDS},
    "application/vnd.apache.parquet": {"schema": BINARY},
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {"schema": BINARY},
    "application/x-npy": {"schema": BINARY},
    "application/zip": {"schema": BINARY},
    "application/x-tar": {"schema": BINARY},
}
RAW_BODY_PARAMETERS = [
    {
        "name": name,
        "in": "query",
        "schema": {"type": "string", "maxLength": length},
        "description": f"{text} Only with a raw body; a form has a field of this name.",
    }
    for name, length, text in (
        ("name", MAX_NAME_LENGTH, "Name of the dataset."),
        ("format", 8, f"{', '.join(readers.READERS)}, if it cannot be inferred."),
        ("upload", 30, "Id of a resumable upload whose bytes are the file; the body is empty then."),
        *(
            (name, MAX_LIST_LENGTH if name in LISTS else MAX_OPTION_LENGTH, description)
            for name, description in readers.OPTIONS.items()
        ),
        ("types", MAX_TYPES_LENGTH, 'Column types that override the inferred ones, as JSON: `{"zip": "category"}`.'),
    )
]

_POST = operation(
    InvalidBody,
    NoSuchUpload,
    UploadIncomplete,
    InvalidFile,
    UnreadableFile,
    BodyTooLarge,
    TooManyUploads,
    LimitReached,
    StorageFull,
    answer=Dataset,
    content=BODIES,
)
_POST["openapi_extra"]["parameters"] = RAW_BODY_PARAMETERS
_POST["openapi_extra"]["requestBody"]["required"] = False
_POST["responses"][200] = {
    "model": Dataset,
    "description": "A dataset with the same bytes, format and types exists; it is returned.",
}


@router.post("/datasets", status_code=201, summary="Upload a dataset", **_POST)
async def upload_dataset(request: Request, services: ServicesDep, scope: ClientScope) -> Response:
    """Upload a table (CSV, JSON records, Parquet, Excel, OpenDocument), npy, npz, or a zip or tar archive.

    An archive has pictures, recordings or texts.

    It is the part `file` of a form, the raw body, or, with `?upload=`, what was sent to `/v1/uploads` in parts.

    The same bytes with the same format and types give the same dataset.
    """
    try:
        await run_in_threadpool(_require_room, services, scope, content_length(request.scope))
    except LimitReached:
        await discard(request)
        raise
    with services.blobs.writer() as writer:
        upload = await _receive(request, services, scope, writer)
        await run_in_threadpool(writer.flush)
        name, options = upload.name, upload.options
        limits = Limits(cells=services.settings.max_cells)
        reader = readers.reader_of_upload(
            upload.fields.get("format"), upload.file_name, upload.content_type, upload.head, options
        )
        schema = await services.schema_inference.infer(writer.path, reader, upload.types, limits)
        response = await run_in_threadpool(_store, services, scope, writer, name, options, schema)
        if upload_id := upload.fields.get("upload"):
            await run_in_threadpool(finish, services.partial_uploads, scope, upload_id, writer.sha256)
        return response


async def _receive(request: Request, services: Services, scope: Scope, writer: BlobWriter) -> Upload:
    """Write the file of the body, or of the resumable upload that the query names, into the writer."""
    if not (upload_id := request.query_params.get("upload")):
        return await receive(request, writer)
    async for piece in request.stream():
        if piece:
            await discard(request)
            raise InvalidBody([("", "must be empty beside the parameter upload: leave one of the two out")])
    upload = await run_in_threadpool(assemble, services.partial_uploads, services.blobs, scope, upload_id, writer)
    upload.fields |= dict(request.query_params)
    return upload


def _require_room(services: Services, scope: Scope, size: int) -> None:
    """Refuse an upload of this size before it is read, if there is no room for it."""
    with services.database.read() as s:
        totals.require_room(s, scope, storage_limits(services.settings), Amounts(datasets=1, dataset_bytes=size))


def _store(
    services: Services, scope: Scope, writer: BlobWriter, name: str | None, options: dict[str, str], schema: Schema
) -> Response:
    """Commit the file and insert the row of a valid upload."""
    size, sha256 = writer.bytes, writer.commit()
    with services.database.begin() as s:
        row, new = datasets.insert(
            s,
            scope,
            name=name,
            format=schema.format,
            sha256=sha256,
            fingerprint=schema.fingerprint(sha256, options),
            bytes=size,
            rows=schema.rows,
            columns=schema.to_json(),
        )
        if new:
            amounts = totals.of_dataset(row)
            totals.require_room(s, scope, storage_limits(services.settings), amounts, counted=True)
    status = 201 if new else 200
    return JsonResponse(dataset_view(row), status_code=status, headers={"Location": f"/v1/datasets/{row.id}"})


@router.get("/datasets", summary="List datasets", **operation(BadCursor, answer=Page[Dataset]))
def list_datasets(services: ServicesDep, scope: ClientScope, limit: Limit = 20, cursor: Cursor = None) -> Response:
    """List all datasets, newest first."""
    with services.database.read() as s:
        found, next_cursor = datasets.page(s, scope, limit=limit, cursor=cursor)
    items = [dataset_view(row) for row in found]
    return JsonResponse(Page[Dataset](items=items, next_cursor=next_cursor))


@router.get("/datasets/{dataset_id}", summary="Get a dataset", **operation(NoSuchDataset, answer=Dataset))
def get_dataset(services: ServicesDep, scope: ClientScope, dataset_id: DatasetId) -> Response:
    """Return the dataset with its columns: type, missing values, statistics and classes."""
    with services.database.read() as s:
        return JsonResponse(dataset_view(datasets.get(s, scope, resolve_dataset_id(s, scope, dataset_id))))


@router.get(
    "/datasets/{dataset_id}/rows",
    summary="Get a dataset's rows",
    **operation(NoSuchDataset, TooMuchWork, ServiceBusy, answer=DatasetRows),
)
async def get_dataset_rows(
    request: Request,
    services: ServicesDep,
    scope: ClientScope,
    dataset_id: DatasetId,
    offset: Annotated[int, Query(ge=0, le=2**53, description="Number of rows to skip.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of rows; wide ones may be fewer.")] = 20,
) -> Response:
    """Return a page of the rows, as stored. The next page begins at `next_offset`."""
    page = await run_in_threadpool(_page, services, scope, dataset_id, offset, limit)
    if page.light:
        body = await run_in_threadpool(lambda: b"".join(page_json(page)))
        return Response(body, media_type=JsonResponse.media_type)
    return await services.compute.respond(request, page_json, page)


def _page(services: Services, scope: Scope, dataset_id: str, offset: int, limit: int) -> RowsPage:
    with services.database.read() as s:
        row = datasets.get(s, scope, resolve_dataset_id(s, scope, dataset_id))
    return RowsPage(services.blobs.fetch(row.sha256), row.columns, row.bytes, row.rows, offset, limit)


@router.delete(
    "/datasets/{dataset_id}", status_code=204, summary="Delete a dataset", **operation(NoSuchDataset, DatasetInUse)
)
def delete_dataset(services: ServicesDep, scope: ClientScope, dataset_id: DatasetId) -> Response:
    """Delete a dataset that no job needs. Its file is removed a minute or two later."""
    with services.database.begin() as s:
        datasets.delete(s, scope, resolve_dataset_id(s, scope, dataset_id))
    return Response(status_code=204)
