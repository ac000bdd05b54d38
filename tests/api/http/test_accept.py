"""Content negotiation: quality, wildcards, specificity."""

import pytest

from api.http.accept import negotiate
from api.http.errors import NotAcceptable

JSON, CSV, LINES = "application/json", "text/csv", "application/jsonl"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("TEXT/CSV; charset=utf-8", CSV),
        ("text/*", CSV),
        ("text/csv;q=0.5, application/json;q=0.4", CSV),
        ("text/csv;q=0.5, */*", JSON),
        ("*/*, application/json;q=0", CSV),
        ("text/*;q=0.9, text/csv;q=0.1, application/json;q=0.5", JSON),
        ("application/x-ndjson", LINES),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
        ("text/csv;q=nonsense", CSV),
        (",;, text/csv", CSV),
    ],
)
def test_preferred_type_is_chosen(accept: str, chosen: str) -> None:
    assert negotiate(accept, [JSON, CSV, LINES]) == chosen


@pytest.mark.parametrize("accept", ["text/html", "text/csv;q=0", "*/*;q=0", "image/*", "nonsense", "," * 5000 + "x/y"])
def test_type_that_cannot_be_met_is_refused_with_the_types_there_are(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="answers in application/json, text/csv") as refused:
        negotiate(accept, [JSON, CSV])
    assert len(str(refused.value)) < 400
