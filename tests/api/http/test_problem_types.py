"""Every problem type of the OpenAPI document can be produced: one table of requests."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest

from api.http.problem_types import PROBLEM_TYPES
from core.data.errors import DataError
from core.settings import Settings
from core.store import errors as store_errors
from core.store.tables import IdempotencyKey
from harness.processes import ROOT
from tests.api.conftest import LINE, Api, quiet, running

TABLE = "x,y\n" + "".join(f"{n},{2 * n}\n" for n in range(10))
MAX_QUEUED = 3


@dataclass(frozen=True)
class Setup:
    """An API with small limits, an ended job, a queued job, and the dataset that the queued job needs."""

    api: Api
    ended: str
    queued: str
    used_dataset: str
    upload: str

    def request(self, method: str, path: str, **content: Any) -> Any:
        """Send a request."""
        return self.api.client.request(method, path, **content)


Trigger: TypeAlias = Callable[[Setup, str, str], Any]
"""Causes an error, given the method and the path of an operation; returns the response."""


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    """Start one API for all errors; triggers that change its state restore it."""
    limits = {"max_queued": MAX_QUEUED, "max_body_bytes": 20_000, "max_upload_bytes": 20_000}
    with running(Settings(**quiet(tmp_path_factory.mktemp("api"), **limits))) as api:
        ended = api.trained()["id"]
        used_dataset = api.client.post("/v1/datasets", content=TABLE, headers={"Content-Type": "text/csv"}).json()["id"]
        queued = api.post(data={"type": "dataset", "id": used_dataset, "target": "y"})["id"]
        upload = api.client.post("/v1/uploads", headers={"Upload-Length": "5"}).json()["id"]
        yield Setup(api, ended, queued, used_dataset, upload)


def fill(setup: Setup, path: str, **ids: str) -> str:
    """Return the path with ids: by default those of the ended job and of the dataset in use."""
    return path.format(**({"job_id": setup.ended, "dataset_id": setup.used_dataset, "upload_id": setup.upload} | ids))


BODIES = {
    "continue": {"epochs": 1},
    "predictions": {"instances": [[1]]},
    "inspect": {"instances": [[1]], "targets": [2]},
    "check_gradient": {"instances": [[1]], "targets": [2]},
}
"""Valid bodies of some operations, by the last part of their path."""


def valid_body(path: str) -> dict[str, Any]:
    """Return a valid body of the operation as arguments of a request; empty if it takes none."""
    body = BODIES.get(path.rpartition("/")[2])
    return {} if body is None else {"json": body}


def unknown_id(setup: Setup, method: str, path: str) -> Any:
    """Send an unknown id."""
    return setup.request(method, fill(setup, path, job_id="job_none", dataset_id="ds_none"), **valid_body(path))


def bad_parameter(setup: Setup, method: str, path: str) -> Any:
    """Send a parameter that no route has."""
    return setup.request(method, f"{fill(setup, path)}?unheard-of=1")


def unacceptable_type(setup: Setup, method: str, path: str) -> Any:
    """Accept images only."""
    return setup.request(method, fill(setup, path), headers={"Accept": "image/png"})


def bad_cursor(setup: Setup, method: str, path: str) -> Any:
    """Send a cursor that was never issued."""
    return setup.request(method, path, params={"cursor": "nonsense"})


def not_json(setup: Setup, method: str, path: str) -> Any:
    """Send a body that is not JSON."""
    return setup.request(method, fill(setup, path), content=b"{", headers={"Content-Type": "application/json"})


def form_without_file(setup: Setup, method: str, path: str) -> Any:
    """Send a form without a file."""
    return setup.request(method, path, files={"name": (None, "table")})


def bad_spec(setup: Setup, method: str, path: str) -> Any:
    """Send a body of another schema."""
    return setup.request(method, fill(setup, path), json={"epochs": -1})


def bad_monitor(setup: Setup, method: str, path: str) -> Any:
    """Monitor a metric that is not computed."""
    return setup.request(method, fill(setup, path), json={"early_stopping": {"monitor": "val_loss"}})


def bad_data(setup: Setup, method: str, path: str) -> Any:
    """Send more rows of x than of y."""
    return setup.request(method, path, json=LINE | {"data": {"type": "inline", "x": [[1], [2]], "y": [[2]]}})


def bad_instance(setup: Setup, method: str, path: str) -> Any:
    """Send two numbers for a network with one input."""
    return setup.request(method, fill(setup, path), json=valid_body(path)["json"] | {"instances": [[1, 2]]})


def bad_file(setup: Setup, method: str, path: str) -> Any:
    """Send a file that does not match its media type."""
    return setup.request(method, fill(setup, path), content=b"x", headers={"Content-Type": "application/x-npy"})


def reused_key(setup: Setup, method: str, path: str) -> Any:
    """Send the idempotency key of another body."""
    key = {"Idempotency-Key": path}
    created = setup.request("POST", "/v1/jobs", json=LINE | {"name": path}, headers=key).json()["id"]
    answer = setup.request(method, fill(setup, path), headers=key, **({"json": LINE} | valid_body(path)))
    setup.request("POST", f"/v1/jobs/{created}/cancel")
    setup.request("DELETE", f"/v1/jobs/{created}")
    return answer


def large_body(setup: Setup, method: str, path: str) -> Any:
    """Send a body beyond the limit."""
    return setup.request(method, fill(setup, path), content=b" " * 20_001, headers={"Content-Type": "application/json"})


def large_file(setup: Setup, method: str, path: str) -> Any:
    """Send a file beyond the limit."""
    return setup.request(method, path, content=b"x\n" + b"1\n" * 20_000, headers={"Content-Type": "text/csv"})


def unsupported_media_type(setup: Setup, method: str, path: str) -> Any:
    """Send a body of an unsupported media type."""
    return setup.request(method, fill(setup, path), content=b"<x/>", headers={"Content-Type": "application/xml"})


def ended_job(setup: Setup, method: str, path: str) -> Any:
    """Act on an ended job."""
    return setup.request(method, fill(setup, path))


def queued_job(setup: Setup, method: str, path: str) -> Any:
    """Act on a job that is not trained yet."""
    return setup.request(method, fill(setup, path, job_id=setup.queued), **valid_body(path))


def in_progress(setup: Setup, method: str, path: str) -> Any:
    """Send an idempotency key whose first request is still in progress."""
    address = fill(setup, path)
    body = json.dumps(valid_body(path).get("json", LINE)).encode()
    hashed = body if path == "/v1/jobs" else f"continue {setup.ended} ".encode() + body
    row = IdempotencyKey(owner="", key="first", body_sha256=hashlib.sha256(hashed).hexdigest(), created_at=1)
    with setup.api.services.database.begin() as s:
        s.merge(row)
    headers = {"Idempotency-Key": "first", "Content-Type": "application/json"}
    return setup.request(method, address, content=body, headers=headers)


def full_queue(setup: Setup, method: str, path: str) -> Any:
    """Fill the queue."""
    created = []
    while (more := setup.request("POST", "/v1/jobs", json=LINE)).status_code == 201:
        created.append(more.json()["id"])
    answer = setup.request(method, fill(setup, path), **({"json": LINE} | valid_body(path)))
    for job_id in created:
        setup.request("POST", f"/v1/jobs/{job_id}/cancel")
        setup.request("DELETE", f"/v1/jobs/{job_id}")
    return answer


def in_use(setup: Setup, method: str, path: str) -> Any:
    """Act on a dataset that a queued job needs."""
    return setup.request(method, fill(setup, path))


DEFAULT_TRIGGERS: Mapping[str, Trigger] = {
    "unknown_job": unknown_id,
    "unknown_dataset": unknown_id,
    "body_too_large": large_body,
    "unsupported_media_type": unsupported_media_type,
    "too_many_jobs": full_queue,
    "idempotency_key_in_progress": in_progress,
    "idempotency_key_reused": reused_key,
    "invalid_parameter": bad_parameter,
    "not_acceptable": unacceptable_type,
    "invalid_cursor": bad_cursor,
    "invalid_body": not_json,
    "invalid_spec": bad_spec,
    "invalid_data": bad_data,
    "invalid_instance": bad_instance,
    "invalid_file": bad_file,
    "wrong_state": ended_job,
    "job_not_trained": queued_job,
    "dataset_in_use": in_use,
}
"""The trigger of each code."""


def split_of_a_deleted_dataset(setup: Setup, method: str, path: str) -> Any:
    """Ask for the split of a job whose dataset was deleted after its end."""
    posted = setup.request("POST", "/v1/datasets", content=TABLE + "9,9\n", headers={"Content-Type": "text/csv"})
    dataset = posted.json()["id"]
    job = setup.api.post(data={"type": "dataset", "id": dataset, "target": "y"})["id"]
    setup.request("POST", f"/v1/jobs/{job}/cancel")
    setup.request("DELETE", f"/v1/datasets/{dataset}")
    return setup.request(method, fill(setup, path, job_id=job))


def part_of_another_type(setup: Setup, method: str, path: str) -> Any:
    """Send a part of an upload as a form would."""
    headers = {"Upload-Offset": "0", "Content-Type": "text/csv"}
    return setup.request(method, fill(setup, path), content=b"x", headers=headers)


SPECIAL_TRIGGERS: Mapping[tuple[str, str, str], Trigger] = {
    ("DELETE", "/v1/jobs/{job_id}", "wrong_state"): queued_job,
    ("GET", "/v1/jobs/{job_id}/split", "unknown_dataset"): split_of_a_deleted_dataset,
    ("POST", "/v1/jobs/{job_id}/continue", "wrong_state"): queued_job,
    ("POST", "/v1/jobs/{job_id}/continue", "invalid_spec"): bad_monitor,
    ("PATCH", "/v1/uploads/{upload_id}", "unsupported_media_type"): part_of_another_type,
    ("POST", "/v1/datasets", "body_too_large"): large_file,
    ("POST", "/v1/datasets", "invalid_body"): form_without_file,
}
TESTED_ELSEWHERE: Mapping[str, str] = {
    "unknown_version": "api/end_to_end/test_unknown_versions.py",
    "queue_too_large": "api/services/test_storage_limits.py",
    "storage_limit_reached": "api/services/test_storage_limits.py",
    "storage_full": "api/end_to_end/test_full_disk.py",
    "too_many_uploads": "api/services/test_schema_inference.py",
    "unreadable_file": "api/services/test_schema_inference.py",
    "unknown_path": "api/http/test_problems.py",
    "incomplete_body": "api/http/test_problems.py",
    "body_too_slow": "api/http/test_limits.py",
    "too_many_bodies": "api/http/test_limits.py",
    "missing_file": "api/http/test_problems.py",
    "damaged_file": "api/routes/test_predictions.py",
    "database_away": "api/http/test_problems.py",
    "database_busy": "api/http/test_problems.py",
    "storage_away": "worker/test_bucket.py",
    "cross_site_request": "api/http/test_origins.py",
    "host_not_allowed": "api/http/test_origins.py",
    "preflight_refused": "api/http/test_cors.py",
    "unsupported_content_encoding": "api/http/test_decoding.py",
    "service_busy": "api/services/test_compute_pool.py",
    "too_much_work": "api/services/test_compute_pool.py",
    "unknown_upload": "api/routes/test_uploads.py",
    "wrong_offset": "api/routes/test_uploads.py",
    "upload_busy": "api/routes/test_uploads.py",
    "upload_too_long": "api/routes/test_uploads.py",
    "upload_incomplete": "api/routes/test_uploads.py",
    "partial_uploads_full": "api/routes/test_uploads.py",
    "unsupported_tus_version": "api/routes/test_uploads.py",
}
"""Codes that need a disk, an upload, many clients, a slow client or another database, and the files that test them."""
UNDOCUMENTED = {
    "unknown_path", "incomplete_body", "body_too_slow", "missing_file", "damaged_file",
    "database_away", "database_busy", "storage_away", "too_many_bodies", "cross_site_request", "host_not_allowed",
    "preflight_refused", "unsupported_content_encoding",
}  # fmt: skip
"""Codes that belong to no operation in particular."""


def test_every_documented_problem_can_be_produced(setup: Setup) -> None:
    reached = set()
    for path, operations in setup.request("GET", "/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                for code in re.findall(r"`(\w+)`", response["description"]) if status[0] in "45" else ():
                    key = (method.upper(), path, code)
                    reached.add(key)
                    if code in TESTED_ELSEWHERE:
                        continue
                    trigger = SPECIAL_TRIGGERS.get(key) or DEFAULT_TRIGGERS[code]
                    answer = trigger(setup, method.upper(), path)
                    assert answer.status_code == int(status), (key, trigger.__doc__, answer.text)
                    assert answer.headers["Content-Type"] == "application/problem+json", key
                    assert answer.json()["code"] == code, (key, answer.text)
    assert SPECIAL_TRIGGERS.keys() <= reached


def test_every_problem_type_is_documented(setup: Setup) -> None:
    document = setup.request("GET", "/openapi.json").text
    codes = {kind.code for kind in PROBLEM_TYPES.values()}
    assert {code for code in codes if f"`{code}`" not in document} == UNDOCUMENTED
    assert UNDOCUMENTED <= TESTED_ELSEWHERE.keys() <= codes


@pytest.mark.parametrize(("code", "file"), TESTED_ELSEWHERE.items())
def test_file_that_tests_a_code_contains_it(code: str, file: str) -> None:
    assert f'"{code}"' in (ROOT / "tests" / file).read_text()


# No request can cause these.
INTERNAL = {
    "StoreError",
    "NoSuchCheckpoint",
    "Fenced",
    "WrongRevision",
    "OlderVersion",
    "NetworkFileSystem",
    "DataError",
}


@pytest.mark.parametrize("root", [store_errors.StoreError, DataError])
def test_every_error_of_the_core_has_a_problem_type(root: type[Exception]) -> None:
    names = {kind.__name__ for kind in root.__subclasses__()}
    assert names - INTERNAL <= {kind.__name__ for kind in PROBLEM_TYPES}


def test_codes_are_lower_case_words() -> None:
    assert all(kind.code.replace("_", "").isalpha() and kind.code.islower() for kind in PROBLEM_TYPES.values())
