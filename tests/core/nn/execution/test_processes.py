"""A process that helps: it answers, dies, fails and ends, and the one that it helps is told."""

import fcntl
import os
import signal
import termios
import threading
from array import array
from pathlib import Path

import pytest

from core.nn.execution.processes import ShardProcess, ShardProcessLost
from harness.processes import forked_by


def test_what_ends_the_helped_is_not_meant_for_a_helper() -> None:
    """A terminal sends both to all that runs in it."""
    helper = ShardProcess(lambda question: 2 * question)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(helper.pid, number)
        helper.ask(21)
        assert helper.answer() == 42


def test_a_helper_that_is_killed_is_told_and_waited_for() -> None:
    helper = ShardProcess(lambda question: 2 * question)
    helper.ask(21)
    assert helper.answer() == 42
    os.kill(helper.pid, signal.SIGKILL)
    with pytest.raises(ShardProcessLost) as lost:
        helper.answer()
    assert (lost.value.signal, helper.pid in forked_by(os.getpid())) == (signal.SIGKILL, False)


def test_a_helper_that_is_killed_in_the_middle_of_an_answer_is_lost() -> None:
    helper, sent = ShardProcess(lambda _: bytes(1 << 24)), array("i", [0])
    helper.ask(None)
    while sent[0] < 1000:  # of an answer that no pipe holds
        fcntl.ioctl(helper._pipe.fileno(), termios.FIONREAD, sent)
    os.kill(helper.pid, signal.SIGKILL)
    with pytest.raises(ShardProcessLost):
        helper.answer()


def test_a_question_to_a_helper_that_is_killed_is_no_other_error() -> None:
    helper = ShardProcess(lambda question: 2 * question)
    os.kill(helper.pid, signal.SIGKILL)
    os.waitid(os.P_PID, helper.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(ShardProcessLost):
        helper.ask(21)


def test_a_helper_has_nothing_open_but_its_pipe() -> None:
    def opened(_: object) -> list[int]:
        return sorted(int(file.name) for file in Path("/proc/self/fd").iterdir())

    first = ShardProcess(opened)
    with Path(__file__).open():
        second = ShardProcess(opened)
    for helper in (first, second):
        helper.ask(None)
        *standard, _pipe, _listing = helper.answer()
        assert standard == [0, 1, 2]


class Unsendable(Exception):
    """It cannot be made of its arguments."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


@pytest.mark.parametrize(
    ("raised", "kind", "told"),
    [(MemoryError("all of it"), MemoryError, "all of it"), (Unsendable("to", "gether"), RuntimeError, "together")],
)
def test_what_goes_wrong_in_a_helper_goes_wrong_here(raised: Exception, kind: type[Exception], told: str) -> None:
    def work(_: object) -> None:
        raise raised

    helper = ShardProcess(work)
    for _ in range(2):
        helper.ask(None)
        with pytest.raises(kind, match=told) as found:
            helper.answer()
        assert "in work" in str(found.value) + "".join(getattr(found.value, "__notes__", ()))


def test_a_helper_is_not_waited_for_at_the_end() -> None:
    helper = ShardProcess(lambda _: threading.Event().wait())
    helper.ask(None)
    helper.close()
    assert helper.pid not in forked_by(os.getpid())


def test_a_process_that_ends_by_itself_is_no_helper_that_was_killed() -> None:
    helper = ShardProcess(lambda _: os._exit(3))
    helper.ask(None)
    with pytest.raises(RuntimeError, match="has ended"):
        helper.answer()
