"""A client that watches a job throughout its round and records every answer that cannot be true."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from core.jobs.states import ACTIVE, TERMINAL, TRANSITIONS, Status

POLL_SECONDS = 0.02
"""Seconds between two requests."""
SLACK_SECONDS = 4.0
"""Seconds by which the lease collector may be late on a busy machine."""


@dataclass
class Watcher:
    """A thread that requests the job every 20 ms, and one that reads its event stream.

    Attributes
    ----------
    violations
        Descriptions of answers that cannot be true.
    latest
        The latest answer.
    """

    url: str
    job_id: str
    lease_seconds: float | None
    """Seconds without a heartbeat that are allowed; None if the clock is not trusted."""
    violations: list[str] = field(default_factory=list)
    latest: Mapping[str, Any] = field(default_factory=dict)
    answers: int = 0
    last_seq: int = 0
    reconnects: int = 0
    stream_ended: bool = False

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._threads = [threading.Thread(target=act, daemon=True) for act in (self._poll, self._read_stream)]
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Read the stream to its end, request the job once more, and stop."""
        self._threads[1].join(timeout_seconds)
        if not self.stream_ended:
            self.violations.append(f"the stream did not end after {self.last_seq} events")
        self._over.set()
        for thread in self._threads:
            thread.join(timeout_seconds)

    @property
    def ended(self) -> bool:
        """True if the latest answer is terminal."""
        return self.latest.get("status") in TERMINAL

    def _poll(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._over.wait(POLL_SECONDS):
                try:
                    answer = client.get(f"{self.url}/v1/jobs/{self.job_id}")
                except httpx.HTTPError:
                    continue
                if answer.status_code == 200:
                    self._check(answer.json())
                elif answer.status_code != 503:
                    self.violations.append(f"a GET was answered with {answer.status_code}: {answer.text[:300]}")

    def _check(self, now: Mapping[str, Any]) -> None:
        before, self.latest = self.latest, now
        self.answers += 1
        history = [(change["status"], change["at"]) for change in now["transitions"]]
        earlier = [(change["status"], change["at"]) for change in before.get("transitions", [])]
        if history[: len(earlier)] != earlier:
            self.violations.append(f"transitions changed: {earlier} became {history}")
        steps = zip([status for status, _ in history], [status for status, _ in history[1:]], strict=False)
        for one, other in steps if len(history) != len(earlier) else ():
            if one != other and Status(other) not in TRANSITIONS[Status(one)]:
                self.violations.append(f"forbidden transition from {one} to {other}")
        if history[-1][0] != now["status"]:
            self.violations.append(f"the status is {now['status']}, but the last transition is to {history[-1][0]}")
        if before and before["status"] in TERMINAL and _settled(before) != _settled(now):
            self.violations.append(f"the job changed after its end: {_settled(before)} became {_settled(now)}")
        if self.lease_seconds and now["status"] in ACTIVE and (age := _age(now)) > self.lease_seconds + SLACK_SECONDS:
            self.violations.append(f"the status is {now['status']}, but the last heartbeat was {age:.1f} s ago")

    def _read_stream(self) -> None:
        """Read the stream, and after each interruption reconnect after the last received event."""
        while not self._over.is_set() and not self.stream_ended:
            headers = {"Last-Event-ID": str(self.last_seq)} if self.last_seq else {}
            try:
                with httpx.stream(
                    "GET", f"{self.url}/v1/jobs/{self.job_id}/events", headers=headers, timeout=20
                ) as answer:
                    if answer.status_code == 204:
                        self.stream_ended = True
                    elif answer.status_code == 200:
                        for line in answer.iter_lines():
                            if line.startswith("data:"):
                                self._check_event(json.loads(line[5:]))
            except httpx.HTTPError:
                pass
            self.reconnects += 1
            self._over.wait(POLL_SECONDS)

    def _check_event(self, event: Mapping[str, Any]) -> None:
        if event["seq"] != self.last_seq + 1:
            self.violations.append(f"event {event['seq']} came after event {self.last_seq}")
        self.last_seq = event["seq"]
        if event["event"] == "status" and event["status"] in TERMINAL:
            self.stream_ended = True


def _settled(job: Mapping[str, Any]) -> tuple[object, ...]:
    return (job["status"], job["stop_reason"], job["weights_sha256"], job["ended_at"], len(job["transitions"]))


def _age(job: Mapping[str, Any]) -> float:
    return time.time() - datetime.fromisoformat(job["heartbeat_at"]).timestamp()
