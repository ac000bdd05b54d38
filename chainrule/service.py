"""A service to use over HTTP: a running one, or one that is started for the block and ended again."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import httpx
from rich.console import Console

from chainrule.child_process import start_process
from core.settings import Settings

TIMEOUT_SECONDS = 60.0
"""Seconds that a started service may take to be ready, and to end."""


class NoService(Exception):
    """There is no service at {url}: start one there, or omit the address."""

    def __init__(self, url: str) -> None:
        super().__init__((self.__doc__ or "").format(url=url))


@contextmanager
def service(settings: Settings, url: str | None, console: Console) -> Iterator[httpx.Client]:
    """Yield a client of the service at `url`, or of the one that the settings describe, which is started if needed."""
    address = url or f"http://{settings.host}:{settings.port}"
    with httpx.Client(base_url=address, timeout=30) as client:
        if _ready(client):
            console.print(f"Using the service at {address}", style="dim")
            yield client
        elif url:
            raise NoService(url)
        else:
            with _running_service(client, console):
                yield client


@contextmanager
def _running_service(client: httpx.Client, console: Console) -> Iterator[None]:
    console.print(f"No service at {client.base_url}: starting one for the demo", style="dim")
    environment = {"CHAINRULE_LOG_LEVEL": "warning", **os.environ}
    process = start_process("up", environment, quiet=True)
    try:
        until = monotonic() + TIMEOUT_SECONDS
        while not _ready(client):
            if process.poll() is not None or monotonic() > until:
                raise NoService(str(client.base_url))
            sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(TIMEOUT_SECONDS)


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready", timeout=2).is_success
    except httpx.TransportError:
        return False
