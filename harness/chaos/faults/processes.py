"""Faults of processes: killed, stopped, told to end."""

import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import httpx

from core.jobs.states import Status
from harness.chaos.faults.fault import EVERYWHERE, Fault
from harness.chaos.nets import HALVES, NETS
from harness.chaos.place import LEASE, children
from harness.chaos.rounds import Round, send
from harness.processes import forked_by


def ambushed(place: str, number: int, whom: str, r: Round) -> None:
    """A signal falls at a place in the code."""
    r.place.lay(place, number, whom)
    r.hurt()
    r.post()
    r.until(lambda _: r.place.struck(place), "the signal falls")
    if whom == "parent":
        r.place.workers[0].wait(60)
    r.place.mend()


def kill_child(r: Round) -> None:
    r.post()
    r.moment()
    r.kill_child()


def kill_idle(r: Round) -> None:
    r.kill_child()
    r.moment(0.1)
    r.post()


def kill_often(r: Round) -> None:
    r.post()
    r.until(_has_saved, "there is a checkpoint")
    for _ in range(2):
        r.kill_child()
        r.moment(0.3)


def kill_helper(r: Round) -> None:
    """The process that takes half of each batch, or is about to; the worker's child ends as it did."""
    r.choose(HALVES)
    r.post()
    r.until(lambda _: bool(_helpers(r)), "a helper is there")
    r.moment(0.8)
    r.hurt()
    for pid in _helpers(r):
        send(pid, signal.SIGKILL)


def _helpers(r: Round) -> list[int]:
    return [helper for child in children(r.place.workers[0]) for helper in forked_by(child)]


def kill_worker(r: Round) -> None:
    r.post()
    r.moment()
    r.kill_worker()
    r.moment(0.2)
    r.place.mend()


def stop_child(r: Round) -> None:
    """Silent past its lease, and awake again when another has the job or has even ended it."""
    r.post()
    r.moment(0.8)
    job = r.row()
    worker = next((w for w in r.place.workers if f":{w.pid}:" in (job.worker or "")), r.place.workers[0])
    _stop(children(worker), r)


def stop_worker(r: Round) -> None:
    """The whole worker, parent and child: nothing of it can give the job back."""
    r.post()
    r.moment(0.8)
    worker = r.place.workers[0]
    _stop([worker.pid, *children(worker)], r)


def _stop(pids: list[int], r: Round) -> None:
    """Stop these until after their lease."""
    r.hurt()
    for pid in pids:
        send(pid, signal.SIGSTOP)
    time.sleep(LEASE + r.chance.uniform(0, 2.5))
    for pid in pids:
        send(pid, signal.SIGCONT)


def term(r: Round) -> None:
    """The worker is told to end and another started, as in a deployment."""
    r.post()
    r.moment()
    r.hurt()
    worker = r.place.workers[0]
    worker.terminate()
    if (code := worker.wait(60)) != 0:
        r.lies.append(f"the worker ended with {code} when it was told to end")
    r.place.mend()


def rolling(r: Round) -> None:
    """Each part is restarted in turn, in any order, while several jobs wait and train."""
    load = [(net, _posted(r, net)) for net in NETS]
    r.post()
    r.hurt()
    for part in r.chance.sample(r.service.parts, k=len(r.service.parts)):
        load.append((r.net, _posted(r, r.net)))
        r.moment(0.5)
        r.service.restart(part)
    for net, job_id in load:
        r.ends_undisturbed(job_id, net)


def _posted(r: Round, net: str) -> str:
    answer = httpx.post(f"{r.service.url}/v1/jobs", json=dict(NETS[net]), timeout=30)
    return str(answer.raise_for_status().json()["id"])


def memory(r: Round) -> None:
    """It kills its worker each time, until that is enough."""
    r.may_end = {"failed": "worker_lost"}
    r.hurt()
    for fence in (1, 3, 5):
        r.place.lay("worker before init", signal.SIGKILL)
        if fence == 1:
            r.post()
        r.until(lambda job, fence=fence: job.fence > fence, "its worker dies")  # type: ignore[misc]
    _others_learn(r)


def twins(r: Round) -> None:
    """Two of one host name, and Celery's name; one of them is killed."""
    r.post()
    r.moment()
    r.kill_worker(r.chance.randrange(2))


def _others_learn(r: Round) -> None:
    spec = {**NETS["early stopping"], "training": {"epochs": 2}}
    answer = httpx.post(f"{r.place.url}/v1/jobs", json=spec, timeout=30).json()
    mine, r.job_id = r.job_id, answer["id"]
    if r.until(lambda _: False, "another job ends").status is not Status.SUCCEEDED:
        r.lies.append("another job did not succeed")
    r.job_id = mine


def _has_saved(job: object) -> bool:
    return getattr(job, "checkpoint_id", None) is not None


def _at(place: str, number: int = signal.SIGKILL, whom: str = "self") -> Callable[[Round], None]:
    return partial(ambushed, f"worker {place}", number, whom)


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "kill-child": Fault("worker's child killed in a step", kill_child),
        "kill-child-twice": Fault("worker's child killed twice in a row", kill_often),
        "kill-idle": Fault("worker's child killed while idle", kill_idle),
        "kill-claimed": Fault("… between claim and first batch", _at("before init")),
        "kill-saving": Fault("… while a checkpoint is written", _at("before commit")),
        "kill-saved": Fault("… between a checkpoint's file and its row", _at("after put")),
        "kill-last": Fault("… at the last batch", _at("before finish")),
        "kill-leaving": Fault("… in the transaction that ends the job", _at("before release")),
        "kill-left": Fault("… between the job's end and the next claim", _at("after attempt")),
        "kill-helper": Fault("process that takes half of each batch killed", kill_helper),
        "kill-worker": Fault("whole worker killed", kill_worker),
        "stop-child": Fault("child stopped past its lease, then awake", stop_child, workers=2),
        "stop-worker": Fault("whole worker stopped past its lease, then awake", stop_worker, workers=2),
        "term": Fault("SIGTERM while training", term),
        "term-saving": Fault("SIGTERM while a checkpoint is written", _at("before commit", signal.SIGTERM, "parent")),
        "rolling": Fault("rolling restart of all parts under load", rolling, where=EVERYWHERE),
        "memory": Fault("job killed for memory each time", memory),
        "twins": Fault("two workers of one name, one killed", twins, workers=2),
    }
)
