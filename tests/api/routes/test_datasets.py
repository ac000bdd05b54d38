"""Datasets: three formats, form and raw uploads, and refused uploads that store nothing."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from api.services.dataset_rows import LIGHT_CELLS, MAX_PAGE_CELLS
from tests.api.conftest import LINE, Api

CSV = {"Content-Type": "text/csv"}


def stored_files(api: Api) -> set[str]:
    """Return the names of all blob files, partial ones included."""
    return {path.name for path in api.services.settings.blob_dir.rglob("*") if path.is_file()}


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def table(seed: int) -> bytes:
    """Return a CSV table that depends on the seed."""
    return f"age,city\n{seed},Rome\n31,Oslo\n,Rome\n".encode()


def test_form_upload_creates_a_dataset(api: Api, client: TestClient) -> None:
    posted = client.post("/v1/datasets", files={"file": ("people.csv", table(1))}, data={"name": "people"})
    assert posted.status_code == 201, posted.text
    dataset = posted.json()
    assert posted.headers["location"] == f"/v1/datasets/{dataset['id']}"
    assert (dataset["name"], dataset["format"], dataset["rows"]) == ("people", "csv", 3)
    age, city = dataset["columns"]
    assert (age["name"], age["type"], age["missing"], age["min"], age["max"]) == ("age", "number", 1, 1.0, 31.0)
    assert city["classes"] == {"Rome": 2, "Oslo": 1}
    assert dataset["bytes"] == len(table(1))
    assert dataset["sha256"] in stored_files(api) or any(dataset["sha256"].endswith(name) for name in stored_files(api))
    assert client.get(posted.headers["location"]).json() == dataset
    assert client.get("/v1/datasets/latest").json() == dataset


def test_raw_upload_of_the_same_bytes_returns_the_same_dataset(client: TestClient) -> None:
    first = client.post("/v1/datasets?name=raw", content=table(2), headers=CSV)
    again = client.post("/v1/datasets", files={"file": ("other.csv", table(2))})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert first.json()["name"] == "raw"


@pytest.mark.parametrize(
    ("kind", "body", "format_"),
    [
        ("application/x-npy", npy(np.arange(12.0).reshape(4, 3)), "npy"),
        ("application/octet-stream", npy(np.arange(12.0).reshape(3, 4)), "npy"),
        ("application/x-npz", npz(x=np.ones((5, 2)), y=np.arange(5)), "npz"),
        ("application/zip", npz(x=np.ones((6, 2)), y=np.arange(6)), "npz"),
        ("text/tab-separated-values", b"a\tb\n1\t2\n", "csv"),
    ],
)
def test_upload_of_every_format(client: TestClient, kind: str, body: bytes, format_: str) -> None:
    posted = client.post("/v1/datasets", content=body, headers={"Content-Type": kind})
    assert posted.status_code == 201, posted.text
    assert posted.json()["format"] == format_


@pytest.mark.parametrize("kind", [None, "application/x-www-form-urlencoded"])  # curl --data-binary sends the latter
def test_upload_without_its_media_type_needs_a_format_that_follows_from_elsewhere(
    client: TestClient, kind: str | None
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    refused = client.post("/v1/datasets", content=table(7), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_file")
    assert "format" in refused.json()["detail"]
    assert "Content-Type" in refused.json()["detail"]
    assert client.post("/v1/datasets?format=csv", content=table(7), headers=headers).is_success
    assert client.post("/v1/datasets", content=npy(np.arange(8.0)), headers=headers).is_success  # by its first bytes


def test_types_override_the_inferred_ones(client: TestClient) -> None:
    body = b"zip,n\n0815,1\n4711,2\n0815,3\n"
    types = json.dumps({"zip": "category"})
    posted = client.post("/v1/datasets", files={"file": ("zip.csv", body)}, data={"types": types})
    assert posted.json()["columns"][0]["classes"] == {"0815": 2, "4711": 1}


def test_other_types_of_the_same_bytes_create_another_dataset(client: TestClient) -> None:
    body = b"zip,n\n1010,1\n4711,2\n1010,3\n"
    inferred = client.post("/v1/datasets", content=body, headers=CSV)
    types = json.dumps({"zip": "category"})
    overridden = client.post("/v1/datasets", files={"file": ("zip.csv", body)}, data={"types": types})
    assert (inferred.status_code, overridden.status_code) == (201, 201)
    assert inferred.json()["sha256"] == overridden.json()["sha256"]
    assert [one.json()["columns"][0]["type"] for one in (inferred, overridden)] == ["number", "category"]
    assert client.delete(f"/v1/datasets/{inferred.json()['id']}").status_code == 204
    assert len(client.get(f"/v1/datasets/{overridden.json()['id']}/rows").json()["items"]) == 3


def test_rows_are_paged_as_stored(client: TestClient) -> None:
    dataset = client.post("/v1/datasets", content=table(3), headers=CSV).json()["id"]
    first = client.get(f"/v1/datasets/{dataset}/rows?limit=2").json()
    second = client.get(f"/v1/datasets/{dataset}/rows?limit=2&offset={first['next_offset']}").json()
    assert [row["city"] for row in first["items"] + second["items"]] == ["Rome", "Oslo", "Rome"]
    assert second["items"][0]["age"] is None
    assert second["next_offset"] is None
    assert client.get(f"/v1/datasets/{dataset}/rows?offset=99").json() == {"items": [], "next_offset": None}


def test_pages_of_wide_rows_are_shorter(client: TestClient) -> None:
    columns = MAX_PAGE_CELLS // 20
    body = npy(np.arange(50.0 * columns).reshape(50, columns))
    dataset = client.post("/v1/datasets", content=body, headers={"Content-Type": "application/x-npy"}).json()["id"]
    offset, firsts = 0, []
    while offset is not None:
        page = client.get(f"/v1/datasets/{dataset}/rows?limit=1000&offset={offset}").json()
        assert len(page["items"]) <= 20
        firsts += [item["0"] for item in page["items"]]
        offset = page["next_offset"]
    assert firsts == [columns * row for row in range(50)]


def test_large_dataset_is_read_by_a_process_of_the_pool(api: Api, client: TestClient) -> None:
    rows = LIGHT_CELLS + 1
    body = npz(x=np.arange(rows, dtype=np.float32), y=np.zeros((rows, 2), np.float32))
    dataset = client.post("/v1/datasets", content=body, headers={"Content-Type": "application/zip"}).json()["id"]
    client.get(f"/v1/datasets/{dataset}/rows?limit=2")
    with no_process(api):
        assert client.get(f"/v1/datasets/{dataset}/rows").json()["code"] == "service_busy"
        small = client.post("/v1/datasets", content=table(4), headers=CSV).json()["id"]
        assert client.get(f"/v1/datasets/{small}/rows").status_code == 200
    page = client.get(f"/v1/datasets/{dataset}/rows?limit=2&offset={rows - 3}").json()
    assert page == {
        "items": [{"x": rows - 3.0, "y": [0, 0]}, {"x": rows - 2.0, "y": [0, 0]}],
        "next_offset": rows - 1,
    }


@contextmanager
def no_process(api: Api) -> Iterator[None]:
    """Let the queue of the compute pool be full."""
    pool = api.services.compute
    pool._in_progress += 10**6
    yield
    pool._in_progress -= 10**6


def test_page_of_very_long_texts_gets_422(start: Callable[..., Api]) -> None:
    api = start(max_answer_bytes=2**20)
    body = b"x,y\n" + b"".join(b"%d,%s\n" % (row, b"t" * 50_000) for row in range(40))
    dataset = api.client.post("/v1/datasets", content=body, headers=CSV).json()["id"]
    answer = api.client.get(f"/v1/datasets/{dataset}/rows?limit=1000")
    assert (answer.status_code, answer.json()["code"]) == (422, "too_much_work")
    assert len(api.client.get(f"/v1/datasets/{dataset}/rows?limit=10&offset=30").json()["items"]) == 10


def test_list_is_paged_by_cursor(client: TestClient) -> None:
    created = [client.post("/v1/datasets", content=table(100 + n), headers=CSV).json()["id"] for n in range(3)][::-1]
    first = client.get("/v1/datasets?limit=2").json()
    second = client.get("/v1/datasets", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [one["id"] for one in first["items"] + second["items"]] == created


def test_delete_of_a_dataset_in_use_is_refused(api: Api, client: TestClient) -> None:
    dataset = client.post("/v1/datasets", content=b"x,y\n1,2\n2,4\n3,6\n", headers=CSV).json()["id"]
    job = api.post(data={"type": "dataset", "id": dataset, "features": ["x"], "target": "y"})["id"]
    problem = client.delete(f"/v1/datasets/{dataset}")
    assert (problem.status_code, problem.json()["code"]) == (409, "dataset_in_use")
    client.post(f"/v1/jobs/{job}/cancel")
    assert client.delete(f"/v1/datasets/{dataset}").status_code == 204
    assert client.get(f"/v1/datasets/{dataset}").status_code == 404
    again = client.post("/v1/jobs", json=LINE | {"data": {"type": "dataset", "id": dataset, "target": "y"}})
    assert again.json()["errors"][0]["pointer"] == "/data/id"


def zip_bomb() -> bytes:
    """Return an npz file whose array decompresses to a thousand times its size."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy(np.zeros((20_000_000,), np.int8)))
    return buffer.getvalue()


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return buffer.getvalue()


