"""Ids sort by the time of their making, and no two are the same."""

import os
import time
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from core import ids
from core.ids import ALPHABET, is_id, new_id


def test_an_id_is_its_prefix_and_26_characters() -> None:
    prefix, unique = new_id("job").split("_")
    assert prefix == "job"
    assert len(unique) == 26
    assert set(unique) <= set(ALPHABET)


def test_ids_sort_in_the_order_of_their_making() -> None:
    made = [new_id("job") for _ in range(5_000)]
    assert made == sorted(set(made))


def test_a_clock_set_back_does_not_disturb_the_order() -> None:
    before = new_id("job")
    with patch.object(time, "time_ns", return_value=0):
        assert new_id("job") > before


def test_the_time_stands_in_front() -> None:
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
        made = pipe.read().split()
    assert len(set(made)) == 2


def _fork_and_write(writer: int) -> int:
    child = os.fork()
    if child == 0:
        os.write(writer, f"{new_id('job')} ".encode())
        os._exit(0)
    return child


def test_is_id_knows_its_own() -> None:
    assert is_id("job", new_id("job"))
    assert not is_id("ds", new_id("job"))


@given(st.text())
def test_is_id_refuses_other_text(text: str) -> None:
    assert not is_id("job", text)
    assert not is_id("job", new_id("job") + "\n")
    assert not is_id("job", "job_" + "z" * ids.LENGTH)  # over 128 bits
