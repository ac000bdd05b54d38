"""The supervisor of worker processes, which must not be copied into them by a fork in the middle of its work."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, sys, threading
from pathlib import Path
from core.queue.notifier import Notifier
from core.settings import Settings
from worker.pool import ChildExits
from worker.liveness import LivenessFile
from worker.supervisor import Supervisor

folder = Path(sys.argv[1])
talking, done, forked = threading.Event(), threading.Event(), threading.Event()

def send(self, producer, count):
    talking.set()
    done.wait(60)

def fork():
    child = os.fork() or os._exit(0)
    os.waitpid(child, 0)
    forked.set()

Notifier._send = send
supervisor = Supervisor(Settings(data_dir=folder), "here", ChildExits(), LivenessFile(folder / "workers"))
supervisor._notifier.notify()
assert talking.wait(60)
threading.Thread(target=fork).start()
print("during" if forked.wait(0.5) else "not during")
done.set()
print("after" if forked.wait(60) else "never")
"""


def test_fork_waits_while_the_notifier_talks_to_the_broker(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, tmp_path],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert result.stdout.splitlines() == ["not during", "after"], result.stderr
