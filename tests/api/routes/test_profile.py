"""The profile of a dataset over HTTP: tables, arrays, pictures and recordings, and refused queries."""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image

from api.services import dataset_profile
from api.services.dataset_profile import ProfileCache
from tests.api.conftest import Api
from tests.api.routes.test_datasets import npz
from tests.core.data.files import media

TABLE = "age,city,note,pay\n" + "".join(
    f"{20 + row % 9},c{row % 4},{'long ' * (row % 3)}text {row},{row * 1.5}\n" for row in range(60)
)


def upload(api: Api, content: bytes | str, kind: str = "text/csv") -> str:
    """Return the id of an uploaded dataset."""
    answer = api.client.post("/v1/datasets", content=content, headers={"Content-Type": kind})
    assert answer.is_success, answer.text
    return str(answer.json()["id"])


def profile(api: Api, dataset: str, **query: Any) -> dict[str, Any]:
    """Return the profile of a dataset."""
    return dict(api.client.get(f"/v1/datasets/{dataset}/profile", params=query).raise_for_status().json())


def picture(size: tuple[int, int], color: Any, mode: str = "RGB") -> bytes:
    return media.picture(Image.new(mode, size, color))


def recording(rate: int, samples: int) -> bytes:
    return media.recording(np.arange(samples) % 100 / 1000, rate)


def test_profile_of_a_table_with_target_and_split(api: Api) -> None:
    split = {"type": "fraction", "validation": 0.2, "test": 0.1}
    found = profile(api, upload(api, TABLE), target="pay", split=json.dumps(split), seed=3)
    assert (found["rows"], found["profiled_rows"], found["next_offset"]) == (60, 60, None)
    assert found["parts"] == {"train": 42, "validation": 12, "test": 6}
    age, city, note, pay = found["columns"]
    assert (age["distinct"], sum(age["histogram"]["counts"]), age["association"]["measure"]) == (9, 60, "pearson")
    assert city["top"][0] == {"value": "c0", "count": 15}
    assert city["association"]["measure"] == "correlation_ratio"
    assert note["words"] == {"min": 2.0, "median": 3.0, "max": 4.0}
    assert pay["association"] is None
    assert found["duplicates"]["shared_with_training"] == {"validation": 0, "test": 0}


def test_parts_are_those_of_a_job(api: Api) -> None:
    dataset, split = upload(api, TABLE), {"type": "group", "column": "city", "validation": 0.25}
    found = profile(api, dataset, target="pay", split=json.dumps(split), seed=5)
    data = {"type": "dataset", "id": dataset, "target": "pay", "split": split}
    job = api.post(data=data, training={"seed": 5, "epochs": 1})
    rows = [
        api.client.get(f"/v1/jobs/{job['id']}/split?part={part}").json()["total"] for part in ("train", "validation")
    ]
    assert list(found["parts"].values()) == rows


def test_profile_of_arrays(api: Api) -> None:
    x = np.arange(60, dtype=np.float32).reshape(20, 3)
    x[5] = x[2]
    found = profile(api, upload(api, npz(x=x, y=np.arange(20) % 2), "application/x-npz"), target="y")
    columns = {column["name"]: column for column in found["columns"]}
    assert (columns["x"]["shape"], sum(columns["x"]["histogram"]["counts"])) == ([3], 60)
    assert found["target"]["classes"] == [{"value": "0", "count": 10}, {"value": "1", "count": 10}]


def test_profile_of_pictures(api: Api) -> None:
    files = {f"{'ab'[n % 2]}/{n}.png": picture((8 + n, 6), (n, 0, 9)) for n in range(5)}
    files["b/grey.png"], files["a/again.png"] = picture((8, 6), 3, "L"), picture((9, 6), (1, 0, 9))
    found = profile(api, upload(api, media.zipped(files), "application/zip"), target="label")
    pictures = found["columns"][0]["pictures"]
    assert (pictures["opened"], pictures["widths"]) == (7, {"min": 8.0, "median": 9.0, "max": 12.0})
    assert pictures["channels"] == [{"value": 3.0, "count": 6}, {"value": 1.0, "count": 1}]
    assert found["duplicates"]["rows"] == 1  # the same picture under two labels


