"""Bodies in memory and on disk."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from api.http.spool import MEMORY_BYTES, Body
from harness.processes import ROOT

CHUNK = bytes(range(256)) * 1024


@pytest.mark.parametrize("chunks", [0, 1, 3])
def test_small_body_stays_in_memory(tmp_path: Path, chunks: int) -> None:
    body = filled(tmp_path, chunks)
    assert (body.size, body.read()) == (len(CHUNK) * chunks, CHUNK * chunks)
    assert pickle.loads(pickle.dumps(body)).read() == body.read()


def test_body_of_the_limit_stays_in_memory_and_a_larger_one_does_not(tmp_path: Path) -> None:
    body = Body(tmp_path)
    assert body.fits_in_memory(bytes(MEMORY_BYTES))
    assert not body.fits_in_memory(bytes(MEMORY_BYTES + 1))


PROGRAM = """
import pickle, sys
body = pickle.load(sys.stdin.buffer)
sys.stdout.buffer.write(body.size.to_bytes(8, "big") + body.read())
"""


def test_large_body_is_a_file_without_a_name_that_other_processes_read(tmp_path: Path) -> None:
    body = filled(tmp_path, 9)
    pickled = pickle.dumps(body)
    assert len(pickled) < 1000
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", PROGRAM], input=pickled, capture_output=True, cwd=ROOT, check=True)
        assert done.stdout == len(CHUNK * 9).to_bytes(8, "big") + CHUNK * 9
        assert body.read() == CHUNK * 9
    assert list(tmp_path.iterdir()) == []
    body.close()
    with pytest.raises(FileNotFoundError):
        pickle.loads(pickled).read()


def test_body_makes_its_folder(tmp_path: Path) -> None:
    body = filled(tmp_path / "data", 9)
    assert body.read() == CHUNK * 9
    body.close()


def filled(folder: Path, chunks: int) -> Body:
    """Return a body of this many chunks."""
    body = Body(folder)
    for _ in range(chunks):
        body.append(CHUNK)
    return body
