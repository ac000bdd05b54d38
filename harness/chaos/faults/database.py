"""Faults of Postgres, and of the way to it."""

import signal
import time
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from harness.chaos.faults.fault import BEHIND, Fault, server_ends
from harness.chaos.place import LEASE, children
from harness.chaos.proxy import State
from harness.chaos.rounds import Round, send


def postgres_terminates(r: Round) -> None:
    assert r.place.postgres
    r.post()
    r.hurt()
    for _ in range(3):
        r.moment(0.3)
        r.place.postgres.terminate(r.chance.choice(["api", "worker", "%"]))


def commit_cut(r: Round) -> None:
    """Whether the transaction counted is unknown to the worker."""
    _, cable = r.place.databases
    r.post()
    for _ in range(3):
        r.moment(0.3)
        r.hurt()
        cable.cut_next_commit()


def commit_cut_at_the_end(r: Round) -> None:
    """The commit that ends the job is the one whose answer is lost."""
    _, cable = r.place.databases
    r.place.lay("worker before release", signal.SIGSTOP)
    r.post()
    r.until(lambda _: r.place.struck("worker before release"), "the end comes")
    r.hurt()
    cable.cut_next_commit()
    for pid in children(r.place.workers[0]):
        send(pid, signal.SIGCONT)


def commit_cut_at_the_api(r: Round) -> None:
    """The commit of the POST itself; its client asks again."""
    cable, _ = r.place.databases
    r.hurt()
    cable.cut_next_commit()
    r.post()


def postgres_unreachable(state: State, which: int, r: Round) -> None:
    r.post()
    r.moment()
    r.hurt()
    cable = r.place.databases[which]
    cable.set(state)
    time.sleep(r.chance.uniform(0.2, 1.5 * LEASE))
    cable.open()


def postgres_slow(r: Round) -> None:
    r.hurt()
    for cable in r.place.databases:
        cable.delay = 0.05
    r.post()


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "postgres-fast": Fault("Postgres restarted, fast", partial(server_ends, "postgres", signal.SIGINT), BEHIND),
        "postgres-immediate": Fault(
            "Postgres restarted, immediate", partial(server_ends, "postgres", signal.SIGQUIT), BEHIND
        ),
        "postgres-terminate": Fault("backends terminated, three times", postgres_terminates, BEHIND),
        "commit-cut": Fault("worker cut off before the answer to a COMMIT", commit_cut, BEHIND),
        "commit-cut-end": Fault("… of the COMMIT that ends the job", commit_cut_at_the_end, BEHIND),
        "commit-cut-api": Fault("API cut off before the answer to a POST's COMMIT", commit_cut_at_the_api, BEHIND),
        "postgres-cut": Fault("worker cut off from Postgres", partial(postgres_unreachable, State.CUT, 1), BEHIND),
        "postgres-silent": Fault(
            "Postgres silent to the worker", partial(postgres_unreachable, State.SILENT, 1), BEHIND, workers=2
        ),
        "postgres-cut-api": Fault("API cut off from Postgres", partial(postgres_unreachable, State.CUT, 0), BEHIND),
        "postgres-slow": Fault("50 ms more before each answer of Postgres", postgres_slow, BEHIND),
    }
)
