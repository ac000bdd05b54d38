"""Tables as people have them, over HTTP: each format is uploaded, trained on, and asked."""

import gzip
import json
from typing import Any

import pytest
from backports import zstd

from tests.api.conftest import Api
from tests.core.data.readers.files import ods_bytes, parquet_bytes, xlsx_bytes

ROWS: list[tuple[float, str, str]] = [(n / 2, ("red", "green")[n % 2], ("no", "yes")[n % 2]) for n in range(40)]
NAMES = ["size", "colour", "sweet"]
SHEET: list[list[Any]] = [NAMES, *map(list, ROWS)]
CSV = "".join(f"{size},{colour},{sweet}\n" for size, colour, sweet in [tuple(NAMES), *ROWS]).encode()
QUERY = f"SELECT * FROM (VALUES {', '.join(map(str, ROWS))}) AS t({', '.join(NAMES)})"
FILES = {
    "fruit.csv": CSV,
    "fruit.csv.gz": gzip.compress(CSV),
    "fruit.csv.zst": zstd.compress(CSV),
    "fruit.json": json.dumps([dict(zip(NAMES, row, strict=True)) for row in ROWS]).encode(),
    "fruit.jsonl": "".join(json.dumps(dict(zip(NAMES, row, strict=True))) + "\n" for row in ROWS).encode(),
    "fruit.parquet": parquet_bytes(QUERY),
    "fruit.xlsx": xlsx_bytes(("fruit", SHEET)),
    "fruit.ods": ods_bytes(SHEET),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_model(api: Api, name: str) -> None:
    uploaded = api.client.post("/v1/datasets", files={"file": (name, FILES[name])})
    assert uploaded.status_code in {200, 201}, uploaded.text
    dataset = uploaded.json()
    assert [(column["name"], column["type"]) for column in dataset["columns"]] == [
        ("size", "number"),
        ("colour", "category"),
        ("sweet", "category"),
    ]
    job = api.trained(
        data={"type": "dataset", "id": dataset["id"], "target": "sweet"},
        architecture={"layers": [{"type": "dense", "units": 2}]},
        training={"epochs": 2, "seed": 1},
    )
    assert (job["status"], job["error"]) == ("succeeded", None)
    instances = {"instances": [{"size": 3, "colour": "red"}]}
    answer = api.client.post(f"/v1/jobs/{job['id']}/predictions", json=instances).json()["predictions"][0]
    reference = api.trained(
        data={"type": "dataset", "id": csv_dataset(api), "target": "sweet"},
        architecture={"layers": [{"type": "dense", "units": 2}]},
        training={"epochs": 2, "seed": 1},
    )
    assert job["weights_sha256"] == reference["weights_sha256"]
    assert answer["label"] in {"yes", "no"}


def csv_dataset(api: Api) -> str:
    """Upload the table as CSV."""
    return str(api.client.post("/v1/datasets", content=CSV, headers={"Content-Type": "text/csv"}).json()["id"])


def test_sheets_of_one_workbook_are_datasets_of_their_own(api: Api) -> None:
    book = xlsx_bytes(("a", [["x", "y"], [1, 2], [3, 4]]), ("b", [["x", "y"], [5, 6], [7, 8]]))
    found = [api.client.post(f"/v1/datasets?sheet={sheet}", content=book).json() for sheet in ("a", "b")]
    assert found[0]["id"] != found[1]["id"]
    pages = [api.client.get(f"/v1/datasets/{one['id']}/rows").json()["items"] for one in found]
    assert pages == [[{"x": 1.0, "y": 2.0}, {"x": 3.0, "y": 4.0}], [{"x": 5.0, "y": 6.0}, {"x": 7.0, "y": 8.0}]]


@pytest.mark.parametrize(("query", "names"), [("", ["city", "2019", "2020"]), ("?header=no", ["0", "1", "2"])])
def test_years_beside_a_name_are_a_header_unless_the_client_says_no(api: Api, query: str, names: list[str]) -> None:
    content = b"city,2019,2020\nOslo,1,2\nBergen,3,4\n"
    found = api.client.post(f"/v1/datasets{query}", content=content, headers={"Content-Type": "text/csv"}).json()
    assert [column["name"] for column in found["columns"]] == names


def test_options_are_parts_of_a_form_too(api: Api) -> None:
    form = {"file": ("years.csv", b"2019;2020\n1;2\n")}
    options = {"delimiter": ";", "header": "yes"}
    found = api.client.post("/v1/datasets", files=form, data=options).json()
    assert [column["name"] for column in found["columns"]] == ["2019", "2020"]


@pytest.mark.parametrize(
    ("query", "content", "message"),
    [
        ("sheet=a", CSV, "sheet is no option of the format csv"),
        ("format=parquet", CSV, "cannot be read as Parquet"),
        ("format=excel", CSV, "cannot be read as a workbook"),
        ("format=json", CSV, "is no JSON"),
        ("header=perhaps", CSV, "header must be yes or no"),
    ],
)
def test_wrong_option_or_format_is_refused(api: Api, query: str, content: bytes, message: str) -> None:
    answer = api.client.post(f"/v1/datasets?{query}", content=content, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 422
    assert message in answer.text
