"""Every fault there is, as one table: what it does to a round, and where it can be done."""

import json
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from types import MappingProxyType

import httpx

from core.bell import TASK, celery_app
from core.jobs.states import Status
from core.store import checkpoints
from tests.chaos.nets import NETS
from tests.chaos.place import EMBEDDED, LEASE, SERVERS, children
from tests.chaos.proxy import State
from tests.chaos.rounds import Round, send, the_end

SPIRALS_CSV = "a,b,kind\n" + "".join(
    f"{(i * 37) % 101 / 50 - 1},{(i * 53) % 97 / 48 - 1},{'in' if ((i * 37) % 101 / 50 - 1) ** 2 < 0.4 else 'out'}\n"
    for i in range(400)
)
UPLOADED = {
    "architecture": {"layers": [{"type": "dense", "units": 16, "activation": "relu"}, {"type": "dense", "units": 1}]},
    "training": {"epochs": 20, "batch_size": 20, "seed": 3},
}


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong."""

    words: str
    act: Callable[[Round], None]
    """Posts the round's job, and does the harm; whatever it leaves broken is mended after it."""
    where: tuple[str, ...] = (EMBEDDED, SERVERS)
    workers: int = 1
    faketime: bool = False
    """Whether the processes' wall clock must be one that can be set."""


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


def kill_worker(r: Round) -> None:
    r.post()
    r.moment()
    r.kill_worker()
    r.moment(0.2)
    r.place.mend()


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
    _upload(r, broken=True)
    r.kill_api()
    r.place.mend()
    _learn_uploaded(r)


def kill_api_in_stream(r: Round) -> None:
    r.post()
    r.moment()
    r.kill_api()
    r.place.mend()


def stop_child(r: Round) -> None:
    """Silent past its lease, and awake again when another has the job or has even ended it."""
    r.post()
    r.moment(0.8)
    job = r.row()
    worker = next((w for w in r.place.workers if f":{w.pid}:" in (job.worker or "")), r.place.workers[0])
    r.hurt()
    stopped = children(worker)
    for pid in stopped:
        send(pid, signal.SIGSTOP)
    time.sleep(LEASE + r.chance.uniform(0, 2.5))
    for pid in stopped:
        send(pid, signal.SIGCONT)


def stop_worker(r: Round) -> None:
    """The whole worker, parent and child: nothing of it can give the job back."""
    r.post()
    r.moment(0.8)
    r.hurt()
    worker = r.place.workers[0]
    stopped = [worker.pid, *children(worker)]
    for pid in stopped:
        send(pid, signal.SIGSTOP)
    time.sleep(LEASE + r.chance.uniform(0, 2.5))
    for pid in stopped:
        send(pid, signal.SIGCONT)


def ring(times: int, r: Round) -> None:
    r.post()
    app = celery_app(r.place.settings.model_copy(update={"broker_url": r.place.broker_url}))
    for _ in range(times):
        r.moment(0.2)
        r.hurt()
        app.send_task(TASK)
    app.close()


def ring_late(r: Round) -> None:
    """The bell comes again while its job trains, as when Redis gives up on the first after an hour."""
    r.post()
    r.moment()
    r.hurt()
    broker = r.place.redis
    assert broker is not None
    with broker.client as client:
        for text in client.hgetall("unacked").values():
            message = json.loads(text)[0]
            client.lpush("chainrule", json.dumps(message))


def no_bell(r: Round) -> None:
    """The API is killed between commit and bell, or the broker loses the bell while nobody listens."""
    stopped = r.stop_workers()
    r.post()
    r.hurt()
    time.sleep(0.3)
    if r.place.redis:
        with r.place.redis.client as client:
            client.flushall()
    for message in (r.place.settings.data_dir / "broker" / "queue").glob("*.msg"):
        message.unlink()
    for pid in reversed(stopped):
        send(pid, signal.SIGCONT)


def redis_ends(number: int, r: Round) -> None:
    assert r.place.redis
    r.post()
    r.moment()
    r.hurt()
    r.place.redis.end(number)
    r.moment(0.5)
    r.place.redis.start()


