"""The lock that the children of a pool share."""

import multiprocessing
import signal

from worker.pool import ProcessLock

FORK = multiprocessing.get_context("fork")


def test_lock_is_released_when_its_holder_is_killed() -> None:
    lock, acquired = ProcessLock(), FORK.Event()

    def hold() -> None:
        lock.acquire()
        acquired.set()
        signal.pause()

    holder, waiter = FORK.Process(target=hold), FORK.Process(target=lock.acquire)
    holder.start()
    assert acquired.wait(30)
    waiter.start()
    waiter.join(0.2)
    assert waiter.is_alive()
    holder.kill()
    waiter.join(30)
    code = waiter.exitcode
    waiter.kill()
    assert code == 0
