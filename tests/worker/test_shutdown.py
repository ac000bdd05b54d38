import os
import signal

from worker.shutdown import ShutdownRequest


def test_a_child_sees_what_its_parent_asks() -> None:
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


def test_a_signal_to_the_child_is_heard_for_the_block() -> None:
    stop = ShutdownRequest()
    before = signal.getsignal(signal.SIGTERM)
    with stop.by_signal():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
    assert not stop.asked
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_block_without_a_signal_leaves_the_process_alone() -> None:
    stop = ShutdownRequest()
    before = signal.getsignal(signal.SIGTERM)
    with stop.by_signal():
        pass
    assert not stop.asked
    assert signal.getsignal(signal.SIGTERM) is before