BAD_FILES: list[tuple[str, str, bytes, int, str]] = [
    ("nothing", "text/csv", b"", 422, "invalid_file"),
    ("unequal rows", "text/csv", b"a,b\n1,2\n3\n4,5\n", 422, "invalid_file"),
    ("doubled header", "text/csv", b"a,a\n1,2\n", 422, "invalid_file"),
    ("empty header", "text/csv", b"a,,c\n1,2,3\n", 422, "invalid_file"),
    ("two encodings", "text/csv", "a,b\né,1\n".encode() + "é,2\n".encode("latin-1") + b"\x81,3\n", 422, "invalid_file"),
    ("a giant cell", "text/csv", b'a,b\n"' + b"x" * 5_000_000 + b'",1\n', 422, "invalid_file"),
    ("NUL", "text/csv", b"a,b\n1,\0\n", 422, "invalid_file"),
    ("no format", "application/octet-stream", b"hello", 422, "invalid_file"),
    ("no npy", "application/x-npy", b"hello", 422, "invalid_file"),
    ("a cut npy", "application/x-npy", npy(np.arange(100.0).reshape(10, 10))[:-8], 422, "invalid_file"),
    ("a pickle", "application/x-npy", pickled(), 422, "invalid_file"),
    ("no zip", "application/x-npz", b"PK\x03\x04hello", 422, "invalid_file"),
    ("a bomb", "application/x-npz", zip_bomb(), 422, "invalid_file"),
]


