"""Faults of the disk and of the files on it."""

import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from core.jobs.states import Status
from core.store import checkpoints
from harness.chaos.faults.fault import Fault
from harness.chaos.faults.uploads import learn_uploaded, upload
from harness.chaos.place import EMBEDDED, children
from harness.chaos.rounds import Round, send


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
    answer = upload(r)
    if answer is None or answer.status_code < 500:
        r.lies.append(f"an upload onto a full disk was answered by {answer and answer.status_code}")
    r.place.ballast.unlink()
    if left := set(blobs.glob("*.part")) - before:
        r.lies.append(f"an upload onto a full disk left {left}")
    learn_uploaded(r)


def damaged(harm: Callable[[Path], None], r: Round) -> None:
    """The newest checkpoint's file is harmed while the job is paused."""
    r.post()
    r.moment()
    r.ask("pause")
    job = r.until(lambda job: job.status is Status.PAUSED, "it is paused")
    if job.status is not Status.PAUSED:
        return
    with r.database.read() as s:
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


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "disk-checkpoint": Fault("disk full in a checkpoint", partial(disk_full, "worker before commit"), (EMBEDDED,)),
        "disk-upload": Fault("disk full in an upload", disk_full_in_upload, (EMBEDDED,)),
        "disk-sqlite": Fault("disk full in SQLite", disk_full_in_sqlite, (EMBEDDED,)),
        "checkpoint-short": Fault("checkpoint file cut short", partial(damaged, _cut_short)),
        "checkpoint-bit": Fault("checkpoint file with one bit turned", partial(damaged, _turn_a_bit)),
        "checkpoint-gone": Fault("checkpoint file removed", partial(damaged, Path.unlink)),
    }
)
