"""Compression of large answers."""

import pytest
from fastapi.testclient import TestClient


@pytest.mark.parametrize(
    ("path", "large"), [("/openapi.json", True), ("/static/vendor/uplot/uPlot.esm.js", True), ("/health", False)]
)
def test_large_answer_is_compressed_for_clients_that_accept_it(client: TestClient, path: str, large: bool) -> None:
    assert (client.get(path).headers.get("content-encoding") == "gzip") is large


@pytest.mark.parametrize("accepted", ["gzip", "GZIP;q=0.1", "br, gzip", "*", "*;q=0.5, br;q=0"])
def test_header_that_accepts_gzip_gets_it(client: TestClient, accepted: str) -> None:
    answer = client.get("/openapi.json", headers={"Accept-Encoding": accepted})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["openapi"].startswith("3.")


@pytest.mark.parametrize("refused", ["identity", "gzip;q=0", "*;q=0", "gzip;q=0.0, *", "br", "", "notgzip"])
def test_header_that_refuses_gzip_gets_the_answer_as_it_is(client: TestClient, refused: str) -> None:
    answer = client.get("/openapi.json", headers={"Accept-Encoding": refused})
    assert "content-encoding" not in answer.headers
    assert answer.json()["openapi"].startswith("3.")
