"""Resumable uploads, as a client of tus 1.0 sends them, and datasets made of them."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from harness.processes import processes
from tests.api.conftest import Api

TABLE = b"age,city\n30,Rome\n31,Oslo\n,Rome\n"
TUS = {"Tus-Resumable": "1.0.0"}
PART = TUS | {"Content-Type": "application/offset+octet-stream"}


def encoded(**metadata: str) -> str:
    return ",".join(f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in metadata.items())


def create(client: Any, length: int = len(TABLE), **metadata: str) -> Any:
    headers = TUS | {"Upload-Length": str(length)}
    if metadata:
        headers["Upload-Metadata"] = encoded(**metadata)
    return client.post("/v1/uploads", headers=headers)


def send(client: Any, address: str, offset: int, content: Any) -> Any:
    return client.patch(address, content=content, headers=PART | {"Upload-Offset": str(offset)})


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_upload_in_parts_becomes_a_dataset(api: Api, client: TestClient) -> None:
    created = create(client, filename="people.csv", name="people")
    assert created.status_code == 201, created.text
    assert (created.headers["tus-resumable"], created.headers["upload-offset"]) == ("1.0.0", "0")
    assert created.headers["upload-expires"].endswith(" GMT")
    address = created.headers["location"]
    assert address == f"/v1/uploads/{created.json()['id']}"
    for offset, part in ((0, TABLE[:10]), (10, TABLE[10:])):
        head = client.head(address, headers=TUS)
        assert (head.status_code, head.headers["upload-offset"]) == (200, str(offset))
        assert (head.headers["upload-length"], head.headers["cache-control"]) == (str(len(TABLE)), "no-store")
        sent = send(client, address, offset, part)
        assert (sent.status_code, sent.headers["upload-offset"]) == (204, str(offset + len(part)))
    upload_id = created.json()["id"]
    dataset = client.post("/v1/datasets", params={"upload": upload_id})
    assert dataset.status_code == 201, dataset.text
    assert (dataset.json()["name"], dataset.json()["rows"], dataset.json()["bytes"]) == ("people", 3, len(TABLE))
    assert api.services.partial_uploads.path(upload_id).stat().st_size == 0
    again = client.post("/v1/datasets", params={"upload": upload_id})  # the first answer may have been lost
    assert (again.status_code, again.json()["id"]) == (200, dataset.json()["id"])
    other = client.post("/v1/datasets", params={"upload": upload_id, "types": '{"age": "category"}'})
    assert (other.status_code, other.json()["columns"][0]["type"]) == (201, "category")
    for one in (dataset, other):
        client.delete(f"/v1/datasets/{one.json()['id']}")


def test_a_file_that_does_not_fit_stays_for_another_try(client: TestClient) -> None:
    upload_id = create(client).json()["id"]
    send(client, f"/v1/uploads/{upload_id}", 0, TABLE)
    assert client.post("/v1/datasets", params={"upload": upload_id, "format": "npy"}).status_code == 422
    read = client.post("/v1/datasets", params={"upload": upload_id, "format": "csv"})
    assert read.status_code == 201, read.text
    client.delete(f"/v1/datasets/{read.json()['id']}")


def test_an_interrupted_part_goes_on_where_it_stopped_after_a_restart(tmp_path: Path) -> None:
    with processes(tmp_path) as running:
        first = running.start_api()
        address = create_at(running.url)
        half = len(BIG) // 2

        def killed() -> Any:
            yield BIG[:half]
            while not int(httpx.head(address).headers["upload-offset"]):
                pass  # until the API has written something
            first.kill()
            first.wait()
            yield BIG[half:]

        with pytest.raises(httpx.HTTPError):
            send(httpx, address, 0, killed())
        running.start_api()
        offset = int(httpx.head(address).headers["upload-offset"])
        assert 0 < offset <= half
        assert send(httpx, address, offset, BIG[offset:]).status_code == 204
        upload_id = address.rpartition("/")[2]
        dataset = httpx.post(f"{running.url}/v1/datasets?upload={upload_id}&format=csv", timeout=60).json()
        assert (dataset["rows"], dataset["bytes"]) == (ROWS, len(BIG))


ROWS = 200_000
BIG = b"a,b\n" + b"1.5,2.5\n" * ROWS


def create_at(url: str) -> str:
    created = httpx.post(f"{url}/v1/uploads", headers=TUS | {"Upload-Length": str(len(BIG))})
    return url + created.headers["location"]


Case = Callable[[TestClient, str], Any]
REFUSED: dict[str, tuple[tuple[int, str], Case]] = {
    "other offset": ((409, "wrong_offset"), lambda client, address: send(client, address, 3, b"x")),
    "too long": ((422, "upload_too_long"), lambda client, address: send(client, address, 0, TABLE + b"x")),
    "other type": (
        (415, "unsupported_media_type"),
        lambda client, address: client.patch(address, content=b"x", headers={"Upload-Offset": "0"}),
    ),
    "no offset": ((422, "invalid_parameter"), lambda client, address: client.patch(address, content=b"", headers=PART)),
    "other version": (
        (412, "unsupported_tus_version"),
        lambda client, address: client.patch(address, content=b"x", headers=PART | {"Tus-Resumable": "0.2.2"}),
    ),
    "incomplete": (
        (409, "upload_incomplete"),
        lambda client, address: client.post("/v1/datasets", params={"upload": address.rpartition("/")[2]}),
    ),
    "unknown": ((404, "unknown_upload"), lambda client, _: send(client, "/v1/uploads/upl_0", 0, b"x")),
    "dataset of an unknown one": (
        (404, "unknown_upload"),
        lambda client, _: client.post("/v1/datasets?upload=upl_0"),
    ),
    "body beside it": (
        (422, "invalid_body"),
        lambda client, address: client.post(f"/v1/datasets?upload={address.rpartition('/')[2]}", content=b"x"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_requests_change_nothing(client: TestClient, case: str) -> None:
    expected, request = REFUSED[case]
    address = create(client).headers["location"]
    answer = request(client, address)
    assert code(answer) == expected, answer.text
    if answer.request.url.path.startswith("/v1/uploads"):
        assert answer.headers["tus-resumable"] == "1.0.0"
    assert client.get(address).json()["offset"] == 0
    assert client.delete(address).status_code == 204
    assert code(client.get(address)) == (404, "unknown_upload")


def test_an_upload_that_another_request_writes_to_is_locked(api: Api, client: TestClient) -> None:
    created = create(client).json()["id"]
    writer = api.services.partial_uploads.open_part(created, None, 0)
    try:
        assert code(send(client, f"/v1/uploads/{created}", 0, b"x")) == (423, "upload_busy")
    finally:
        writer.close()
    assert send(client, f"/v1/uploads/{created}", 0, b"x").status_code == 204
    client.delete(f"/v1/uploads/{created}")


@pytest.mark.parametrize("metadata", ["filename !", "a YQ==,a Yg==", "a /w==", "x" * 5000])
def test_invalid_metadata_is_refused(client: TestClient, metadata: str) -> None:
    answer = client.post("/v1/uploads", headers={"Upload-Length": "1", "Upload-Metadata": metadata})
    assert code(answer) == (422, "invalid_parameter")


@pytest.mark.parametrize(
    ("length", "expected"), [("-1", 422), ("x", 422), (str(2**60), 422), (str(2**40), 413), ("0", 201)]
)
def test_declared_length_is_checked(client: TestClient, length: str, expected: int) -> None:
    answer = client.post("/v1/uploads", headers={"Upload-Length": length})
    assert answer.status_code == expected, answer.text
    if expected == 201:
        assert answer.json()["complete"]
        client.delete(answer.headers["location"])


def test_unfinished_uploads_are_limited(start: Callable[..., Api]) -> None:
    client = start(max_partial_uploads=1).client
    first = create(client)
    assert first.status_code == 201
    assert code(create(client)) == (507, "partial_uploads_full")
    client.delete(first.headers["location"])
    assert create(client).status_code == 201


def test_options_describe_the_protocol(client: TestClient) -> None:
    answer = client.options("/v1/uploads")
    assert (answer.status_code, answer.headers["tus-version"]) == (204, "1.0.0")
    assert answer.headers["tus-extension"] == "creation,expiration,termination"
    assert int(answer.headers["tus-max-size"]) == 2**30
