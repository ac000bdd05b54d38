"""Compressed bodies: read as if they were sent plain, within the limits of the decoded bytes."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest
from backports import zstd

from api.http.decoding import PIECE_BYTES, Decoder
from api.http.errors import InvalidBody
from core.settings import Settings
from tests.api.conftest import LINE, Api, quiet, running

Compress = Callable[[bytes], bytes]
CODINGS: dict[str, Compress] = {"gzip": gzip.compress, "x-gzip": gzip.compress, "zstd": zstd.compress}
JSON = {"Content-Type": "application/json"}
BODY = json.dumps(LINE).encode()


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Start an API that takes bodies of 64 kB and uploads of 256 kB."""
    folder = tmp_path_factory.mktemp("limited")
    with running(Settings(**quiet(folder, max_body_bytes=2**16, max_upload_bytes=2**18))) as api:
        yield api


@pytest.mark.parametrize("coding", CODINGS)
def test_compressed_spec_creates_the_job_of_the_plain_one(embedded: Api, coding: str) -> None:
    headers = JSON | {"Content-Encoding": coding.upper()}
    answer = embedded.client.post("/v1/jobs", content=CODINGS[coding](BODY), headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.json()["spec"] == LINE


@pytest.mark.parametrize("coding", CODINGS)
def test_compressed_upload_is_the_dataset_of_the_plain_one(embedded: Api, coding: str) -> None:
    table = b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(100_000))
    plain = embedded.client.post("/v1/datasets", content=table, headers={"Content-Type": "text/csv"}).json()
    headers = {"Content-Type": "text/csv", "Content-Encoding": coding}
    answer = embedded.client.post("/v1/datasets", content=CODINGS[coding](table), headers=headers)
    assert (answer.status_code, answer.json()) == (200, plain)


def test_compressed_form_and_instances_are_read(embedded: Api) -> None:
    job = embedded.trained()["id"]
    headers = JSON | {"Content-Encoding": "zstd"}
    body = zstd.compress(b'{"instances": [[0]]}')
    predictions = embedded.client.post(f"/v1/jobs/{job}/predictions", content=body, headers=headers).json()
    assert predictions["predictions"][0]["value"] == 0
    form = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b\n1,2\n\r\n--B--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=B", "Content-Encoding": "gzip"}
    assert embedded.client.post("/v1/datasets", content=gzip.compress(form), headers=headers).status_code == 201


@pytest.mark.parametrize("coding", ["identity", ""])
def test_body_without_compression_may_say_so(embedded: Api, coding: str) -> None:
    answer = embedded.client.post("/v1/jobs", content=BODY, headers=JSON | {"Content-Encoding": coding})
    assert answer.status_code == 201


@pytest.mark.parametrize("coding", ["br", "deflate", "compress", "gzip, zstd", "nonsense" * 100])
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/validate", "/v1/datasets"])
def test_other_encodings_are_refused_with_those_there_are(embedded: Api, path: str, coding: str) -> None:
    answer = embedded.client.post(path, content=BODY, headers=JSON | {"Content-Encoding": coding})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_content_encoding")
    assert answer.headers["accept-encoding"] == "gzip, zstd"


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    "damage",
    [lambda body: body[:-1], lambda body: body[:10], lambda _: b"plain", lambda body: body + b"more"],
    ids=["cut off by a byte", "cut off", "plain", "with more"],
)
def test_damaged_body_is_refused(embedded: Api, coding: str, damage: Compress) -> None:
    body = damage(CODINGS[coding](BODY))
    answer = embedded.client.post("/v1/jobs", content=body, headers=JSON | {"Content-Encoding": coding})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
    assert coding in answer.json()["detail"]


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/datasets"])
def test_bomb_is_cut_off_at_the_limit(limited: Api, path: str, coding: str) -> None:
    bomb = CODINGS[coding](bytes(2**27))
    tracemalloc.start()
    answer = limited.client.post(path, content=bomb, headers=JSON | {"Content-Encoding": coding})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert peak < 2**23


def test_limits_count_decoded_bytes(limited: Api) -> None:
    spec = json.dumps(LINE | {"name": "x"}).encode()
    fits, exceeds = spec + b" " * (2**16 - len(spec)), spec + b" " * (2**16 - len(spec) + 1)
    headers = JSON | {"Content-Encoding": "gzip"}
    assert limited.client.post("/v1/jobs", content=gzip.compress(fits), headers=headers).status_code == 201
    assert limited.client.post("/v1/jobs", content=gzip.compress(exceeds), headers=headers).status_code == 413


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
@pytest.mark.parametrize("step", [1, 7, 2**16])
def test_pieces_are_bounded_and_give_the_bytes(coding: str, size: int, step: int) -> None:
    data = bytes(size)
    compressed, decoder, pieces = CODINGS[coding](data), Decoder(coding), list[bytes]()
    for start in range(0, len(compressed), step):
        pieces += decoder.decode(compressed[start : start + step])
    decoder.finish()
    assert b"".join(pieces) == data
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)


@pytest.mark.parametrize("coding", CODINGS)
def test_streams_that_follow_each_other_are_one_body(coding: str) -> None:
    compress = CODINGS[coding]
    assert b"".join(Decoder(coding).decode(compress(b"one ") + compress(b"two"))) == b"one two"


def test_large_window_is_refused() -> None:
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    compressor = zstd.ZstdCompressor(options=options)
    body = compressor.compress(bytes(1000)) + compressor.flush()
    with pytest.raises(InvalidBody, match="zstd"):
        list(Decoder("zstd").decode(body))


def test_raw_deflate_is_no_gzip() -> None:
    with pytest.raises(InvalidBody, match="is not gzip"):
        list(Decoder("gzip").decode(zlib.compress(b"text")))
