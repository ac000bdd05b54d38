"""The API as a process: Uvicorn, told to end open streams when it stops, and to wait for no client for ever."""

import asyncio
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.app import create_app
from core import logs
from core.settings import Settings
from core.store.errors import StoreError
from core.store.migrate import require_head
from core.store.sessions import open_sessions

GRACE_SECONDS = 10


class Server(uvicorn.Server):
    """Closes the event hub before it waits for open connections, which streams would hold for ever."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, let streams say goodbye, finish what is under way."""
        self._app.state.services.hub.close()
        await super().shutdown(sockets)


class Patient(H11Protocol):
    """Uvicorn's HTTP, which closes a connection whose request has not begun `seconds` after its first byte.

    Uvicorn itself waits for the head of a request as long as a client likes.
    """

    seconds = 30.0
    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait on, not longer for each byte, until a request is under way."""
        super().data_received(data)
        under_way: Any = self.cycle
        if under_way is not None and not under_way.response_complete:
            self._stop()
        elif self._limit is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """What comes next has its own time."""
        self._stop()
        super().on_response_complete()

    def _wait(self) -> None:
        self._limit = self.loop.call_later(self.seconds, self.transport.close)

    def _stop(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None


def serve(settings: Settings, sockets: Sequence[socket.socket] | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then return. `SystemExit` with one line when the database does not fit."""
    logs.configure(settings)
    _check_database(settings)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=type("Patient", (Patient,), {"seconds": settings.client_seconds}),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    # Uvicorn raises the signal that stopped it once more when it is done; by then there is nothing left to do.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    Server(config, app).run(list(sockets) if sockets else None)


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _check_database(settings: Settings) -> None:
    try:
        sessions = open_sessions(settings.database)
        try:
            require_head(sessions.engine)
        finally:
            sessions.close()
    except StoreError as error:
        sys.exit(str(error))
