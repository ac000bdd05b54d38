"""Faults of the broker and of the notifications in it."""

import json
import shutil
import signal
import time
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from core.queue.notifier import TASK, celery_app
from harness.chaos.deployment import EMBEDDED
from harness.chaos.faults.fault import SERVERS_ONLY, Fault, server_ends
from harness.chaos.proxy import State
from harness.chaos.rounds import Round, send


def notify(times: int, r: Round) -> None:
    """Send extra notifications."""
    r.post()
    app = celery_app(r.local.settings.model_copy(update={"broker_url": r.local.broker_url}))
    for _ in range(times):
        r.wait_randomly(0.2)
        r.mark_fault()
        app.send_task(TASK)
    app.close()


def redeliver_late(r: Round) -> None:
    """Redeliver the notification while its job trains, as Redis does after the visibility timeout of an hour."""
    r.post()
    r.wait_randomly()
    r.mark_fault()
    broker = r.local.redis
    assert broker is not None
    with broker.client as client:
        for text in client.hgetall("unacked").values():
            message = json.loads(text)[0]
            client.lpush("chainrule", json.dumps(message))


def no_notification(r: Round) -> None:
    """Remove the notification, as if the API were killed before it, or the broker lost it."""
    stopped = r.stop_workers()
    r.post()
    r.mark_fault()
    time.sleep(0.3)
    if r.local.redis:
        with r.local.redis.client as client:
            client.flushall()
    for message in (r.local.settings.data_dir / "broker" / "queue").glob("*.msg"):
        message.unlink()
    for pid in reversed(stopped):
        send(pid, signal.SIGCONT)


def redis_flushed(r: Round) -> None:
    assert r.local.redis
    with r.local.redis.client as client:
        if r.rng.random() < 0.5:
            client.flushall()
            r.mark_fault()
        r.post()
        r.wait_randomly()
        r.mark_fault()
        client.flushall()


def redis_pauses(r: Round) -> None:
    assert r.local.redis
    with r.local.redis.client as client:
        r.mark_fault()
        client.client_pause(3000)
    r.post()


def redis_silent(r: Round) -> None:
    if before := r.rng.random() < 0.5:
        r.mark_fault()
        r.local.broker_proxy.set(State.SILENT)
    _post_without_delay(r)
    r.wait_randomly(0.5)
    if not before:
        r.mark_fault()
        r.local.broker_proxy.set(State.SILENT)
        r.wait_randomly(0.5)
    time.sleep(2.0)
    r.local.broker_proxy.open()


def redis_dropped(r: Round) -> None:
    """Drop the connections without closing them, before or after the POST, as a firewall does."""
    if before := r.rng.random() < 0.5:
        r.mark_fault()
        r.local.broker_proxy.drop_silently()
    _post_without_delay(r)
    if not before:
        r.wait_randomly()
        r.mark_fault()
        r.local.broker_proxy.drop_silently()


def folder_removed(r: Round) -> None:
    """Remove the embedded broker's folder, once or twice."""
    for _ in range(r.rng.randint(1, 2)):
        r.mark_fault()
        shutil.rmtree(r.local.settings.data_dir / "broker", ignore_errors=True)
        r.wait_randomly(0.1)
    r.post()
    r.wait_randomly()
    shutil.rmtree(r.local.settings.data_dir / "broker", ignore_errors=True)


def redis_away(r: Round) -> None:
    assert r.local.redis
    r.mark_fault()
    r.local.redis.end(signal.SIGKILL)
    _post_without_delay(r)
    r.wait_randomly()
    r.local.redis.start()


def _post_without_delay(r: Round) -> None:
    """Post the round's job and check that a broker that is away does not delay the POST."""
    began = time.monotonic()
    r.post()
    if (took := time.monotonic() - began) > 3.0:
        r.violations.append(f"POST took {took:.1f} s while the broker was away")


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "notify-twice": Fault("one more notification", partial(notify, 1)),
        "notify-often": Fault("ten more notifications", partial(notify, 10)),
        "notify-late": Fault("notification redelivered while its job trains", redeliver_late, SERVERS_ONLY),
        "notify-none": Fault("no notification", no_notification),
        "redis-restart": Fault("Redis restarted", partial(server_ends, "redis", signal.SIGTERM), SERVERS_ONLY),
        "redis-kill": Fault("Redis killed and restarted", partial(server_ends, "redis", signal.SIGKILL), SERVERS_ONLY),
        "redis-flush": Fault("Redis flushed", redis_flushed, SERVERS_ONLY),
        "redis-pause": Fault("Redis: CLIENT PAUSE 3 s", redis_pauses, SERVERS_ONLY),
        "redis-silent": Fault("Redis accepts connections, but does not answer", redis_silent, SERVERS_ONLY),
        "redis-dropped": Fault("connections to Redis dropped by the network", redis_dropped, SERVERS_ONLY),
        "broker-folder": Fault("the embedded broker's folder removed", folder_removed, (EMBEDDED,)),
        "redis-away": Fault("Redis away at POST", redis_away, SERVERS_ONLY),
    }
)
