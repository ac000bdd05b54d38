"""Requests that a worker shuts down."""

import os
import signal

from worker.shutdown import ShutdownRequest


def test_child_sees_the_request_of_its_parent() -> None:
    stop = ShutdownRequest()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reader, 1)
        os._exit(7 if stop.asked else 1)
    assert not stop.asked
    stop.ask()
    os.write(writer, b"x")
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7


def test_sigterm_counts_as_a_request_within_the_block() -> None:
    stop = ShutdownRequest()
    before = signal.getsignal(signal.SIGTERM)
    with stop.on_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
    assert not stop.asked
    assert signal.getsignal(signal.SIGTERM) is before


def test_block_without_a_signal_changes_nothing() -> None:
    stop = ShutdownRequest()
    before = signal.getsignal(signal.SIGTERM)
    with stop.on_sigterm():
        pass
    assert not stop.asked
    assert signal.getsignal(signal.SIGTERM) is before
