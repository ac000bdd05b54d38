"""A service to talk to over HTTP: the one that runs already, or one that is started and ended again."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import httpx
from rich.console import Console

from chainrule.child_process import started
from core.settings import Settings

PATIENCE = 60.0
"""Seconds that a service of our own may take to be ready, and to end."""


class NoService(Exception):
    """There is no service at {url}: start one there, or leave the address out."""

    def __init__(self, url: str) -> None:
        super().__init__((self.__doc__ or "").format(url=url))


@contextmanager
def service(settings: Settings, url: str | None, console: Console) -> Iterator[httpx.Client]:
    """A client of the service at `url`, by default the one that the settings describe, started where it isn't there."""
    address = url or f"http://{settings.host}:{settings.port}"
    with httpx.Client(base_url=address, timeout=30) as client:
        if _ready(client):
            console.print(f"Talking to the service at {address}", style="dim")
            yield client
        elif url:
            raise NoService(url)
        else:
            with _started(client, console):
                yield client


@contextmanager
def _started(client: httpx.Client, console: Console) -> Iterator[None]:
    console.print(f"Nothing answers at {client.base_url}: starting a service for the demo", style="dim")
    environment = {"CHAINRULE_LOG_LEVEL": "warning", **os.environ}
    process = started("up", environment, quiet=True)
    try:
        until = monotonic() + PATIENCE
        while not _ready(client):
            if process.poll() is not None or monotonic() > until:
                raise NoService(str(client.base_url))
            sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready", timeout=2).is_success
    except httpx.TransportError:
        return False