@pytest.mark.parametrize(("what", "kind", "body", "status", "code"), BAD_FILES, ids=[row[0] for row in BAD_FILES])
def test_invalid_file_is_refused_and_stores_nothing(
    start: Any, what: str, kind: str, body: bytes, status: int, code: str
) -> None:
    api = start(max_cells=1_000_000)
    answer = api.client.post("/v1/datasets", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == code
    assert api.client.get("/v1/datasets").json()["items"] == []
    assert stored_files(api) == set()


def form(*parts: tuple[str, str], end: str = "--B--\r\n") -> bytes:
    """Return a multipart body."""
    return ("".join(f"--B\r\n{header}\r\n\r\n{value}\r\n" for header, value in parts) + end).encode()


FILE = ('Content-Disposition: form-data; name="file"; filename="a.csv"', "a,b\n1,2\n")

BAD_FORMS: list[tuple[str, str, bytes, str]] = [
    ("no file", "boundary=B", form(('Content-Disposition: form-data; name="name"', "x")), "/file"),
    ("two files", "boundary=B", form(FILE, FILE), "/file"),
    ("another part", "boundary=B", form(FILE, ('Content-Disposition: form-data; name="path"', "x")), "/path"),
    ("no boundary", "", form(FILE), ""),
    ("cut off", "boundary=B", form(FILE, end=""), ""),
    ("another boundary", "boundary=C", form(FILE), ""),
    (
        "a long field",
        "boundary=B",
        form(FILE, ('Content-Disposition: form-data; name="types"', "x" * 70_000)),
        "/types",
    ),
    ("an empty body", "boundary=B", b"", ""),
]


@pytest.mark.parametrize(("what", "kind", "body", "pointer"), BAD_FORMS, ids=[row[0] for row in BAD_FORMS])
def test_invalid_form_is_refused_and_stores_nothing(
    start: Any, what: str, kind: str, body: bytes, pointer: str
) -> None:
    api = start()
    headers = {"Content-Type": f"multipart/form-data; {kind}"}
    answer = api.client.post("/v1/datasets", content=body, headers=headers)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert stored_files(api) == set()


@pytest.mark.parametrize(
    "types",
    [
        "x",
        "[]",
        '{"a": "colour"}',
        '{"a": 1}',
        '{"a": []}',
        '{"a": {"b": 1}}',
        '{"a": null}',
        '{"a": "text", "a": "text"}',
        "[" * 5000,
    ],
)
def test_invalid_types_are_refused(client: TestClient, types: str) -> None:
    answer = client.post("/v1/datasets", files={"file": ("a.csv", table(7))}, data={"types": types})
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "types")


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ("name=file; filename*=utf-8''na%C3%AFve.csv", "naïve.csv"),
        ("name=file; filename=\"naive.csv\"; filename*=UTF-8''na%C3%AFve.csv", "naïve.csv"),
        ("filename*=utf-8'fr'na%C3%AFve.csv; filename=naive.csv; name=file", "naïve.csv"),
        ("name*=utf-8''file; filename=plain.csv", "plain.csv"),
        ('name=file; filename*0="long"; filename*1="name.csv"', "longname.csv"),
        ("NAME=file; FILENAME*=iso-8859-1''%E9t%E9.csv", "été.csv"),
    ],
)
def test_file_name_is_read_by_rfc_2231_and_5987(client: TestClient, parameters: str, name: str | None) -> None:
    body = form((f"Content-Disposition: form-data; {parameters}", f"a,b\n1,{seed_of(parameters)}\n"))
    answer = client.post("/v1/datasets", content=body, headers={"Content-Type": "multipart/form-data; boundary=B"})
    assert (answer.status_code, answer.json()["name"]) == (201, name)


