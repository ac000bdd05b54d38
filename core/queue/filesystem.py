"""A folder as a message queue: kombu's filesystem transport with atomic writes and reads of messages.

Kombu's own writes a message in place and binds queues in a shared file; a reader that meets half a file crashes.
"""

import uuid
from contextlib import suppress
from pathlib import Path
from queue import Empty
from time import time_ns
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

MAX_WAIT_SECONDS = 0.25
"""Seconds that a consumer waits for a message before it handles signals."""


def folder_options(folder: Path) -> dict[str, object]:
    """Make the folder of the queue, and return the transport options that name it."""
    queue = folder / "queue"
    queue.mkdir(parents=True, exist_ok=True)
    return {"data_folder_in": str(queue), "data_folder_out": str(queue), "polling_interval": 0.05}


class Channel(filesystem.Channel):  # type: ignore[misc]  # kombu ships no types
    """Queues addressed by name, so that no table of bindings has to be shared."""

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Store no binding."""

    def _lookup(self, exchange: str, routing_key: str, default: str | None = None) -> list[str]:
        return [routing_key]

    def _put(self, queue: str, payload: Any, **_: object) -> None:
        folder = self._folder()
        name = f"{time_ns():020d}_{uuid.uuid4()}.{queue}.msg"
        draft = folder / f"{name}.draft"
        draft.write_text(dumps(payload))
        draft.rename(folder / name)

    def _get(self, queue: str) -> Any:
        for message in self._waiting(queue):
            payload = _take(message)
            if payload is not None:
                return payload
        raise Empty

    def _size(self, queue: str) -> int:
        return len(self._waiting(queue))

    def _waiting(self, queue: str) -> list[Path]:
        """Return the files of the messages, oldest first; none if the folder was removed, at any moment."""
        folder = Path(self.data_folder_in)
        with suppress(FileNotFoundError):
            return sorted(path for path in folder.iterdir() if path.name.endswith(f".{queue}.msg"))
        return []

    def _folder(self) -> Path:
        """Return the folder, made again if it was removed."""
        folder = Path(self.data_folder_out)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _take(message: Path) -> Any:
    """Delete a message's file and return its content; None if another consumer took it or it is not readable."""
    try:
        text = message.read_text()
        message.unlink()
        return loads(text)
    except (OSError, ValueError):
        return None


class Transport(filesystem.Transport):  # type: ignore[misc]  # kombu ships no types
    """The transport of `filesystem://` in this project."""

    Channel = Channel

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        """Deliver the next message, or raise `TimeoutError` in time for a signal to be handled."""
        super().drain_events(connection, timeout=min(timeout or MAX_WAIT_SECONDS, MAX_WAIT_SECONDS))


TRANSPORT_ALIASES["filesystem"] = "core.queue.filesystem:Transport"
