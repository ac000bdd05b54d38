import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kombu import Connection

from core.queue.filesystem import MAX_WAIT_SECONDS, folder_options


def a_connection(folder: Path) -> Connection:
    return Connection("filesystem://", transport_options=folder_options(folder))


def drain(folder: Path) -> list[object]:
    """All that the queue holds."""
    with a_connection(folder) as connection:
        channel = connection.default_channel
        return [message.payload for message in iter(lambda: channel.basic_get("q", no_ack=True), None)]


def put(folder: Path, *values: object) -> None:
    with a_connection(folder) as connection:
        queue = connection.SimpleQueue("q")
        for value in values:
            queue.put(value)
        queue.close()


def test_messages_come_in_their_order(tmp_path: Path) -> None:
    put(tmp_path, 1, 2, 3)
    assert drain(tmp_path) == [1, 2, 3]
    assert not list((tmp_path / "queue").iterdir())


def test_a_message_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path, 1)
    (tmp_path / "queue" / "00_half.q.msg").write_text('{"body": "W1tdL')
    (tmp_path / "queue" / "00_empty.q.msg").write_text("")
    assert drain(tmp_path) == [1]
    assert not list((tmp_path / "queue").glob("00_*"))


def test_a_draft_is_no_message(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / "queue" / "00_x.q.msg.draft").write_text("{}")
    assert drain(tmp_path) == []


def test_each_message_is_taken_once(tmp_path: Path) -> None:
    put(tmp_path, *range(200))
    with ThreadPoolExecutor(4) as threads:
        taken = [value for found in threads.map(drain, [tmp_path] * 4) for value in found]
    assert sorted(taken, key=str) == sorted(range(200), key=str)


def test_a_folder_that_goes_while_it_is_looked_through_holds_nothing(tmp_path: Path) -> None:
    put(tmp_path)
    queue, away, over = tmp_path / "queue", tmp_path / "away", threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            queue.rename(away)
            away.rename(queue)

    with a_connection(tmp_path) as connection, ThreadPoolExecutor(1) as threads:
        coming = threads.submit(come_and_go)
        try:
            found = [connection.default_channel.basic_get("q") for _ in range(2000)]
        finally:
            over.set()
        coming.result()
    assert not any(found)


def test_a_consumer_looks_up_soon_enough_for_a_signal() -> None:
    assert MAX_WAIT_SECONDS < 1.0
