"""Unique identifiers."""

import os
import time
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from core import ids
from core.ids import ALPHABET, is_id, new_id


def test_new_id_is_prefix_and_26_characters() -> None:
    prefix, unique = new_id("job").split("_")
    assert prefix == "job"
    assert len(unique) == 26
    assert set(unique) <= set(ALPHABET)


def test_ids_sort_by_creation_and_are_unique() -> None:
    ids_made = [new_id("job") for _ in range(5_000)]
    assert ids_made == sorted(set(ids_made))


def test_ids_sort_by_creation_when_the_clock_is_set_back() -> None:
    before = new_id("job")
    with patch.object(time, "time_ns", return_value=0):
        assert new_id("job") > before


def test_id_begins_with_the_time() -> None:
    milliseconds = 0
    for character in new_id("job").removeprefix("job_")[:10]:
        milliseconds = milliseconds << 5 | ALPHABET.index(character)
    assert abs(milliseconds / 1000 - time.time()) < 60


def test_forked_processes_make_different_ids() -> None:
    new_id("job")
    reader, writer = os.pipe()
    with patch.object(time, "time_ns", return_value=0):
        children = [_fork_and_write(writer) for _ in range(2)]
        for child in children:
            os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        ids_made = pipe.read().split()
    assert len(set(ids_made)) == 2


def _fork_and_write(writer: int) -> int:
    child = os.fork()
    if child == 0:
        os.write(writer, f"{new_id('job')} ".encode())
        os._exit(0)
    return child


def test_is_id_accepts_ids_of_its_prefix_only() -> None:
    assert is_id("job", new_id("job"))
    assert not is_id("ds", new_id("job"))


@given(st.text())
def test_is_id_rejects_other_text(text: str) -> None:
    assert not is_id("job", text)
    assert not is_id("job", new_id("job") + "\n")
    assert not is_id("job", "job_" + "z" * ids.LENGTH)  # over 128 bits
