"""The model cache: one load per model, eviction by size, and no caching of errors."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.services.model_cache import ModelCache
from core.blobs.errors import NoSuchBlob
from tests.api.conftest import LINE, Api


class CountingReader:
    """Reads checkpoints of the API's blobs, and records each read."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.reads: list[str] = []

    def __call__(self, sha256: str) -> bytes:
        self.reads.append(sha256)
        return self.api.services.blobs.read(sha256)


@pytest.fixture(scope="module")
def checkpoints(embedded: Api) -> list[str]:
    """Train two jobs, and return the SHA-256 of a checkpoint of each."""
    jobs = [embedded.trained(training=LINE["training"] | {"epochs": epochs})["id"] for epochs in (1, 2)]
    pages = [embedded.client.get(f"/v1/jobs/{job}/checkpoints").raise_for_status().json() for job in jobs]
    return [page["items"][0]["sha256"] for page in pages]


@pytest.fixture
def reader(embedded: Api) -> CountingReader:
    return CountingReader(embedded)


def test_concurrent_requests_load_a_model_once(reader: CountingReader, checkpoints: list[str]) -> None:
    cache, barrier = ModelCache(reader), threading.Barrier(8)

    def get(_: int) -> int:
        barrier.wait(10)
        return id(cache.get(checkpoints[0], "last"))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(get, range(8)))) == 1
    assert reader.reads == [checkpoints[0]]


def test_models_within_the_bound_stay_cached(reader: CountingReader, checkpoints: list[str]) -> None:
    cache = ModelCache(reader)
    sizes = [cache.get(sha256, "last").nbytes for sha256 in checkpoints]
    for sha256 in checkpoints:
        cache.get(sha256, "last")
    assert reader.reads == checkpoints
    assert cache.bytes == sum(sizes) > 0


def test_least_recently_used_model_is_evicted_beyond_the_bound(reader: CountingReader, checkpoints: list[str]) -> None:
    cache = ModelCache(reader, max_bytes=1)
    first, second = checkpoints
    cache.get(first, "last")
    newest = cache.get(second, "last")
    assert cache.bytes == newest.nbytes
    assert cache.get(second, "last") is newest
    cache.get(first, "last")
    assert reader.reads == [first, second, first]


def test_failed_load_is_not_cached(reader: CountingReader, checkpoints: list[str]) -> None:
    missing = "0" * 64
    cache = ModelCache(reader)
    for _ in range(2):
        with pytest.raises(NoSuchBlob):
            cache.get(missing, "last")
    assert reader.reads == [missing, missing]
    assert cache.bytes == 0
