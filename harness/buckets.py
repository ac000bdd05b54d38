"""An S3 bucket for tests, on moto's server in its own process."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from harness.processes import TIMEOUT_SECONDS, free_port

URL = "s3://chainrule-tests/blobs"


@dataclass(frozen=True)
class Server:
    """A running S3 server."""

    port: int

    def environment(self, port: int | None = None) -> Mapping[str, str]:
        """Return the environment variables that direct obstore to this server, or to a proxy on another port."""
        return {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_ALLOW_HTTP": "true",
        }


@contextmanager
def bucket_server() -> Iterator[Server]:
    """Start a server with the empty bucket of `URL`, and end it with the block."""
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
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            httpx.put(address, timeout=5).raise_for_status()
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
