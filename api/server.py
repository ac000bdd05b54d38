"""The API as a process: Uvicorn, told to end open streams when it stops, and to wait for no client for ever."""

import resource
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.http.connections import Connection
from core import logging
from core.settings import Settings
from core.store.database import open_database
from core.store.errors import StoreError
from core.store.migrate import require_head

GRACE_SECONDS = 10
OTHER_FILES = 256
"""Descriptors that the process needs beside those of its connections, at most."""


class Server(uvicorn.Server):
    """Closes the event hub before it waits for open connections, which streams would hold for ever."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, let streams say goodbye, finish what is under way."""
        self._app.state.services.hub.close()
        await super().shutdown(sockets)


def serve(settings: Settings, sockets: Sequence[socket.socket] | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then return. `SystemExit` with one line when the database does not fit."""
    logging.configure(settings)
    _check_database(settings)
    _allow_files(settings.max_connections + OTHER_FILES)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=type("Bounded", (Connection,), {"seconds": settings.client_seconds, "most": settings.max_connections}),
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


def _allow_files(count: int) -> None:
    """Ask the system for so many open files, or as many as it gives: many allow 1,024 until they are asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _check_database(settings: Settings) -> None:
    try:
        database = open_database(settings.resolved_database_url)
        try:
            require_head(database.engine)
        finally:
            database.close()
    except StoreError as error:
        sys.exit(str(error))
