"""Liveness files of workers."""

import os
import time
from pathlib import Path

from worker.liveness import ABANDONED_SECONDS, STALE_SECONDS, LivenessFile, alive


def test_worker_is_alive_between_its_first_touch_and_its_end(tmp_path: Path) -> None:
    folder = tmp_path / "workers"
    assert not alive(folder)
    file = LivenessFile(folder)
    assert not alive(folder)
    file.touch()
    assert alive(folder)
    file.remove()
    assert not alive(folder)


def test_hung_worker_is_not_alive(tmp_path: Path) -> None:
    LivenessFile(tmp_path).touch()
    (file,) = tmp_path.iterdir()
    long_ago = time.time() - STALE_SECONDS - 1
    os.utime(file, (long_ago, long_ago))
    assert not alive(tmp_path)


def test_worker_of_another_machine_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "elsewhere-1").touch()
    assert not alive(tmp_path)


def test_abandoned_files_are_removed_when_a_worker_starts(tmp_path: Path) -> None:
    left, hung = tmp_path / "container-1", tmp_path / "container-2"
    for file, seconds in ((left, ABANDONED_SECONDS + 60), (hung, ABANDONED_SECONDS - 60)):
        file.touch()
        os.utime(file, (time.time() - seconds,) * 2)
    LivenessFile(tmp_path).touch()
    assert (left.exists(), hung.exists(), alive(tmp_path)) == (False, True, True)
