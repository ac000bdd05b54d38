"""Clients that only use the service, in a process of their own so that the attacker's work does not delay them.

`python -m harness.load.bystanders PORT JOB PID` reads commands from standard input: `start` begins to record, `stop`
prints what was recorded as one line of JSON and ends. Needs the standard library only.
"""

# ruff: noqa: T201 - it reports to its parent

import json
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection, HTTPException
from math import ceil

from harness.load.memory import forget_peak, peak_megabytes, resident_megabytes, tree_megabytes

INTERVAL = 0.05
"""Seconds between two requests of a probe."""
SAMPLE_SECONDS = 0.1
"""Seconds between two samples of the API's memory."""
PATIENCE = 120.0
"""Seconds that a request may take."""


@dataclass
class Latency:
    """Quantiles of a probe's latencies, in milliseconds, and the number of its failed requests."""

    p50: float
    p99: float
    max: float
    failed: int

    @classmethod
    def of(cls, seconds: list[float], failed: int) -> "Latency":
        """Return the quantiles of these latencies in seconds (nearest rank: a share of them is at most as large)."""
        ordered = sorted(seconds) or [0.0]
        p50, p99 = (1000 * ordered[ceil(share * len(ordered)) - 1] for share in (0.5, 0.99))
        return cls(p50, p99, 1000 * ordered[-1], failed)


@dataclass
class Observations:
    """What the bystanders saw during an attack."""

    health: Latency
    job: Latency
    stream_gap: float
    """The longest time without an event of the running job, in seconds."""
    megabytes_before: float
    megabytes_peak: float

    @classmethod
    def from_json(cls, text: str) -> "Observations":
        """Return the observations that a process printed."""
        fields = json.loads(text)
        return cls(**fields | {name: Latency(**fields[name]) for name in ("health", "job")})


@dataclass
class Probe:
    """A client that sends one GET every `INTERVAL`. A latency counts from the time when the request was due."""

    port: int
    path: str
    latencies: list[float] = field(default_factory=list)
    failed: int = 0
    due: float = 0.0

    def run(self) -> None:
        """Send requests until the process ends."""
        self.due = time.monotonic()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        while True:
            time.sleep(max(0.0, self.due - time.monotonic()))
            try:
                connection.request("GET", self.path)
                answer = connection.getresponse()
                answer.read()
                self.failed += answer.status != 200
            except (OSError, HTTPException):
                self.failed += 1
                connection.close()
            self.latencies.append(time.monotonic() - self.due)
            self.due += INTERVAL

    def start(self) -> None:
        """Forget all requests so far."""
        self.latencies, self.failed = [], 0

    def stop(self) -> Latency:
        """Return the quantiles; requests that are due and not answered count with the time until now."""
        now, due, waiting = time.monotonic(), self.due, []
        while due < now:
            waiting.append(now - due)
            due += INTERVAL
        return Latency.of(self.latencies + waiting, self.failed)


@dataclass
class Listener:
    """A client that reads the event stream of the running job."""

    port: int
    job: str
    last: float = 0.0
    gap: float = 0.0

    def run(self) -> None:
        """Read until the process ends, connecting again if the connection breaks."""
        while True:
            connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            try:
                connection.request("GET", f"/v1/jobs/{self.job}/events")
                answer = connection.getresponse()
                while answer.readline():
                    self._note()
            except (OSError, HTTPException):
                time.sleep(INTERVAL)
            finally:
                connection.close()

    def _note(self) -> None:
        now = time.monotonic()
        self.gap, self.last = max(self.gap, now - self.last), now

    def start(self) -> None:
        """Forget all events so far."""
        self.gap, self.last = 0.0, time.monotonic()

    def stop(self) -> float:
        """Return the longest time without an event, until now."""
        return max(self.gap, time.monotonic() - self.last)


@dataclass
class Memory:
    """The API's memory, sampled."""

    pid: int
    before: float = 0.0
    peak: float = 0.0
    resident: float = 0.0
    """The resident set of the API's own process at the start."""

    def run(self) -> None:
        """Sample until the process ends."""
        while True:
            self.peak = max(self.peak, tree_megabytes(self.pid))
            time.sleep(SAMPLE_SECONDS)

    def start(self) -> None:
        """Forget all samples so far."""
        forget_peak(self.pid)
        self.before = self.peak = tree_megabytes(self.pid)
        self.resident = resident_megabytes(self.pid)

    def stop(self) -> float:
        """Return the peak: of the samples, or of the API's own process between two samples."""
        return max(self.peak, self.before + peak_megabytes(self.pid) - self.resident)


def main() -> None:
    """Run the bystanders and obey the commands."""
    port, job, pid = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    health, get, listener, memory = (
        Probe(port, "/health/live"),
        Probe(port, f"/v1/jobs/{job}"),
        Listener(port, job),
        Memory(pid),
    )
    for one in (health, get, listener, memory):
        threading.Thread(target=one.run, daemon=True).start()
    for line in sys.stdin:
        if line.strip() == "start":
            for one in (memory, listener, health, get):
                one.start()
        else:
            print(
                json.dumps(
                    asdict(Observations(health.stop(), get.stop(), listener.stop(), memory.before, memory.stop()))
                )
            )
            return


if __name__ == "__main__":
    main()
