"""The measures of a profile against NumPy and SciPy, its warnings, and its bounds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from core.data.errors import InvalidData
from core.data.profile import MAX_COLUMNS, ProfileQuery, profile
from core.data.profile import profile as profile_function
from core.data.profile.association import association
from core.data.profile.drift import drift
from core.data.profile.duplicates import repeated_rows, row_hashes
from core.data.profile.numbers import summarize_numbers
from core.data.readers import READERS
from core.data.schema import Limits
from core.data.sources.source import StoredDataset
from core.data.splits.column import ColumnSplit
from core.data.splits.time import TimeSplit

RANDOM = np.random.default_rng(0)


def dataset(path: Path, rows: Sequence[Any]) -> StoredDataset:
    """Return a table as a stored dataset; the first row names the columns."""
    file = path / "table.csv"
    file.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return StoredDataset(path=file, schema=READERS["csv"]().infer_schema(file, {}, Limits()))


def codes(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(warning["code"], warning["pointer"]) for warning in found["warnings"]]


def test_numbers_have_quantiles_a_histogram_and_outliers() -> None:
    values = np.concatenate([RANDOM.normal(size=500), [np.nan, 50.0]])
    found = summarize_numbers(values, np.arange(502))
    present = values[~np.isnan(values)]
    assert [q["value"] for q in found["quantiles"]] == pytest.approx(
        np.quantile(present, [q["part"] for q in found["quantiles"]])
    )
    assert found["histogram"]["counts"] == np.histogram(present, found["histogram"]["edges"])[0].tolist()
    assert sum(found["histogram"]["counts"]) == 501
    assert found["outliers"]["count"] == 1
    assert found["outliers"]["examples"] == [{"row": 501, "value": 50.0}]


@pytest.mark.parametrize(
    ("values", "edges", "counts"),
    [
        ([1.0, 2.0, 2.0, 4.0], [0.5, 1.5, 2.5, 3.5, 4.5], [1, 2, 0, 1]),
        ([0.5, 0.5], [0.5, 0.5], [2]),
        ([1e16, 1e16 + 2], [1e16, 1e16 + 2], [2]),
    ],
)
def test_histogram_of_few_numbers(values: list[float], edges: list[float], counts: list[int]) -> None:
    found = summarize_numbers(np.array(values), np.arange(len(values)))["histogram"]
    assert (found["edges"], found["counts"]) == (edges, counts)


def test_associations_are_those_of_scipy() -> None:
    a = RANDOM.normal(size=300)
    b = a + RANDOM.normal(size=300)
    groups, others = (a > 0.5).astype(np.int32) + (a > 0), (b > 0).astype(np.int32)
    pearson, ratio, cramer = association(a, b), association(a, groups), association(groups, others)
    assert pearson
    assert ratio
    assert cramer
    assert pearson["value"] == pytest.approx(stats.pearsonr(a, b).statistic)
    table = np.histogram2d(groups, others, [3, 2])[0].astype(int)
    assert cramer["value"] == pytest.approx(stats.contingency.association(table))
    between = sum((groups == g).sum() * (a[groups == g].mean() - a.mean()) ** 2 for g in range(3))
    assert ratio["value"] == pytest.approx(np.sqrt(between / (300 * a.var())))
    assert association(a, np.full(300, 2.0)) is None
    assert association(np.full(300, np.nan), b) is None


def test_drift_is_the_distance_of_scipy_and_large_only_beyond_chance() -> None:
    values = RANDOM.normal(size=400)
    train = np.arange(400) < 300
    same = drift(values, train, ~train)
    assert same == {"distance": pytest.approx(stats.ks_2samp(values[train], values[~train]).statistic), "large": False}
    moved = drift(values + 2.0 * ~train, train, ~train)
    assert moved
    assert moved["large"]
    classes = drift((np.arange(400) % 4).astype(np.int32) * train, train, ~train)
    assert classes == {"distance": 0.75, "large": True}


def test_equal_rows_are_found_with_missing_values_and_texts() -> None:
    numbers = np.array([1.0, np.nan, 1.0, np.nan, -0.0, 0.0])
    texts = np.array(["a", None, "b", None, "c", "c"], object)
    found = repeated_rows(row_hashes([numbers, texts]), np.arange(6))
    assert (found["rows"], found["examples"]) == (2, [{"row": 3, "same_as": 1}, {"row": 5, "same_as": 4}])


def test_warnings_name_what_is_wrong(tmp_path: Path) -> None:
    rows = [["key", "flat", "gaps", "size", "copy", "class"]]
    for n in range(100):
        of_class = "rare" if n in (3, 50, 77, 90) else "often"
        rows.append([f"k{n}", "1", "" if n % 3 else "2.5", f"{RANDOM.normal():.3f}", of_class, of_class])
    found = profile(dataset(tmp_path, rows), ProfileQuery(target="class"))
    assert codes(found) == [
        ("id_like_column", "/columns/0"),
        ("constant_column", "/columns/1"),
        ("mostly_missing", "/columns/2"),
        ("leaking_column", "/columns"),
        ("unbalanced_classes", "/target"),
        ("small_class", "/target"),
    ]
    assert '"copy"' in found["warnings"][3]["message"]
    assert found["target"]["classes"] == [{"value": "often", "count": 96}, {"value": "rare", "count": 4}]


def test_parts_are_compared(tmp_path: Path) -> None:
    rows = [["day", "x", "y"], *([n, n % 7, n % 2] for n in range(100)), *([200 + n, 100, n % 2] for n in range(40))]
    table = dataset(tmp_path, rows)
    found = profile(table, ProfileQuery(target="y", split=TimeSplit(column="day", validation=0.25)))
    assert found["parts"] == {"train": 105, "validation": 35}
    assert [column["drift"]["validation"]["large"] for column in found["columns"]] == [True, True, False]
    assert codes(found) == [("id_like_column", "/columns/0"), ("drift", "/columns/0"), ("drift", "/columns/1")][1:]


def test_rows_in_two_parts_and_repeated_rows_are_warned_of(tmp_path: Path) -> None:
    rows = [["x", "y", "part"], *([n, n % 3, "t"] for n in range(40)), *([n, n % 3, "v"] for n in range(40))]
    query = ProfileQuery(target="y", split=ColumnSplit(column="part", validation=["v"]))
    found = profile(dataset(tmp_path, rows), query)
    assert found["duplicates"]["shared_with_training"] == {"validation": 0}  # the column of the part differs
    twice = [["x", "y"], *([n, n % 3] for n in range(40)), *([n, n % 3] for n in range(40))]
    found = profile(dataset(tmp_path, twice), ProfileQuery(target="y", split=TimeSplit(column="x", validation=0.5)))
    assert found["duplicates"]["rows"] == 40
    assert ("duplicate_rows", "/duplicates") in codes(found)


def test_wide_table_comes_in_pages(tmp_path: Path) -> None:
    wide = dataset(tmp_path, [[f"c{n}" for n in range(250)], list(range(250)), list(range(250))])
    seen: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = profile(wide, ProfileQuery(offset=offset, limit=1000))
        assert len(page["columns"]) <= MAX_COLUMNS
        seen, offset = seen + [column["name"] for column in page["columns"]], page["next_offset"]
    assert seen == [f"c{n}" for n in range(250)]


def test_long_table_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = __import__("sys").modules[profile_function.__module__]
    monkeypatch.setattr(module, "MAX_ROWS", 50)
    monkeypatch.setattr(module, "MAX_CELLS", 300)
    found = profile(dataset(tmp_path, [["a", "b", "c"], *([n, n / 7, n % 2] for n in range(200))]), ProfileQuery())
    assert (found["profiled_rows"], found["duplicates"], len(found["columns"])) == (50, None, 1)
    assert found["columns"][0]["max"] == 199.0
    assert sum(found["columns"][0]["histogram"]["counts"]) == 50


def test_unknown_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="there is no column"):
        profile(dataset(tmp_path, [["a", "b"], [1, 2]]), ProfileQuery(target="c"))
