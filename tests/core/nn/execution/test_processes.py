"""A shard process answers requests, and its end or its errors reach the process that forked it."""

import fcntl
import os
import signal
import termios
import threading
from array import array
from pathlib import Path

import pytest

from core.nn.execution.processes import ShardProcess
from core.nn.step.step import ShardProcessKilled
from harness.processes import child_pids


def test_signals_of_a_terminal_do_not_end_a_shard_process() -> None:
    process = ShardProcess(lambda request: 2 * request)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(process.pid, number)
        process.send(21)
        assert process.receive() == 42


def test_killed_process_is_reported_and_reaped() -> None:
    process = ShardProcess(lambda request: 2 * request)
    process.send(21)
    assert process.receive() == 42
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(ShardProcessKilled) as lost:
        process.receive()
    assert (lost.value.signal, process.pid in child_pids(os.getpid())) == (signal.SIGKILL, False)


def test_process_killed_while_answering_is_reported() -> None:
    process, sent = ShardProcess(lambda _: bytes(1 << 24)), array("i", [0])
    process.send(None)
    while sent[0] < 1000:  # the answer is larger than the pipe's buffer
        fcntl.ioctl(process._pipe.fileno(), termios.FIONREAD, sent)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(ShardProcessKilled):
        process.receive()


def test_request_to_a_killed_process_reports_the_signal() -> None:
    process = ShardProcess(lambda request: 2 * request)
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(ShardProcessKilled):
        process.send(21)


def test_shard_process_has_only_its_pipe_open() -> None:
    def opened(_: object) -> list[int]:
        return sorted(int(file.name) for file in Path("/proc/self/fd").iterdir())

    first = ShardProcess(opened)
    with Path(__file__).open():
        second = ShardProcess(opened)
    for process in (first, second):
        process.send(None)
        *standard, _pipe, _listing = process.receive()
        assert standard == [0, 1, 2]


class UnpicklableError(Exception):
    """An error that cannot be unpickled from its arguments."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (MemoryError("all of it"), MemoryError, "all of it"),
        (UnpicklableError("to", "gether"), RuntimeError, "together"),
    ],
)
def test_error_in_a_shard_process_is_raised_by_receive(raised: Exception, kind: type[Exception], message: str) -> None:
    def work(_: object) -> None:
        raise raised

    process = ShardProcess(work)
    for _ in range(2):
        process.send(None)
        with pytest.raises(kind, match=message) as found:
            process.receive()
        assert "in work" in str(found.value) + "".join(getattr(found.value, "__notes__", ()))


def test_close_does_not_wait_for_an_answer() -> None:
    process = ShardProcess(lambda _: threading.Event().wait())
    process.send(None)
    process.close()
    assert process.pid not in child_pids(os.getpid())


def test_process_that_exits_is_not_reported_as_killed() -> None:
    process = ShardProcess(lambda _: os._exit(3))
    process.send(None)
    with pytest.raises(RuntimeError, match="has ended"):
        process.receive()