def seed_of(text: str) -> int:
    """Return a number that differs between texts, so that each upload is another dataset."""
    return int.from_bytes(text.encode()) % 10**9


@pytest.mark.parametrize(
    "parameters",
    [
        "name=file; filename*=x'y; filename*0*=z; filename*=",
        "name=file; filename*1=b; filename*=c",
        "name=file; filename*=utf_8\x01''a",
        "name=file; filename*=idna''%80",
        "name=file; filename*=undefined''abc",
        "name*=nothing''other",
        "name*0*; name*",
        "",
    ],
)
def test_parameters_that_cannot_be_read_are_refused(client: TestClient, parameters: str) -> None:
    body = form((f"Content-Disposition: form-data; {parameters}", "a,b\n1,2\n"))
    answer = client.post("/v1/datasets", content=body, headers={"Content-Type": "multipart/form-data; boundary=B"})
    assert answer.status_code in {200, 201, 422}, answer.text  # never 500


def test_boundary_may_be_extended(client: TestClient) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary*=utf-8''B"}
    assert client.post("/v1/datasets", content=form(FILE), headers=headers).status_code in {200, 201}


@pytest.mark.parametrize(
    ("seed", "name"),
    list(enumerate(["../../etc/passwd", "..\\..\\boot.ini", "/abs/olute.csv", "a/../b.csv"], 10_000)),
)
def test_path_in_a_file_name_is_only_a_label(api: Api, client: TestClient, seed: int, name: str) -> None:
    before = stored_files(api)
    posted = client.post("/v1/datasets", files={"file": (name, table(seed))}, data={"format": "csv"})
    assert posted.status_code == 201
    assert "/" not in posted.json()["name"]
    assert "\\" not in posted.json()["name"]
    assert len(stored_files(api) - before) == 1


def test_long_types_are_refused_in_the_query_but_not_in_a_form(client: TestClient) -> None:
    types = '{"a": "number"' + " " * 2**14 + "}"
    answer = client.post("/v1/datasets", params={"types": types}, content=table(9), headers=CSV)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "types")
    posted = client.post("/v1/datasets", files={"file": ("a.csv", b"a,b\n1,2\n3,9\n")}, data={"types": types})
    assert posted.status_code == 201, posted.text


def test_unknown_format_lists_the_known_ones(client: TestClient) -> None:
    answer = client.post("/v1/datasets?format=feather", content=table(8), headers=CSV)
    assert "csv, json, parquet, excel, sqlite, npy, npz" in answer.json()["detail"]