def redis_forgets(r: Round) -> None:
    assert r.place.redis
    with r.place.redis.client as client:
        if r.chance.random() < 0.5:
            client.flushall()
            r.hurt()
        r.post()
        r.moment()
        r.hurt()
        client.flushall()


def redis_pauses(r: Round) -> None:
    assert r.place.redis
    with r.place.redis.client as client:
        r.hurt()
        client.client_pause(3000)
    r.post()


def redis_silent(r: Round) -> None:
    if before := r.chance.random() < 0.5:
        r.hurt()
        r.place.broker.set(State.SILENT)
    _post_soon(r)
    r.moment(0.5)
    if not before:
        r.hurt()
        r.place.broker.set(State.SILENT)
        r.moment(0.5)
    time.sleep(2.0)
    r.place.broker.open()


def redis_away(r: Round) -> None:
    assert r.place.redis
    r.hurt()
    r.place.redis.end(signal.SIGKILL)
    _post_soon(r)
    r.moment()
    r.place.redis.start()


def postgres_ends(number: int, r: Round) -> None:
    assert r.place.postgres
    r.post()
    r.moment()
    r.hurt()
    r.place.postgres.end(number)
    r.moment(0.5)
    r.place.postgres.start()


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
    r.place.lay("worker before leave", signal.SIGSTOP)
    r.post()
    r.until(lambda _: r.place.struck("worker before leave"), "the end comes")
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


def disk_full(place: str, r: Round) -> None:
    """It is full from before a checkpoint's file is whole until a while later."""
    r.place.lay(place, signal.SIGSTOP)
    r.post()
    r.until(lambda _: r.place.struck(place), "a checkpoint is written")
    r.hurt()
    _fill(r)
    for pid in children(r.place.workers[0]):
        send(pid, signal.SIGCONT)
    r.moment(0.5)
    r.place.ballast.unlink()
    r.may_end["failed"] = "storage_failed"


def disk_full_in_sqlite(r: Round) -> None:
    r.post()
    r.moment()
    r.hurt()
    _fill(r)
    time.sleep(r.chance.uniform(0.2, 3.0))
    r.place.ballast.unlink()
    r.may_end["failed"] = "storage_failed"


def disk_full_in_upload(r: Round) -> None:
    blobs = r.place.settings.data_dir / "blobs"
    before = set(blobs.glob("*"))
    r.hurt()
    _fill(r)
    answer = _upload(r)
    if answer is None or answer.status_code < 500:
        r.lies.append(f"an upload onto a full disk was answered by {answer and answer.status_code}")
    r.place.ballast.unlink()
    if left := set(blobs.glob("*.part")) - before:
        r.lies.append(f"an upload onto a full disk left {left}")
    _learn_uploaded(r)


def damaged(harm: Callable[[Path], None], r: Round) -> None:
    """The newest checkpoint's file is harmed while the job is paused."""
    r.post()
    r.moment()
    r.ask("pause")
    job = r.until(lambda job: job.status is Status.PAUSED, "it is paused")
    if job.status is not Status.PAUSED:
        return
    with r.sessions.read() as s:
        saved = checkpoints.latest(s, r.job_id)
    if saved is not None:
        harm(r.place.settings.data_dir / "blobs" / saved.sha256)
    r.hurt()
    r.ask("resume")


