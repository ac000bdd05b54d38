"""The API as a process: Uvicorn that ends open streams when it stops, with time limits for slow clients."""

import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.http.connections import Connection, refuse_connection
from api.http.cors import with_cors
from api.http.unread import UnreadAnswers
from core import allocator, logging
from core.settings import Settings
from core.store.database import open_database
from core.store.errors import StoreError
from core.store.migrate import require_head
from core.store.versions import require_not_older

SHUTDOWN_SECONDS = 10
"""How long open requests may take when the server stops."""
MAX_OTHER_FILES = 256
"""File descriptors of the process besides those of its connections."""
ACCEPTED_AT_ONCE = 16
"""New connections in one round of the event loop. asyncio's own limit is the kernel's queue."""
QUEUED_CONNECTIONS = 2048
"""New connections that the kernel keeps until they are accepted."""


class Server(uvicorn.Server):
    """Uvicorn's server, which ends streams and the queue of heavy requests before it waits for open connections."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start; queue connections; exempt all that lives as long as the process from garbage collection.

        Otherwise each collection visits the 160,000 objects of modules, models and routes, and no thread runs for the
        tenth of a second that it takes.
        """
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                _queue_connections(listening.fileno())
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, refuse heavy requests that wait, stop accepting connections, finish those in progress."""
        self._app.state.services.hub.close()
        self._app.state.services.compute.drain()
        await super().shutdown(sockets)


def serve(settings: Settings, sockets: Sequence[socket.socket] | None = None) -> None:
    """Serve until SIGINT or SIGTERM. Raise `SystemExit` with a one-line message if the database is not usable."""
    logging.configure(settings)
    allocator.return_freed_memory()
    _check_database(settings)
    _allow_files(settings.max_connections + MAX_OTHER_FILES)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=_protocol(settings),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        backlog=ACCEPTED_AT_ONCE,
    )
    # When it has stopped, Uvicorn raises the signal again: then the process exits with status 0.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)
    Server(config, app).run(list(sockets) if sockets else None)


def _protocol(settings: Settings) -> type[Connection]:
    limits: dict[str, object] = {
        "seconds": settings.client_seconds,
        "max_connections": settings.max_connections,
        "unread": UnreadAnswers(settings.client_seconds, settings.max_unread_bytes),
        "excess_app": staticmethod(with_cors(refuse_connection, settings.allowed_origins)),
    }
    return type("LimitedConnection", (Connection,), limits)


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _queue_connections(descriptor: int) -> None:
    """Let the kernel queue more connections than asyncio accepts at once, which has one number for both."""
    with socket.socket(fileno=os.dup(descriptor)) as listening:
        listening.listen(QUEUED_CONNECTIONS)


def _allow_files(count: int) -> None:
    """Raise the limit of open files to `count` or to the hard limit; the default soft limit is often 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        limit = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _check_database(settings: Settings) -> None:
    try:
        database = open_database(settings.resolved_database_url)
        try:
            require_head(database.engine)
            if not settings.allow_older:
                with database.read() as s:
                    require_not_older(s)
        finally:
            database.close()
    except StoreError as error:
        sys.exit(str(error))
