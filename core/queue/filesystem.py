"""A folder as a message queue: kombu's filesystem transport, with messages that appear and are taken whole.

Kombu's own writes a message in place and binds queues in a shared file, and a reader that meets half of one dies.
"""

import uuid
from contextlib import suppress
from pathlib import Path
from queue import Empty
from time import time_ns
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

LONGEST_WAIT = 0.25
"""Seconds a consumer may be deaf to signals while it waits for a message."""


def folder_options(folder: Path) -> dict[str, object]:
    """Make the folder of the queue, and return the transport options that name it."""
    queue = folder / "queue"
    queue.mkdir(parents=True, exist_ok=True)
    return {"data_folder_in": str(queue), "data_folder_out": str(queue), "polling_interval": 0.05}


class Channel(filesystem.Channel):  # type: ignore[misc]  # kombu ships no types
    """Queues by name alone: whoever sends names the queue, so that no table of bindings is shared."""

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Nothing to remember."""

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
        """The messages, the oldest first; none where the folder is tidied away, at whatever moment that happens."""
        folder = Path(self.data_folder_in)
        with suppress(FileNotFoundError):
            return sorted(path for path in folder.iterdir() if path.name.endswith(f".{queue}.msg"))
        return []

    def _folder(self) -> Path:
        """The folder, made anew where someone has tidied it away."""
        folder = Path(self.data_folder_out)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _take(message: Path) -> Any:
    """The message's content, removed from the folder, or None where another took it first or it isn't readable."""
    try:
        text = message.read_text()
        message.unlink()
        return loads(text)
    except (OSError, ValueError):
        return None


class Transport(filesystem.Transport):  # type: ignore[misc]  # kombu ships no types
    """What `filesystem://` means in this project."""

    Channel = Channel

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        """Deliver the next message, or raise `TimeoutError` soon enough for a shutdown to be noticed."""
        super().drain_events(connection, timeout=min(timeout or LONGEST_WAIT, LONGEST_WAIT))


TRANSPORT_ALIASES["filesystem"] = "core.queue.filesystem:Transport"