def test_profile_of_recordings(api: Api) -> None:
    files = {"a/1.wav": recording(8000, 4000), "b/2.wav": recording(16000, 16000), "b/3.wav": recording(8000, 8000)}
    found = profile(api, upload(api, media.zipped(files), "application/zip"))
    recordings = found["columns"][0]["recordings"]
    assert recordings["seconds"] == {"min": 0.5, "median": 1.0, "max": 1.0}
    assert recordings["rates"] == [{"value": 8000.0, "count": 2}, {"value": 16000.0, "count": 1}]


def test_profile_is_computed_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = upload(api, TABLE)
    first = profile(api, dataset, target="pay")
    monkeypatch.setattr(type(api.services.compute), "run", None)  # a second computation would fail
    assert profile(api, dataset, target="pay") == first


def test_cache_is_bounded() -> None:
    cache = ProfileCache(max_bytes=10)
    cache.put("a", b"12345")
    cache.put("b", b"12345")
    cache.get("a")
    cache.put("c", b"12345")
    assert [cache.get(key) is not None for key in "abc"] == [True, False, True]
    cache.put("d", b"x" * 11)
    assert cache.get("d") is None
    assert dataset_profile.MAX_CACHE_BYTES == 16 * 2**20


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"target": "town"}, "there is no column"),
        ({"split": '{"type": "fraction", "validation": 0.2}'}, "needs a target"),
        ({"target": "pay", "split": "{"}, "must be a split as in a spec"),
        ({"target": "pay", "split": '{"type": "fraction", "validation": 2}'}, "less than 1"),
        ({"target": "pay", "split": '{"type": "group", "column": "town", "test": 0.2}'}, "town"),
        ({"target": "note", "split": '{"type": "fraction", "test": 0.2}'}, "cannot be predicted"),
        ({"limit": 101}, "100"),
    ],
)
def test_query_that_cannot_be_answered_is_refused(api: Api, query: dict[str, Any], message: str) -> None:
    answer = api.client.get(f"/v1/datasets/{upload(api, TABLE)}/profile", params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    (error,) = answer.json()["errors"]
    assert message in error["message"]
    assert error["parameter"] in query


def test_profile_of_no_dataset_is_not_found(api: Api) -> None:
    assert api.client.get("/v1/datasets/ds_none/profile").status_code == 404


def test_dates_are_profiled_as_moments(api: Api) -> None:
    rows = [f"{n % 28 + 1:02d}.{n % 12 + 1:02d}.2025,{n},{'abc'[n % 3]}" for n in range(84)]
    dataset = upload(api, "\n".join(["day,price,kind", *rows, ",84,a", ""]).encode(), "text/csv")
    found = profile(api, dataset, target="price")
    day = next(column for column in found["columns"] if column["name"] == "day")
    first, last = (datetime(2025, *parts, tzinfo=UTC).timestamp() for parts in ((1, 1), (12, 28)))
    assert (day["type"], day["missing"], day["min"], day["max"]) == ("datetime", 1, first, last)
    assert sum(day["histogram"]["counts"]) == 84
    assert day["association"]["measure"] == "pearson"
    whole = upload(api, "\n".join(["day,price,kind", *rows, ""]).encode(), "text/csv")
    split = json.dumps({"type": "time", "column": "day", "validation": 0.25})
    assert profile(api, whole, target="price", split=split)["parts"] == {"train": 63, "validation": 21}
    constant = upload(api, ("day,price\n" + "2025-01-01,1\n2025-01-01,2\n" * 10).encode(), "text/csv")
    assert "constant_column" in {one["code"] for one in profile(api, constant)["warnings"]}
