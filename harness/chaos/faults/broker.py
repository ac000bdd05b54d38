"""Faults of the broker and of the bells in it."""

import json
import shutil
import signal
import time
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from core.queue.notifier import TASK, celery_app
from harness.chaos.faults.fault import BEHIND, Fault, server_ends
from harness.chaos.place import EMBEDDED
from harness.chaos.proxy import State
from harness.chaos.rounds import Round, send


def notify(times: int, r: Round) -> None:
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


def redis_forgotten(r: Round) -> None:
    """What lies between forgets the connections, before or after the POST, and tells nobody."""
    if before := r.chance.random() < 0.5:
        r.hurt()
        r.place.broker.forget()
    _post_soon(r)
    if not before:
        r.moment()
        r.hurt()
        r.place.broker.forget()


def folder_removed(r: Round) -> None:
    """Someone tidies the embedded broker's folder away, once or twice."""
    for _ in range(r.chance.randint(1, 2)):
        r.hurt()
        shutil.rmtree(r.place.settings.data_dir / "broker", ignore_errors=True)
        r.moment(0.1)
    r.post()
    r.moment()
    shutil.rmtree(r.place.settings.data_dir / "broker", ignore_errors=True)


def redis_away(r: Round) -> None:
    assert r.place.redis
    r.hurt()
    r.place.redis.end(signal.SIGKILL)
    _post_soon(r)
    r.moment()
    r.place.redis.start()


def _post_soon(r: Round) -> None:
    """A broker that is away never delays a POST."""
    began = time.monotonic()
    r.post()
    if (took := time.monotonic() - began) > 3.0:
        r.lies.append(f"POST took {took:.1f} s while the broker was away")


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "bell-twice": Fault("the bell once more", partial(notify, 1)),
        "bell-often": Fault("ten more bells", partial(notify, 10)),
        "bell-late": Fault("the bell redelivered while its job trains", ring_late, BEHIND),
        "bell-none": Fault("no bell at all", no_bell),
        "redis-restart": Fault("Redis restarted", partial(server_ends, "redis", signal.SIGTERM), BEHIND),
        "redis-kill": Fault("Redis killed, started again", partial(server_ends, "redis", signal.SIGKILL), BEHIND),
        "redis-flush": Fault("Redis flushed", redis_forgets, BEHIND),
        "redis-pause": Fault("Redis: CLIENT PAUSE 3 s", redis_pauses, BEHIND),
        "redis-silent": Fault("Redis accepts and says nothing", redis_silent, BEHIND),
        "redis-forgotten": Fault("connections to Redis forgotten by the network", redis_forgotten, BEHIND),
        "broker-folder": Fault("the embedded broker's folder removed", folder_removed, (EMBEDDED,)),
        "redis-away": Fault("Redis away at POST", redis_away, BEHIND),
    }
)
