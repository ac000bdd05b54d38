"""Answers as CSV."""

import csv
import io

from api.http.csv import csv_table, flat


def test_cells_with_separators_survive() -> None:
    rows: list[list[object]] = [["a", 'quote "', "comma,", "line\nbreak"], [1, 2.5, None, ["x", 1.0]]]
    read = list(csv.reader(io.StringIO(csv_table(rows).decode(), newline="")))
    assert read == [["a", 'quote "', "comma,", "line\nbreak"], ["1", "2.5", "", '["x",1.0]']]


def test_objects_become_columns() -> None:
    prediction = {"label": "yes", "probabilities": {"no": 0.25, "yes": 0.75}, "warnings": []}
    assert flat(prediction) == {"label": "yes", "probabilities.no": 0.25, "probabilities.yes": 0.75, "warnings": None}
