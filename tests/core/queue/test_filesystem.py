"""The folder as a message queue."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kombu import Connection

from core.queue.filesystem import MAX_WAIT_SECONDS, folder_options


def a_connection(folder: Path) -> Connection:
    return Connection("filesystem://", transport_options=folder_options(folder))


def drain(folder: Path) -> list[object]:
    """Return all messages of the queue, taken from it."""
    with a_connection(folder) as connection:
        channel = connection.default_channel
        return [message.payload for message in iter(lambda: channel.basic_get("q", no_ack=True), None)]


def put(folder: Path, *values: object) -> None:
    with a_connection(folder) as connection:
        queue = connection.SimpleQueue("q")
        for value in values:
            queue.put(value)
        queue.close()


def test_messages_arrive_in_order(tmp_path: Path) -> None:
    put(tmp_path, 1, 2, 3)
    assert drain(tmp_path) == [1, 2, 3]
    assert not list((tmp_path / "queue").iterdir())


def test_unreadable_message_is_skipped(tmp_path: Path) -> None:
    put(tmp_path, 1)
    (tmp_path / "queue" / "00_half.q.msg").write_text('{"body": "W1tdL')
    (tmp_path / "queue" / "00_empty.q.msg").write_text("")
    assert drain(tmp_path) == [1]
    assert not list((tmp_path / "queue").glob("00_*"))


def test_draft_is_not_delivered(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / "queue" / "00_x.q.msg.draft").write_text("{}")
    assert drain(tmp_path) == []


def test_concurrent_consumers_take_each_message_once(tmp_path: Path) -> None:
    put(tmp_path, *range(200))
    with ThreadPoolExecutor(4) as threads:
        taken = [value for found in threads.map(drain, [tmp_path] * 4) for value in found]
    assert sorted(taken, key=str) == sorted(range(200), key=str)


def test_folder_removed_while_listed_is_empty(tmp_path: Path) -> None:
    put(tmp_path)
    queue, away, stop = tmp_path / "queue", tmp_path / "away", threading.Event()

    def move_repeatedly() -> None:
        while not stop.is_set():
            queue.rename(away)
            away.rename(queue)

    with a_connection(tmp_path) as connection, ThreadPoolExecutor(1) as threads:
        moving = threads.submit(move_repeatedly)
        try:
            found = [connection.default_channel.basic_get("q") for _ in range(2000)]
        finally:
            stop.set()
        moving.result()
    assert not any(found)


def test_consumer_waits_less_than_a_second() -> None:
    assert MAX_WAIT_SECONDS < 1.0
