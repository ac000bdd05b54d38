"""The routes of resumable uploads, as tus 1.0 (tus.io) has them: create, send a part, ask for the offset, delete.

`POST /v1/datasets?upload=` makes a dataset of a complete one.
"""

from typing import Annotated

from fastapi import Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.dependencies import ClientScope, ServicesDep
from api.http.body import discard, media_type
from api.http.errors import BodyTooLarge, StorageFull, UnsupportedMediaType, UnsupportedTusVersion
from api.http.limits import BODY, IncomingBody
from api.http.openapi import operation
from api.http.responses import JsonResponse
from api.http.routes import Router
from api.schemas.examples import CSV, LATEST, UploadId
from api.schemas.upload import ResumableUpload, upload_headers, upload_view
from api.services.resumable_upload import MAX_METADATA_LENGTH, parse_metadata, resolve_upload
from api.services.storage_limits import storage_limits
from api.services.upload import chunks
from core.blobs.errors import NoSuchUpload, PartialUploadsFull, UploadBusy, UploadTooLong, WrongOffset
from core.store import totals
from core.store.errors import LimitReached
from core.store.totals import Amounts

router = Router(prefix="/v1", tags=["uploads"])

PART_MEDIA_TYPE = "application/offset+octet-stream"
_PART = {PART_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}, "example": CSV}}


@router.options("/uploads", status_code=204, include_in_schema=False)
def discover_uploads() -> Response:
    """Answer with the headers of the protocol, which its middleware adds."""
    return Response(status_code=204, headers={"Allow": "OPTIONS, POST"})


@router.post(
    "/uploads",
    status_code=201,
    summary="Create a resumable upload",
    **operation(
        BodyTooLarge, PartialUploadsFull, LimitReached, StorageFull, UnsupportedTusVersion, answer=ResumableUpload
    ),
)
def create_upload(
    services: ServicesDep,
    scope: ClientScope,
    length: Annotated[
        int,
        Header(
            alias="Upload-Length",
            ge=0,
            le=2**53,
            description="Size of the file in bytes.",
            openapi_examples={"small": {"summary": "a small file", "value": 20}},
        ),
    ],
    metadata: Annotated[
        str,
        Header(
            alias="Upload-Metadata",
            max_length=MAX_METADATA_LENGTH,
            description="Pairs of a key and a text in base64, such as `filename YS5jc3Y=`. The keys filename, filetype "
            "and name describe the dataset.",
        ),
    ] = "",
) -> Response:
    """Create an upload whose bytes follow by `PATCH` to the address in `Location`, in one part or in many."""
    described = parse_metadata(metadata)
    if length > services.settings.max_upload_bytes:
        raise BodyTooLarge(services.settings.max_upload_bytes)
    with services.database.read() as s:
        totals.require_room(s, scope, storage_limits(services.settings), Amounts(datasets=1, dataset_bytes=length))
    upload = services.partial_uploads.create(scope.owner_of_new(), length, described)
    headers = {"Location": f"/v1/uploads/{upload.id}", **upload_headers(upload)}
    return JsonResponse(upload_view(upload), status_code=201, headers=headers)


@router.get(
    "/uploads/{upload_id}",
    summary="Get a resumable upload",
    **operation(NoSuchUpload, UnsupportedTusVersion, answer=ResumableUpload),
)
def get_upload(services: ServicesDep, scope: ClientScope, upload_id: UploadId) -> Response:
    """Return how many bytes have arrived; `HEAD` has it in `Upload-Offset`."""
    upload = resolve_upload(services.partial_uploads, scope, upload_id, LATEST)
    return JsonResponse(upload_view(upload), headers=upload_headers(upload))


@router.patch(
    "/uploads/{upload_id}",
    status_code=204,
    summary="Send a part of an upload",
    **operation(
        NoSuchUpload,
        WrongOffset,
        UploadBusy,
        UploadTooLong,
        UnsupportedMediaType,
        UnsupportedTusVersion,
        BodyTooLarge,
        StorageFull,
        content=_PART,
    ),
)
async def append_to_upload(
    request: Request,
    services: ServicesDep,
    scope: ClientScope,
    upload_id: UploadId,
    offset: Annotated[
        int,
        Header(
            alias="Upload-Offset",
            ge=0,
            le=2**53,
            description="Where the part begins: the bytes sent so far.",
            openapi_examples={"first": {"summary": "the first part", "value": 0}},
        ),
    ],
) -> Response:
    """Append the body to the bytes received. What arrives before an interruption stays."""
    try:
        if media_type(request) != PART_MEDIA_TYPE:
            raise UnsupportedMediaType(media_type(request), [PART_MEDIA_TYPE])
        upload = await run_in_threadpool(resolve_upload, services.partial_uploads, scope, upload_id, LATEST)
        writer = await run_in_threadpool(services.partial_uploads.open_part, upload.id, scope.owner, offset)
    except (UnsupportedMediaType, NoSuchUpload, WrongOffset, UploadBusy):
        await discard(request)
        raise
    incoming: IncomingBody = request.scope[BODY]
    try:
        async for chunk in chunks(request):
            await incoming.write(writer.write, chunk)
    except UploadTooLong:
        await discard(request)
        raise
    finally:
        await run_in_threadpool(writer.close)
    upload = await run_in_threadpool(services.partial_uploads.get, upload.id, scope.owner)
    return Response(status_code=204, headers=upload_headers(upload))


@router.delete(
    "/uploads/{upload_id}",
    status_code=204,
    summary="Delete a resumable upload",
    **operation(NoSuchUpload, UploadBusy, UnsupportedTusVersion),
)
def delete_upload(services: ServicesDep, scope: ClientScope, upload_id: UploadId) -> Response:
    """Delete an upload and its bytes; a dataset that was made of it stays."""
    upload = resolve_upload(services.partial_uploads, scope, upload_id, LATEST)
    services.partial_uploads.delete(upload.id, scope.owner)
    return Response(status_code=204)
