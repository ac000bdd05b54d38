import os
import time
from pathlib import Path

from worker.liveness import ABANDONED, STALE, LivenessFile, alive


def test_a_beating_worker_is_alive_and_one_that_stopped_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "workers"
    assert not alive(folder)
    pulse = LivenessFile(folder)
    assert not alive(folder)
    pulse.beat()
    assert alive(folder)
    pulse.stop()
    assert not alive(folder)


def test_a_hung_worker_is_not_alive(tmp_path: Path) -> None:
    LivenessFile(tmp_path).beat()
    (file,) = tmp_path.iterdir()
    long_ago = time.time() - STALE - 1
    os.utime(file, (long_ago, long_ago))
    assert not alive(tmp_path)


def test_another_machines_worker_says_nothing_about_this_one(tmp_path: Path) -> None:
    (tmp_path / "elsewhere-1").touch()
    assert not alive(tmp_path)


def test_what_killed_workers_left_goes_when_another_starts(tmp_path: Path) -> None:
    left, hung = tmp_path / "container-1", tmp_path / "container-2"
    for file, seconds in ((left, ABANDONED + 60), (hung, ABANDONED - 60)):
        file.touch()
        os.utime(file, (time.time() - seconds,) * 2)
    LivenessFile(tmp_path).beat()
    assert (left.exists(), hung.exists(), alive(tmp_path)) == (False, True, True)
