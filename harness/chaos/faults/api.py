"""Faults of the API and of what its clients wish."""

import signal
import time
from collections.abc import Mapping
from functools import partial
from threading import Thread
from types import MappingProxyType

import httpx

from core.jobs.states import Status
from harness.chaos.faults.fault import Fault
from harness.chaos.faults.uploads import learn_uploaded, upload
from harness.chaos.nets import NETS
from harness.chaos.rounds import Round


def kill_api_in_post(place: str, r: Round) -> None:
    r.place.lay(place, signal.SIGKILL)
    started = r.place.api
    assert started is not None

    def again() -> None:
        started.wait(30)
        r.hurt()
        r.place.start_api()

    thread = Thread(target=again)
    thread.start()
    r.post()
    thread.join()


def kill_api_in_upload(r: Round) -> None:
    """The upload is made to end in the middle, or just before its file is whole."""
    if r.chance.random() < 0.5:
        r.place.lay("api before commit", signal.SIGKILL)
    upload(r, broken=True)
    r.kill_api()
    r.place.mend()
    learn_uploaded(r)


def kill_api_in_stream(r: Round) -> None:
    r.post()
    r.moment()
    r.kill_api()
    r.place.mend()


def wishes(r: Round) -> None:
    """Pause and resume, with a death somewhere between."""
    r.post()
    r.hurt()
    kills = 0
    for _ in range(r.chance.randint(1, 3)):
        r.moment(0.4)
        if r.chance.random() < 0.5:
            r.ask("pause")
        if r.chance.random() < 0.5:
            r.kill_child()
            kills += 1
            if kills == 3:  # with no checkpoint between them they are a poisonous job's
                r.may_end["failed"] = "worker_lost"
        if r.chance.random() < 0.5:
            r.until(lambda job: job.status is Status.RUNNING or job.status is Status.PAUSED, "it stands somewhere")
        if r.chance.random() < 0.5:
            r.ask("resume")
    while r.until(lambda job: job.status is Status.PAUSED, "it is paused or ends").status is Status.PAUSED:
        r.ask("resume")


def cancels(r: Round) -> None:
    """Cancelled at a random moment, with a death beside it."""
    keep = r.chance.choice(["best", "last", "none"])
    r.may_end["cancelled"] = None
    r.post()
    r.moment()
    r.hurt()
    die_first = r.chance.random()
    if die_first < 0.3:
        r.kill_child()
    r.ask(f"cancel?keep={keep}")
    if die_first > 0.7:
        r.kill_child()


def deletes(r: Round) -> None:
    """A client deletes whatever ends, and asks for it all the time until it can."""
    r.post()
    mine = r.job_id
    other = httpx.post(f"{r.place.url}/v1/jobs", json=dict(NETS[r.net])).json()["id"]
    r.moment()
    r.hurt()
    if r.chance.random() < 0.5:
        r.kill_child()
    httpx.post(f"{r.place.url}/v1/jobs/{other}/cancel", timeout=30)
    until = time.monotonic() + 60
    while (answer := httpx.delete(f"{r.place.url}/v1/jobs/{other}", timeout=30)).status_code == 409:
        if time.monotonic() > until:
            break
    if answer.status_code != 204 or httpx.get(f"{r.place.url}/v1/jobs/{other}").status_code != 404:
        r.lies.append(f"a deleted job answered {answer.status_code}")
    r.job_id = mine


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "kill-api-inserting": Fault(
            "API killed in a POST, before its commit", partial(kill_api_in_post, "api after insert")
        ),
        "kill-api-inserted": Fault(
            "API killed in a POST, before its answer", partial(kill_api_in_post, "api before notify")
        ),
        "kill-api-upload": Fault("API killed in an upload", kill_api_in_upload),
        "kill-api-stream": Fault("API killed in a stream", kill_api_in_stream),
        "wishes": Fault("pause and resume, with deaths between", wishes),
        "cancel": Fault("cancel, with a death beside it", cancels),
        "delete": Fault("cancel and delete of another job, with a death", deletes),
    }
)
