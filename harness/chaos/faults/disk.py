"""Faults of the disk and its files."""

import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from core.jobs.outline import MAX_TEXT_BYTES
from core.jobs.states import Status
from core.store import checkpoints, jobs
from core.store.scope import EVERYTHING
from harness.chaos.deployment import EMBEDDED, children
from harness.chaos.faults.fault import Fault
from harness.chaos.faults.uploads import train_uploaded, upload
from harness.chaos.rounds import Round, send


def disk_full(point: str, r: Round) -> None:
    """Fill the disk from just before a checkpoint's file is complete until some time later."""
    r.local.arm(point, signal.SIGSTOP)
    r.post()
    r.until(lambda _: r.local.triggered(point), "a checkpoint is written")
    r.mark_fault()
    _fill(r)
    for pid in children(r.local.workers[0]):
        send(pid, signal.SIGCONT)
    r.wait_randomly(0.5)
    r.local.filler.unlink()
    r.allowed_ends["failed"] = "storage_failed"


def disk_full_in_sqlite(r: Round) -> None:
    r.post()
    r.wait_randomly()
    r.mark_fault()
    _fill(r)
    time.sleep(r.rng.uniform(0.2, 3.0))
    r.local.filler.unlink()
    r.allowed_ends["failed"] = "storage_failed"


def disk_full_in_upload(r: Round) -> None:
    blobs = r.local.settings.data_dir / "blobs"
    before = set(blobs.glob("*"))
    r.mark_fault()
    _fill(r)
    answer = upload(r)
    if answer is None or answer.status_code < 500:
        r.violations.append(f"an upload to a full disk was answered with {answer and answer.status_code}")
    r.local.filler.unlink()
    if left := set(blobs.glob("*.part")) - before:
        r.violations.append(f"an upload to a full disk left {left}")
    train_uploaded(r)


def damage_checkpoint(damage: Callable[[Path], None], r: Round) -> None:
    """Damage the newest checkpoint's file while the job is paused."""
    r.post()
    r.wait_randomly()
    r.request("pause")
    job = r.until(lambda job: job.status is Status.PAUSED, "it is paused")
    if job.status is not Status.PAUSED:
        return
    with r.database.read() as s:
        saved = checkpoints.latest(s, r.job_id)
    if saved is not None:
        damage(r.local.settings.data_dir / "blobs" / saved.sha256)
    r.mark_fault()
    r.request("resume")


def damage_spec(damage: Callable[[Path], None], r: Round) -> None:
    """Damage the file of a large spec while the job is paused: it fails and says so, with the rows it has."""
    r.post(min_bytes=MAX_TEXT_BYTES + 1)
    r.wait_randomly()
    r.request("pause")
    job = r.until(lambda job: job.status is Status.PAUSED, "it is paused")
    if job.status is not Status.PAUSED:
        return
    r.allowed_ends = {"failed": "damaged_spec"}
    with r.database.read() as s:
        spec = jobs.spec(s, EVERYTHING, r.job_id)
    damage(r.local.settings.data_dir / "blobs" / (spec.sha256 or ""))
    r.mark_fault()
    r.request("resume")


def _truncate(blob: Path) -> None:
    with blob.open("r+b") as file:
        file.truncate(blob.stat().st_size // 2)


def _flip_a_bit(blob: Path) -> None:
    data = bytearray(blob.read_bytes())
    data[len(data) // 3] ^= 4
    blob.write_bytes(data)


def _fill(r: Round) -> None:
    with r.local.filler.open("wb", buffering=0) as filler:
        try:
            for size in (2**20, 2**12):
                while True:
                    filler.write(b"\0" * size)
        except OSError:
            pass
        try:
            while True:
                filler.write(b"\0" * 4096)
        except OSError:
            pass


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "disk-checkpoint": Fault("disk full in a checkpoint", partial(disk_full, "worker before commit"), (EMBEDDED,)),
        "disk-upload": Fault("disk full in an upload", disk_full_in_upload, (EMBEDDED,)),
        "disk-sqlite": Fault("disk full in SQLite", disk_full_in_sqlite, (EMBEDDED,)),
        "checkpoint-short": Fault("checkpoint file truncated", partial(damage_checkpoint, _truncate)),
        "checkpoint-bit": Fault("checkpoint file with one flipped bit", partial(damage_checkpoint, _flip_a_bit)),
        "spec-bit": Fault("file of a large spec with one flipped bit", partial(damage_spec, _flip_a_bit)),
        "spec-gone": Fault("file of a large spec removed", partial(damage_spec, Path.unlink)),
        "checkpoint-gone": Fault("checkpoint file removed", partial(damage_checkpoint, Path.unlink)),
    }
)
