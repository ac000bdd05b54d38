"""A bucket to test with: moto's S3 server, as a process of its own."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from harness.processes import PATIENCE, free_port

URL = "s3://chainrule-tests/blobs"


@dataclass(frozen=True)
class Server:
    """Where it answers."""

    port: int

    def environment(self, port: int | None = None) -> Mapping[str, str]:
        """The variables by which obstore finds it; past another port, if one is given."""
        return {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_ALLOW_HTTP": "true",
        }


@contextmanager
def bucket_server() -> Iterator[Server]:
    """A server with one empty bucket, that of `URL`."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _make_bucket(f"http://127.0.0.1:{port}/chainrule-tests")
            yield Server(port)
        finally:
            process.kill()


def _make_bucket(address: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            httpx.put(address, timeout=5).raise_for_status()
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
