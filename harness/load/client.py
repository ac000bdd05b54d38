"""The attackers' client: requests with a time limit, whose answers are counted and thrown away."""

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

NO_ANSWER = -1
"""The status of a request that was not answered within the time limit."""
UNBOUNDED = -2
"""The status of a request that let the service store more than it should."""
CLOSED = 0
"""The status of a request whose connection the service closed without an answer."""
JSON = {"Content-Type": "application/json"}
CHUNK = 2**20


@dataclass(frozen=True)
class Answer:
    """The status of an answer, the bytes of its body, and the seconds until its last byte."""

    status: int
    bytes: int
    seconds: float


def request(
    port: int, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = JSON, *, seconds: float
) -> Answer:
    """Send a request and read the answer for at most `seconds`."""
    began, size, status = time.monotonic(), 0, CLOSED
    connection = HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        status = answer.status
        while chunk := answer.read(CHUNK):
            size += len(chunk)
            if time.monotonic() > began + seconds:
                raise TimeoutError
    except TimeoutError:
        status = NO_ANSWER
    except (OSError, HTTPException):
        pass  # closed: before the answer, or in the midst of it
    finally:
        connection.close()
    return Answer(status, size, time.monotonic() - began)


def post_head(path: str, kind: str, length: str) -> bytes:
    """Return the head of a POST with this media type and this header of the body's length."""
    return f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n{length}\r\n\r\n".encode()


def connect(port: int, sent: bytes, *, seconds: float) -> socket.socket:
    """Open a connection and send these bytes, as far as the service reads them within `seconds`."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=seconds)
    with suppress(OSError):
        connection.sendall(sent)
    return connection


def wait_for_answer(connection: socket.socket, began: float, *, seconds: float) -> Answer:
    """Read from a connection until the service closes it or `seconds` have passed since `began`."""
    head, size, status = b"", 0, CLOSED
    try:
        while True:
            connection.settimeout(max(0.01, began + seconds - time.monotonic()))
            if not (data := connection.recv(CHUNK)):
                break
            head, size = head or data[:64], size + len(data)
    except TimeoutError:
        status = NO_ANSWER
    except OSError:
        pass
    finally:
        connection.close()
    if head.startswith(b"HTTP/1.1 "):
        status = int(head[9:12])
    return Answer(status, size, time.monotonic() - began)


def together(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Make all calls at once, each in a thread; return the answers in the order in which they came."""
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda call=call: answers.append(call()), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
