"""Faults of Postgres and of the network before it."""

import signal
import time
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from harness.chaos.deployment import LEASE_SECONDS, children
from harness.chaos.faults.fault import SERVERS_ONLY, Fault, server_ends
from harness.chaos.proxy import State
from harness.chaos.rounds import Round, send


def postgres_terminates(r: Round) -> None:
    assert r.local.postgres
    r.post()
    r.mark_fault()
    for _ in range(3):
        r.wait_randomly(0.3)
        r.local.postgres.terminate(r.rng.choice(["api", "worker", "%"]))


def commit_cut(r: Round) -> None:
    """Cut the worker's connection between a COMMIT and its answer."""
    _, proxy = r.local.database_proxies
    r.post()
    for _ in range(3):
        r.wait_randomly(0.3)
        r.mark_fault()
        proxy.cut_next_commit()


def commit_cut_at_end(r: Round) -> None:
    """Cut the connection between the COMMIT that ends the job and its answer."""
    _, proxy = r.local.database_proxies
    r.local.arm("worker before release", signal.SIGSTOP)
    r.post()
    r.until(lambda _: r.local.triggered("worker before release"), "the job ends")
    r.mark_fault()
    proxy.cut_next_commit()
    for pid in children(r.local.workers[0]):
        send(pid, signal.SIGCONT)


def commit_cut_at_api(r: Round) -> None:
    """Cut the API's connection between the COMMIT of a POST and its answer; the client repeats the POST."""
    proxy, _ = r.local.database_proxies
    r.mark_fault()
    proxy.cut_next_commit()
    r.post()


def postgres_unreachable(state: State, which: int, r: Round) -> None:
    r.post()
    r.wait_randomly()
    r.mark_fault()
    proxy = r.local.database_proxies[which]
    proxy.set(state)
    time.sleep(r.rng.uniform(0.2, 1.5 * LEASE_SECONDS))
    proxy.open()


def postgres_slow(r: Round) -> None:
    r.mark_fault()
    for proxy in r.local.database_proxies:
        proxy.delay = 0.05
    r.post()


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "postgres-fast": Fault(
            "Postgres restarted, fast", partial(server_ends, "postgres", signal.SIGINT), SERVERS_ONLY
        ),
        "postgres-immediate": Fault(
            "Postgres restarted, immediate", partial(server_ends, "postgres", signal.SIGQUIT), SERVERS_ONLY
        ),
        "postgres-terminate": Fault("Postgres backends terminated, three times", postgres_terminates, SERVERS_ONLY),
        "commit-cut": Fault("worker cut off before the answer to a COMMIT", commit_cut, SERVERS_ONLY),
        "commit-cut-end": Fault("… of the COMMIT that ends the job", commit_cut_at_end, SERVERS_ONLY),
        "commit-cut-api": Fault("API cut off before the answer to a POST's COMMIT", commit_cut_at_api, SERVERS_ONLY),
        "postgres-cut": Fault(
            "worker cut off from Postgres", partial(postgres_unreachable, State.CUT, 1), SERVERS_ONLY
        ),
        "postgres-silent": Fault(
            "Postgres silent to the worker", partial(postgres_unreachable, State.SILENT, 1), SERVERS_ONLY, workers=2
        ),
        "postgres-cut-api": Fault(
            "API cut off from Postgres", partial(postgres_unreachable, State.CUT, 0), SERVERS_ONLY
        ),
        "postgres-slow": Fault("each answer of Postgres delayed by 50 ms", postgres_slow, SERVERS_ONLY),
    }
)
