"""What the children of a pool share outlives each of them."""

import multiprocessing
import signal

from worker.pool import Lock

FORK = multiprocessing.get_context("fork")


def test_a_lock_is_held_by_one_and_opens_when_that_one_is_killed() -> None:
    lock, held = Lock(), FORK.Event()

    def hold() -> None:
        lock.acquire()
        held.set()
        signal.pause()

    holder, waiter = FORK.Process(target=hold), FORK.Process(target=lock.acquire)
    holder.start()
    assert held.wait(30)
    waiter.start()
    waiter.join(0.2)
    assert waiter.is_alive()
    holder.kill()
    waiter.join(30)
    code = waiter.exitcode
    waiter.kill()
    assert code == 0