def _cut_short(blob: Path) -> None:
    with blob.open("r+b") as file:
        file.truncate(blob.stat().st_size // 2)


def _turn_a_bit(blob: Path) -> None:
    data = bytearray(blob.read_bytes())
    data[len(data) // 3] ^= 4
    blob.write_bytes(data)


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
    """Each part is restarted in turn while several jobs wait and train."""
    others = [httpx.post(f"{r.place.url}/v1/jobs", json=dict(spec)).json()["id"] for spec in NETS.values()]
    r.post()
    r.hurt()
    assert r.place.api
    for part in r.chance.sample(["worker", "api", *(["postgres", "redis"] if r.place.kind == SERVERS else [])], k=2):
        r.moment(0.5)
        if part == "worker":
            r.place.workers[0].terminate()
            r.place.workers[0].wait(60)
        elif part == "api":
            r.place.api.terminate()
            r.place.api.wait(60)
        else:
            server = r.place.postgres if part == "postgres" else r.place.redis
            assert server
            server.end(signal.SIGINT)
        r.place.mend()
    mine, watch = r.job_id, r.watch
    for r.job_id in others:
        if r.until(lambda _: False, "it ends").status is not Status.SUCCEEDED:
            r.lies.append(f"{r.job_id} ended otherwise")
    r.job_id, r.watch = mine, watch


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


def clock_jumps(seconds: int, r: Round) -> None:
    """The wall clock of all processes jumps."""
    r.post()
    r.moment()
    r.hurt()
    r.place.set_clock(seconds)


def clock_jumps_while_it_waits(seconds: int, r: Round) -> None:
    """The wall clock jumps between a job's POST and its claim."""
    stopped = r.stop_workers()
    r.post()
    r.hurt()
    r.place.set_clock(seconds)
    for pid in reversed(stopped):
        send(pid, signal.SIGCONT)


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


def _post_soon(r: Round) -> None:
    """A broker that is away never delays a POST."""
    began = time.monotonic()
    r.post()
    if (took := time.monotonic() - began) > 3.0:
        r.lies.append(f"POST took {took:.1f} s while the broker was away")


def _others_learn(r: Round) -> None:
    spec = {**NETS["early stopping"], "training": {"epochs": 2}}
    answer = httpx.post(f"{r.place.url}/v1/jobs", json=spec, timeout=30).json()
    mine, r.job_id = r.job_id, answer["id"]
    if r.until(lambda _: False, "another job ends").status is not Status.SUCCEEDED:
        r.lies.append("another job did not succeed")
    r.job_id = mine


def _upload(r: Round, *, broken: bool = False) -> httpx.Response | None:
    """Upload the table; broken off, or killed in the middle of it, by the ambush that lies at its end."""

    def pieces() -> object:
        data = SPIRALS_CSV.encode()
        yield data[: len(data) // 2]
        if broken and not any(r.place.ambushes.iterdir()):
            r.kill_api()
        yield data[len(data) // 2 :]

    try:
        return httpx.post(
            f"{r.place.url}/v1/datasets?name=table",
            content=pieces(),  # type: ignore[arg-type]
            headers={"Content-Type": "text/csv"},
            timeout=30,
        )
    except httpx.HTTPError:
        return None


def _learn_uploaded(r: Round) -> None:
    """Upload again, and learn from it: twice, so that one run is the other's measure."""
    answer = _upload(r)
    assert answer is not None
    assert answer.status_code in {200, 201}, answer.text
    spec = UPLOADED | {"data": {"type": "dataset", "id": answer.json()["id"], "target": "kind"}}
    first = httpx.post(f"{r.place.url}/v1/jobs", json=spec, timeout=30).json()["id"]
    r.job_id = first
    r.until(lambda _: False, "it ends")
    r.expected = the_end(r.sessions, first)
    if r.expected.status != "succeeded":
        r.lies.append(f"what was uploaded after the fault could not be learned: {r.expected.code}")
    r.post(spec)


def _has_saved(job: object) -> bool:
    return getattr(job, "checkpoint_id", None) is not None


def _fill(r: Round) -> None:
    with r.place.ballast.open("wb", buffering=0) as ballast:
        try:
            for size in (2**20, 2**12):
                while True:
                    ballast.write(b"\0" * size)
        except OSError:
            pass
        try:
            while True:
                ballast.write(b"\0" * 4096)
        except OSError:
            pass


def _at(place: str, number: int = signal.SIGKILL, whom: str = "self") -> Callable[[Round], None]:
    return partial(ambushed, f"worker {place}", number, whom)


KILL, TERM = signal.SIGKILL, signal.SIGTERM
BEHIND = (SERVERS,)
FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "kill-child": Fault("worker's child killed in a step", kill_child),
        "kill-child-twice": Fault("worker's child killed twice in a row", kill_often),
        "kill-idle": Fault("worker's child killed while idle", kill_idle),
        "kill-claimed": Fault("… between claim and first batch", _at("before init")),
        "kill-saving": Fault("… while a checkpoint is written", _at("before commit")),
        "kill-saved": Fault("… between a checkpoint's file and its row", _at("after put")),
        "kill-last": Fault("… at the last batch", _at("before end")),
        "kill-leaving": Fault("… in the transaction that ends the job", _at("before leave")),
        "kill-left": Fault("… between the job's end and the next claim", _at("after attempt")),
        "kill-worker": Fault("whole worker killed", kill_worker),
        "kill-api-inserting": Fault(
            "API killed in a POST, before its commit", partial(kill_api_in_post, "api after insert")
        ),
        "kill-api-inserted": Fault(
            "API killed in a POST, before its answer", partial(kill_api_in_post, "api before ring")
        ),
        "kill-api-upload": Fault("API killed in an upload", kill_api_in_upload),
        "kill-api-stream": Fault("API killed in a stream", kill_api_in_stream),
        "stop-child": Fault("child stopped past its lease, then awake", stop_child, workers=2),
        "stop-worker": Fault("whole worker stopped past its lease, then awake", stop_worker, workers=2),
        "bell-twice": Fault("the bell once more", partial(ring, 1)),
        "bell-often": Fault("ten more bells", partial(ring, 10)),
        "bell-late": Fault("the bell redelivered while its job trains", ring_late, BEHIND),
        "bell-none": Fault("no bell at all", no_bell),
        "redis-restart": Fault("Redis restarted", partial(redis_ends, TERM), BEHIND),
        "redis-kill": Fault("Redis killed, started again", partial(redis_ends, KILL), BEHIND),
        "redis-flush": Fault("Redis flushed", redis_forgets, BEHIND),
        "redis-pause": Fault("Redis: CLIENT PAUSE 3 s", redis_pauses, BEHIND),
        "redis-silent": Fault("Redis accepts and says nothing", redis_silent, BEHIND),
        "redis-away": Fault("Redis away at POST", redis_away, BEHIND),
        "postgres-fast": Fault("Postgres restarted, fast", partial(postgres_ends, signal.SIGINT), BEHIND),
        "postgres-immediate": Fault("Postgres restarted, immediate", partial(postgres_ends, signal.SIGQUIT), BEHIND),
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
        "disk-checkpoint": Fault("disk full in a checkpoint", partial(disk_full, "worker before commit"), (EMBEDDED,)),
        "disk-upload": Fault("disk full in an upload", disk_full_in_upload, (EMBEDDED,)),
        "disk-sqlite": Fault("disk full in SQLite", disk_full_in_sqlite, (EMBEDDED,)),
        "checkpoint-short": Fault("checkpoint file cut short", partial(damaged, _cut_short)),
        "checkpoint-bit": Fault("checkpoint file with one bit turned", partial(damaged, _turn_a_bit)),
        "checkpoint-gone": Fault("checkpoint file removed", partial(damaged, Path.unlink)),
        "term": Fault("SIGTERM while training", term),
        "term-saving": Fault("SIGTERM while a checkpoint is written", _at("before commit", TERM, "parent")),
        "rolling": Fault("rolling restart under load", rolling),
        "memory": Fault("job killed for memory each time", memory),
        "twins": Fault("two workers of one name, one killed", twins, workers=2),
        "clock-forward": Fault("wall clock jumps an hour forward", partial(clock_jumps, 3600), faketime=True),
        "clock-back": Fault("wall clock jumps an hour back", partial(clock_jumps, -3600), faketime=True),
        "clock-back-queued": Fault(
            "wall clock jumps an hour back while the job waits",
            partial(clock_jumps_while_it_waits, -3600),
            faketime=True,
        ),
        "wishes": Fault("pause and resume, with deaths between", wishes),
        "cancel": Fault("cancel, with a death beside it", cancels),
        "delete": Fault("cancel and delete of another job, with a death", deletes),
    }
)
