"""Files as people have them, over HTTP: guesses are said, a model reads the same texts, and bombs are refused."""

import gzip
from typing import Any

import pytest

from tests.api.conftest import Api

CSV = {"Content-Type": "text/csv"}
GERMAN = ";Größe;Land;Datum;Ja\n" + "".join(
    f"r{n};{n % 9},5;{('NA', 'DE')[n % 2]};{n % 28 + 1}.02.2020;{('WAHR', 'falsch')[n % 2]}\n" for n in range(40)
)
NET = {"layers": [{"type": "dense", "units": 2}]}


def uploaded(api: Api, content: bytes | str, query: str = "") -> dict[str, Any]:
    body = content.encode() if isinstance(content, str) else content
    answer = api.client.post(f"/v1/datasets{query}", content=body, headers=CSV)
    assert answer.status_code in {200, 201}, answer.text
    dataset: dict[str, Any] = answer.json()
    assert api.client.get(f"/v1/datasets/{dataset['id']}").json() == dataset
    return dataset


def test_national_file_is_read_trained_on_and_asked_in_its_own_texts(api: Api) -> None:
    dataset = uploaded(api, GERMAN.encode("cp1252"), '?missing=["","null"]')
    found = {column["name"]: column["type"] for column in dataset["columns"]}
    assert found == {
        "index": "text",
        "Größe": "number",
        "Land": "category",
        "Datum": "datetime",
        "Ja": "category",
    }
    read_as = {name: option["value"] for name, option in dataset["read_as"].items()}
    assert (read_as["encoding"], read_as["delimiter"], read_as["decimal"]) == ("windows-1252", ";", ",")
    assert dataset["read_as"]["missing"] == {"value": ["", "null"], "reason": "said with the upload"}
    assert [(w["code"], w["pointer"]) for w in dataset["warnings"]] == [
        ("assumed", "/read_as/encoding"),
        ("index_column", "/columns/0"),
    ]
    data = {"type": "dataset", "id": dataset["id"], "target": "Ja"}
    job = api.trained(data=data, architecture=NET, training={"epochs": 2, "seed": 1})
    assert (job["status"], job["error"]) == ("succeeded", None)
    left_out = [warning["message"] for warning in job["warnings"] if warning["code"] == "column_left_out"]
    assert any('"index"' in message for message in left_out)

    def ask(**values: Any) -> dict[str, Any]:
        record = {"Größe": 4.5, "Land": "NA", "Datum": "3.02.2020", **values}
        answer = api.client.post(f"/v1/jobs/{job['id']}/predictions", json={"instances": [record]})
        prediction: dict[str, Any] = answer.json()["predictions"][0]
        return prediction

    assert ask()["probabilities"] == ask(Größe="4,5")["probabilities"]
    assert not ask().get("warnings")
    body = "Größe;Land;Datum\n4,5;NA;3.02.2020\n".encode()
    rows = api.client.post(f"/v1/jobs/{job['id']}/predictions", content=body, headers=CSV).json()["predictions"]
    assert rows[0]["probabilities"] == ask()["probabilities"]


def test_spellings_of_true_are_one_category_in_predictions_too(api: Api) -> None:
    lines = [f"{('TRUE', 'True', 'FALSE')[n % 3]},{('no', 'yes')[n % 2]}\n" for n in range(30)]
    dataset = uploaded(api, "flag,y\n" + "".join(lines))
    assert dataset["columns"][0]["classes"] == {"FALSE": 10, "TRUE": 10 + 10}
    data = {"type": "dataset", "id": dataset["id"], "target": "y"}
    job = api.trained(data=data, architecture=NET, training={"epochs": 1, "seed": 1})
    instances = {"instances": [{"flag": flag} for flag in ("TRUE", "true", True)]}
    answers = api.client.post(f"/v1/jobs/{job['id']}/predictions", json=instances).json()["predictions"]
    assert len({str(answer["probabilities"]) for answer in answers}) == 1
    assert not any(answer.get("warnings") for answer in answers)


def test_options_of_reading_are_fields_of_a_form_too(api: Api) -> None:
    form = {"header": '["a", "b"]', "decimal": ",", "delimiter": ";", "skip_rows": "1"}
    answer = api.client.post("/v1/datasets", files={"file": ("t.csv", b"x\n1,5;2\n3,5;4\n")}, data=form)
    assert [(column["name"], column["max"]) for column in answer.json()["columns"]] == [("a", 3.5), ("b", 4)]


BAD: list[tuple[str, bytes, str]] = [
    ("a million columns", b",".join(b"c%d" % n for n in range(10**6)) + b"\n1", "more than 16384"),
    ("a cell of 30 MB", b"a,b\n1," + b"x" * 30 * 2**20, "longer than"),
    ("a quoted cell of 30 MB", b'a,b\n1,"' + b"x\n" * 15 * 2**20, "quote"),
    ("two encodings", "a,b\né,1\n".encode() * 9 + b"\x81,3\n", "encoding"),
    ("a doubled header", b"a,a\n1,2\n", 'columns 1 and 2 are both named "a"'),
    ("nothing", b"", "the file is empty"),
    ("blanks only", b" \n\n", "the file is empty"),
    ("a header alone", b"a,b\n", "no rows"),
    ("a bomb of gzip", gzip.compress(bytes(300 * 2**20), 1), "NUL"),
    ("a bomb of one row", gzip.compress(b"a,b\n1," + b"1" * 100 * 2**20, 1), "longer than"),
    ("a row that is too long", b"a,b\n1,2\n1,2,3\n1,2\n", "row 2 has 3 cells and not 2"),
    ("a cut gzip", gzip.compress(b"a,b\n" + b"1,2\n" * 99)[:-9], "damaged or cut short"),
]


@pytest.mark.parametrize(("content", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_table_is_refused_and_leaves_nothing(api: Api, content: bytes, message: str) -> None:
    before = api.client.get("/v1/datasets?limit=1").json()["items"]
    answer = api.client.post("/v1/datasets", content=content, headers=CSV)
    assert answer.status_code == 422, answer.text
    assert message in answer.json()["detail"]
    assert api.client.get("/v1/datasets?limit=1").json()["items"] == before


@pytest.mark.parametrize(
    ("content", "target", "message"),
    [
        (b"x,y\n1,a\n2,a\n", "y", "only one class"),
        (b"x,y\n1,\n2,\n", "y", "cannot be predicted"),
        (b"x,y\n,1\n,2\n", "y", "there is no column to learn from"),
    ],
)
def test_table_that_teaches_nothing_is_refused_by_its_column(
    api: Api, content: bytes, target: str, message: str
) -> None:
    data = {"type": "dataset", "id": uploaded(api, content)["id"], "target": target}
    answer = api.client.post("/v1/jobs", json={"data": data, "architecture": NET, "training": {"epochs": 1}})
    assert answer.status_code == 422
    assert message in answer.text
