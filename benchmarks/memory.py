"""Resident memory of the process that trains y = 2x (the worker's child), as the kernel counts it."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.outcome import Outcome, at_most
from benchmarks.service import service
from core.jobs.examples import DOUBLING


def measure() -> Iterator[Outcome]:
    """Measure on the embedded service."""
    with service() as embedded, embedded.client() as client:
        job_id = client.post("/v1/jobs", DOUBLING)["id"]
        client.until_status(job_id, "succeeded")
        transitions = client.get(f"/v1/jobs/{job_id}")["transitions"]
        worker = next(one["actor"] for one in transitions if one["status"] == "running")
        pid = int(worker.split(":")[3])
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    peak, shared = (int(fields[name].split()[0]) / 1024 for name in ("VmHWM", "RssFile"))
    note = f"at its peak; {shared:.0f} MB of it are files that all processes share"
    yield at_most("resident memory of the process that trains y = 2x", peak, 150, "MB", note)
