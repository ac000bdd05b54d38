"""Looks at a job all through its round, as clients do, and writes down every answer that cannot be true."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from core.jobs.states import ACTIVE, TERMINAL, TRANSITIONS, Status

EVERY = 0.02
"""Seconds between two looks."""
SLACK = 4.0
"""Seconds that a sweep may be late, on a machine that does other things too."""


@dataclass
class Watch:
    """A client that asks every 20 ms how the job is, and one that listens to its stream.

    Attributes
    ----------
    lies
        Answers that cannot be true.
    newest
        The last answer.
    """

    url: str
    job_id: str
    lease: float | None
    """How long a worker may be silent, in seconds; none where clocks are not to be trusted."""
    lies: list[str] = field(default_factory=list)
    newest: Mapping[str, Any] = field(default_factory=dict)
    answers: int = 0
    last_seq: int = 0
    reconnects: int = 0
    heard_end: bool = False

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._threads = [threading.Thread(target=act, daemon=True) for act in (self._poll, self._listen)]
        for thread in self._threads:
            thread.start()

    def stop(self, patience: float) -> None:
        """Hear the stream to its end, ask once more, and stop."""
        self._threads[1].join(patience)
        if not self.heard_end:
            self.lies.append(f"the stream did not end after {self.last_seq} events")
        self._over.set()
        for thread in self._threads:
            thread.join(patience)

    @property
    def ended(self) -> bool:
        """Whether the job has been seen to have ended."""
        return self.newest.get("status") in TERMINAL

    def _poll(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._over.wait(EVERY):
                try:
                    answer = client.get(f"{self.url}/v1/jobs/{self.job_id}")
                except httpx.HTTPError:
                    continue
                if answer.status_code == 200:
                    self._check(answer.json())
                elif answer.status_code != 503:
                    self.lies.append(f"a look was answered by {answer.status_code}: {answer.text[:300]}")

    def _check(self, now: Mapping[str, Any]) -> None:
        before, self.newest = self.newest, now
        self.answers += 1
        story = [(change["status"], change["at"]) for change in now["transitions"]]
        told = [(change["status"], change["at"]) for change in before.get("transitions", [])]
        if story[: len(told)] != told:
            self.lies.append(f"history was changed: {told} became {story}")
        ways = zip([status for status, _ in story], [status for status, _ in story[1:]], strict=False)
        for one, other in ways if len(story) != len(told) else ():
            if one != other and Status(other) not in TRANSITIONS[Status(one)]:
                self.lies.append(f"no way leads from {one} to {other}")
        if story[-1][0] != now["status"]:
            self.lies.append(f"it says {now['status']}, and its story ends with {story[-1][0]}")
        if before and before["status"] in TERMINAL and _settled(before) != _settled(now):
            self.lies.append(f"it had ended, and changed: {_settled(before)} became {_settled(now)}")
        if self.lease and now["status"] in ACTIVE and (age := _age(now)) > self.lease + SLACK:
            self.lies.append(f"it says {now['status']}, and its worker was silent for {age:.1f} s")

    def _listen(self) -> None:
        """Listen, and after each break again from the last event that came."""
        while not self._over.is_set() and not self.heard_end:
            headers = {"Last-Event-ID": str(self.last_seq)} if self.last_seq else {}
            try:
                with httpx.stream(
                    "GET", f"{self.url}/v1/jobs/{self.job_id}/events", headers=headers, timeout=20
                ) as answer:
                    if answer.status_code == 204:
                        self.heard_end = True
                    elif answer.status_code == 200:
                        for line in answer.iter_lines():
                            if line.startswith("data:"):
                                self._hear(json.loads(line[5:]))
            except httpx.HTTPError:
                pass
            self.reconnects += 1
            self._over.wait(EVERY)

    def _hear(self, event: Mapping[str, Any]) -> None:
        if event["seq"] != self.last_seq + 1:
            self.lies.append(f"event {event['seq']} came after event {self.last_seq}")
        self.last_seq = event["seq"]
        if event["event"] == "status" and event["status"] in TERMINAL:
            self.heard_end = True


def _settled(job: Mapping[str, Any]) -> tuple[object, ...]:
    return (job["status"], job["stop_reason"], job["weights_sha256"], job["ended_at"], len(job["transitions"]))


def _age(job: Mapping[str, Any]) -> float:
    return time.time() - datetime.fromisoformat(job["heartbeat_at"]).timestamp()
