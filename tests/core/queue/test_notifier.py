"""Notifications over a folder and over Redis, also while the broker is unreachable."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection

from core.queue.notifier import QUEUE, TASK, Notifier, celery_app
from core.settings import Settings
from harness.backends import redis_database

TIMEOUT_SECONDS = 5.0


def settings(folder: Path, broker: str | None = None) -> Settings:
    return Settings(data_dir=folder, broker_url=broker)


def queued_tasks(settings: Settings) -> list[str]:
    """Take all tasks from the queue; return their names."""
    with celery_app(settings).connection_for_read() as connection:
        channel = connection.default_channel
        return [message.headers["task"] for message in iter(lambda: channel.basic_get(QUEUE, no_ack=True), None)]


@contextmanager
def silent_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"redis://127.0.0.1:{silent.getsockname()[1]}/0"


@contextmanager
def closed_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = closed.getsockname()
    yield f"redis://127.0.0.1:{address[1]}/0"


def test_notification_has_no_content(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    notifier = Notifier(chosen)
    assert notifier.notify()
    notifier.close(TIMEOUT_SECONDS)
    (message,) = (tmp_path / "broker" / "queue").iterdir()
    assert '"body": "W1tdLCB7fS' in message.read_text()  # base64 of [[], {}, …: no arguments
    assert queued_tasks(chosen) == [TASK]


def test_each_notify_sends_a_message(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    notifier = Notifier(chosen)
    for _ in range(3):
        notifier.notify()
    notifier.close(TIMEOUT_SECONDS)
    assert queued_tasks(chosen) == [TASK] * 3


def test_notify_and_reachable_over_redis(tmp_path: Path) -> None:
    with redis_database() as url:
        chosen = settings(tmp_path, url)
        notifier = Notifier(chosen)
        assert notifier.reachable(TIMEOUT_SECONDS)
        assert notifier.notify()
        notifier.close(TIMEOUT_SECONDS)
        assert queued_tasks(chosen) == [TASK]


@pytest.mark.parametrize("broker", [closed_port, silent_port], ids=["closed", "silent"])
def test_notify_returns_at_once_if_the_broker_is_unreachable(tmp_path: Path, broker: object) -> None:
    with broker() as url:  # type: ignore[operator]  # one of the two above
        notifier = Notifier(settings(tmp_path, url), timeout_seconds=0.2)
        began = time.monotonic()
        for _ in range(1000):
            notifier.notify()
        assert time.monotonic() - began < 0.1 * 1000 * 0.2  # far less than one timeout for each
        assert not notifier.reachable(TIMEOUT_SECONDS)
        assert not notifier.notify()
        notifier.close(TIMEOUT_SECONDS)


def test_reachable_returns_in_time_if_the_broker_is_silent(tmp_path: Path) -> None:
    with silent_port() as url:
        notifier = Notifier(settings(tmp_path, url), timeout_seconds=TIMEOUT_SECONDS)
        began = time.monotonic()
        assert not notifier.reachable(0.1)
        assert time.monotonic() - began < TIMEOUT_SECONDS
        notifier.close(0.0)


def test_pending_notification_is_sent_when_the_broker_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    chosen = settings(folder)
    notifier = Notifier(chosen, timeout_seconds=0.05)
    queue = folder / "broker" / "queue"
    queue.rmdir()
    queue.touch()
    notifier.notify()
    assert not notifier.reachable(TIMEOUT_SECONDS)
    queue.unlink()
    until = time.monotonic() + TIMEOUT_SECONDS
    while not (queue.is_dir() and list(queue.iterdir())):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert notifier.reachable(TIMEOUT_SECONDS)
    assert notifier.notify()
    notifier.close(TIMEOUT_SECONDS)


def test_one_connection_sends_many_notifications(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    establish = Connection._establish_connection

    def counted(self: Any) -> Any:
        opened.append(self)
        return establish(self)

    monkeypatch.setattr(Connection, "_establish_connection", counted)
    notifier = Notifier(settings(tmp_path))
    for _ in range(20):
        notifier.notify()
        assert notifier.reachable(TIMEOUT_SECONDS)
    notifier.close(TIMEOUT_SECONDS)
    assert len(opened) == 1
