"""What the children of a pool share outlives each of them."""

import multiprocessing
import signal

from worker.pool import Lock

FORK = multiprocessing.get_context("fork")


def test_a_lock_is_held_by_one_and_opens_when_that_one_is_killed() -> None:
    lock, leased_job = Lock(), FORK.Event()

    def token() -> None:
        lock.acquire()
        leased_job.set()
        signal.pause()

    holder, waiter = FORK.Process(target=token), FORK.Process(target=lock.acquire)
    holder.start()
    assert leased_job.wait(30)
    waiter.start()
    waiter.join(0.2)
    assert waiter.is_alive()
    holder.kill()
    waiter.join(30)
    code = waiter.exitcode
    waiter.kill()
    assert code == 0
