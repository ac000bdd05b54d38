"""Faults of processes: killed, suspended, ended by SIGTERM."""

import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import httpx

from core.jobs.states import Status
from core.store import jobs
from core.store.scope import EVERYTHING
from harness.chaos.deployment import LEASE_SECONDS, children
from harness.chaos.faults.fault import ALL_KINDS, Fault
from harness.chaos.networks import NETWORKS, SPLIT
from harness.chaos.rounds import Round, send
from harness.processes import child_pids


def signal_at(point: str, number: int, target: str, r: Round) -> None:
    """Send a signal when a process reaches a fault point."""
    r.local.arm(point, number, target)
    r.mark_fault()
    r.post()
    r.until(lambda _: r.local.triggered(point), "the fault point is reached")
    if target == "parent":
        r.local.workers[0].wait(60)
    r.local.repair()


def kill_child(r: Round) -> None:
    r.post()
    r.wait_randomly()
    r.kill_child()


def kill_idle(r: Round) -> None:
    r.kill_child()
    r.wait_randomly(0.1)
    r.post()


def kill_twice(r: Round) -> None:
    r.post()
    r.until(_has_checkpoint, "there is a checkpoint")
    for _ in range(2):
        r.kill_child()
        r.wait_randomly(0.3)


def kill_shard_process(r: Round) -> None:
    """Kill the process that computes half of each batch; the worker's child then ends as well."""
    r.use_network(SPLIT)
    r.post()
    r.until(lambda _: bool(_shard_processes(r)), "there is a shard process")
    r.wait_randomly(0.8)
    r.mark_fault()
    for pid in _shard_processes(r):
        send(pid, signal.SIGKILL)


def _shard_processes(r: Round) -> list[int]:
    return [process for child in children(r.local.workers[0]) for process in child_pids(child)]


def kill_worker(r: Round) -> None:
    r.post()
    r.wait_randomly()
    r.kill_worker()
    r.wait_randomly(0.2)
    r.local.repair()


def stop_child(r: Round) -> None:
    """Suspend the training process past its lease, until another worker has claimed or even ended the job."""
    r.post()
    r.wait_randomly(0.8)
    job = r.row()
    worker = next((w for w in r.local.workers if f":{w.pid}:" in (job.worker or "")), r.local.workers[0])
    _stop(children(worker), r)


def stop_worker(r: Round) -> None:
    """Suspend the whole worker, so that its parent cannot requeue the job."""
    r.post()
    r.wait_randomly(0.8)
    worker = r.local.workers[0]
    _stop([worker.pid, *children(worker)], r)


def _stop(pids: list[int], r: Round) -> None:
    """Suspend processes until after their lease."""
    r.mark_fault()
    for pid in pids:
        send(pid, signal.SIGSTOP)
    time.sleep(LEASE_SECONDS + r.rng.uniform(0, 2.5))
    for pid in pids:
        send(pid, signal.SIGCONT)


def terminate(r: Round) -> None:
    """End the worker with SIGTERM and start another, as a deployment does."""
    r.post()
    r.wait_randomly()
    r.mark_fault()
    worker = r.local.workers[0]
    worker.terminate()
    if (code := worker.wait(60)) != 0:
        r.violations.append(f"the worker ended with exit code {code} on SIGTERM")
    r.local.repair()


def rolling(r: Round) -> None:
    """Restart each part in random order while several jobs are queued and running."""
    load = [(network, _posted(r, network)) for network in NETWORKS]
    r.post()
    r.mark_fault()
    for part in r.rng.sample(r.deployment.parts, k=len(r.deployment.parts)):
        load.append((r.network, _posted(r, r.network)))
        r.wait_randomly(0.5)
        r.deployment.restart(part)
    for network, job_id in load:
        r.expect_result(job_id, network)


def older_worker(r: Round) -> None:
    """Kill the worker while one of an older version runs, which must not claim the job meanwhile."""
    older = r.local.start_older_worker()
    r.post()
    r.wait_randomly(0.8)
    r.kill_worker()
    r.until(lambda job: job.status is Status.QUEUED, "the job is requeued")
    r.wait_randomly(0.3)
    r.local.repair()
    r.until(lambda _: False, "it ends")
    with r.database.read() as s:
        messages = [transition.message for transition in jobs.transitions(s, EVERYTHING, r.job_id)]
    if any(f":{older.pid}:" in message for message in messages):
        r.violations.append("a worker of an older version claimed the job")
    older.terminate()
    older.wait(60)


def _posted(r: Round, network: str) -> str:
    answer = httpx.post(f"{r.deployment.url}/v1/jobs", json=dict(NETWORKS[network]), timeout=30)
    return str(answer.raise_for_status().json()["id"])


def memory(r: Round) -> None:
    """Kill the worker at each claim of the job, until the job fails."""
    r.allowed_ends = {"failed": "worker_lost"}
    r.mark_fault()
    for fence in (1, 3, 5):
        r.local.arm("worker before init", signal.SIGKILL)
        if fence == 1:
            r.post()
        r.until(lambda job, fence=fence: job.fence > fence, "its worker dies")  # type: ignore[misc]
    _other_job_succeeds(r)


def same_name(r: Round) -> None:
    """Kill one of two workers with the same host name and Celery name."""
    r.post()
    r.wait_randomly()
    r.kill_worker(r.rng.randrange(2))


def _other_job_succeeds(r: Round) -> None:
    spec = {**NETWORKS["early stopping"], "training": {"epochs": 2}}
    answer = httpx.post(f"{r.local.url}/v1/jobs", json=spec, timeout=30).json()
    own, r.job_id = r.job_id, answer["id"]
    if r.until(lambda _: False, "another job ends").status is not Status.SUCCEEDED:
        r.violations.append("another job did not succeed")
    r.job_id = own


def _has_checkpoint(job: object) -> bool:
    return getattr(job, "checkpoint_id", None) is not None


def _at(point: str, number: int = signal.SIGKILL, target: str = "self") -> Callable[[Round], None]:
    return partial(signal_at, f"worker {point}", number, target)


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "kill-child": Fault("worker's child killed in a step", kill_child),
        "kill-child-twice": Fault("worker's child killed twice in a row", kill_twice),
        "kill-idle": Fault("worker's child killed while idle", kill_idle),
        "kill-claimed": Fault("… between claim and first batch", _at("before init")),
        "kill-saving": Fault("… while a checkpoint is written", _at("before commit")),
        "kill-saved": Fault("… between a checkpoint's file and its row", _at("after put")),
        "kill-last": Fault("… at the last batch", _at("before finish")),
        "kill-leaving": Fault("… in the transaction that ends the job", _at("before release")),
        "kill-left": Fault("… between the job's end and the next claim", _at("after attempt")),
        "kill-shard": Fault("shard process killed", kill_shard_process),
        "kill-worker": Fault("whole worker killed", kill_worker),
        "stop-child": Fault("child suspended past its lease, then resumed", stop_child, workers=2),
        "stop-worker": Fault("whole worker suspended past its lease, then resumed", stop_worker, workers=2),
        "term": Fault("SIGTERM while training", terminate),
        "term-saving": Fault("SIGTERM while a checkpoint is written", _at("before commit", signal.SIGTERM, "parent")),
        "rolling": Fault("rolling restart of all parts under load", rolling, where=ALL_KINDS),
        "older-worker": Fault("worker killed beside one of an older version", older_worker),
        "memory": Fault("worker killed at each claim of a job", memory),
        "same-name": Fault("two workers with the same name, one killed", same_name, workers=2),
    }
)
