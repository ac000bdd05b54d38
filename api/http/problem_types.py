"""The table of problem types (RFC 9457): the status, code and title of each error that a client can meet."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.requests import ClientDisconnect

from api.http.errors import (
    BodyTooLarge,
    BodyTooSlow,
    CrossSiteRequest,
    HostNotAllowed,
    InvalidBody,
    InvalidParameter,
    JobNotTrained,
    NoSuchPage,
    NotAcceptable,
    PreflightRefused,
    ServiceBusy,
    StorageFull,
    TooManyBodies,
    TooMuchWork,
    UnsupportedContentEncoding,
    UnsupportedMediaType,
    UnsupportedTusVersion,
)
from api.services.schema_inference import TooManyUploads, UnreadableFile
from core.blobs.errors import (
    BlobStoreUnavailable,
    DamagedBlob,
    NoSuchBlob,
    NoSuchUpload,
    PartialUploadsFull,
    UploadBusy,
    UploadIncomplete,
    UploadTooLong,
    WrongOffset,
)
from core.data.errors import InvalidData, InvalidFile, InvalidInstance
from core.jobs.errors import InvalidSpec
from core.store.errors import (
    UNREACHABLE_DATABASE_ERRORS,
    BadCursor,
    DatasetInUse,
    KeyInProgress,
    KeyReused,
    LimitReached,
    NoSuchDataset,
    NoSuchJob,
    QueueTooLarge,
    TooManyJobs,
    WrongState,
)
from core.versions import UnknownVersion


@dataclass(frozen=True)
class ProblemType:
    """The HTTP status, the stable code and the title of an error class."""

    status: int
    code: str
    title: str


PROBLEM_TYPES: Mapping[type[Exception], ProblemType] = {
    InvalidBody: ProblemType(422, "invalid_body", "The body is not valid"),
    InvalidParameter: ProblemType(422, "invalid_parameter", "A parameter is not valid"),
    RequestValidationError: ProblemType(422, "invalid_parameter", "A parameter is not valid"),
    BadCursor: ProblemType(422, "invalid_cursor", "The cursor is not valid"),
    InvalidSpec: ProblemType(422, "invalid_spec", "The job spec is not valid"),
    InvalidData: ProblemType(422, "invalid_data", "The training data is not valid"),
    InvalidInstance: ProblemType(422, "invalid_instance", "An instance does not fit the model"),
    InvalidFile: ProblemType(422, "invalid_file", "The file does not match its format"),
    UnreadableFile: ProblemType(422, UnreadableFile.code, "The file could not be read"),
    KeyReused: ProblemType(422, "idempotency_key_reused", "The Idempotency-Key belongs to another body"),
    CrossSiteRequest: ProblemType(403, "cross_site_request", "A page of another origin may not make changes"),
    PreflightRefused: ProblemType(400, "preflight_refused", "Pages of other origins may not use this method or header"),
    HostNotAllowed: ProblemType(421, "host_not_allowed", "The service does not answer for this host"),
    NoSuchJob: ProblemType(404, "unknown_job", "No such job"),
    NoSuchDataset: ProblemType(404, "unknown_dataset", "No such dataset"),
    NoSuchUpload: ProblemType(404, "unknown_upload", "No such upload"),
    NoSuchPage: ProblemType(404, "unknown_path", "No such page"),
    WrongState: ProblemType(409, "wrong_state", "The job's state does not allow it"),
    JobNotTrained: ProblemType(409, "job_not_trained", "The job has no weights yet"),
    UnknownVersion: ProblemType(409, "unknown_version", "Another version wrote the job's spec or checkpoint"),
    DatasetInUse: ProblemType(409, "dataset_in_use", "A job needs the dataset"),
    WrongOffset: ProblemType(409, "wrong_offset", "The part begins at another byte than the upload has reached"),
    UploadIncomplete: ProblemType(409, "upload_incomplete", "Bytes of the upload are missing"),
    KeyInProgress: ProblemType(409, "idempotency_key_in_progress", "The first request is still in progress"),
    BodyTooSlow: ProblemType(408, "body_too_slow", "The body did not arrive in time"),
    BodyTooLarge: ProblemType(413, "body_too_large", "The body is too large"),
    NotAcceptable: ProblemType(406, "not_acceptable", "No acceptable media type can be answered"),
    UnsupportedContentEncoding: ProblemType(
        415, "unsupported_content_encoding", "The compression of the body is not supported"
    ),
    UnsupportedMediaType: ProblemType(415, "unsupported_media_type", "The media type of the body is not supported"),
    UploadTooLong: ProblemType(422, "upload_too_long", "The part exceeds the length of the upload"),
    UnsupportedTusVersion: ProblemType(412, "unsupported_tus_version", "The version of the protocol is not supported"),
    UploadBusy: ProblemType(423, "upload_busy", "Another request writes to the upload"),
    TooMuchWork: ProblemType(422, "too_much_work", "The request takes too much time, memory or space"),
    TooManyJobs: ProblemType(429, "too_many_jobs", "Too many jobs are queued"),
    QueueTooLarge: ProblemType(429, "queue_too_large", "The specs of waiting jobs are too large together"),
    NoSuchBlob: ProblemType(500, "missing_file", "A stored file is missing"),
    DamagedBlob: ProblemType(500, "damaged_file", "A stored file is damaged"),
    ClientDisconnect: ProblemType(400, "incomplete_body", "The body is incomplete"),
    **dict.fromkeys(UNREACHABLE_DATABASE_ERRORS, ProblemType(503, "database_away", "The database cannot be reached")),
    PoolTimeout: ProblemType(503, "database_busy", "The database is busy"),
    TooManyUploads: ProblemType(429, "too_many_uploads", "Too many uploads wait to be read"),
    TooManyBodies: ProblemType(503, "too_many_bodies", "Too many bodies are in progress"),
    BlobStoreUnavailable: ProblemType(503, "storage_away", "The stored files cannot be reached"),
    ServiceBusy: ProblemType(503, "service_busy", "Too many heavy requests are in progress"),
    StorageFull: ProblemType(507, "storage_full", "The disk is full"),
    PartialUploadsFull: ProblemType(507, "partial_uploads_full", "Too many uploads are unfinished"),
    LimitReached: ProblemType(507, "storage_limit_reached", "A limit of what the service stores is reached"),
}

HTTP_PROBLEM_TYPES: Mapping[int, ProblemType] = {
    404: ProblemType(404, "unknown_path", "No such page"),
    405: ProblemType(405, "method_not_allowed", "The method is not allowed here"),
}
"""The problem types of the statuses that Starlette itself answers with."""

TOO_MANY_CONNECTIONS = ProblemType(503, "too_many_connections", "Too many connections are open")
INVALID_REQUEST = ProblemType(400, "invalid_request", "The request is not valid HTTP")
INTERNAL_ERROR = ProblemType(500, "internal_error", "The service failed")


def problem_type_of(error: Exception) -> ProblemType:
    """Return the row of the error's class or of its nearest base class."""
    return next(PROBLEM_TYPES[kind] for kind in type(error).__mro__ if kind in PROBLEM_TYPES)
