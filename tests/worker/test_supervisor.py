"""The parent of the children that train: what it does beside them must not be copied into them half done."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, sys, threading
from pathlib import Path
from core.queue.notifier import Notifier
from core.settings import Settings
from worker.pool import LostChildren
from worker.liveness import LivenessFile
from worker.supervisor import Supervisor

folder = Path(sys.argv[1])
speaking, enough, forked = threading.Event(), threading.Event(), threading.Event()

def speak(self, producer, count):
    speaking.set()
    enough.wait(60)

def fork():
    child = os.fork() or os._exit(0)
    os.waitpid(child, 0)
    forked.set()

Notifier._send = speak
supervisor = Supervisor(Settings(data_dir=folder), "here", LostChildren(), LivenessFile(folder / "workers"))
supervisor._notifier.notify()
assert speaking.wait(60)
threading.Thread(target=fork).start()
print("beside it" if forked.wait(0.5) else "not beside it")
enough.set()
print("after it" if forked.wait(60) else "never")
"""


def test_no_child_is_forked_while_the_broker_is_spoken_with(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, tmp_path],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert told.stdout.splitlines() == ["not beside it", "after it"], told.stderr
