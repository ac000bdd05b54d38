"""The table of transitions is whole, and says what the states are named for."""

import pytest

from core.jobs.states import ACTIVE, TERMINAL, TRANSITIONS, Status, mermaid, sources


def test_every_state_has_its_row() -> None:
    assert set(TRANSITIONS) == set(Status)


def test_terminal_states_are_those_that_nothing_follows() -> None:
    assert {status for status in Status if not TRANSITIONS[status]} == TERMINAL


@pytest.mark.parametrize("status", Status)
def test_every_state_is_reached_and_can_end(status: Status) -> None:
    assert status in _reachable(Status.QUEUED)
    assert _reachable(status) & TERMINAL


@pytest.mark.parametrize("status", sorted(ACTIVE))
def test_only_an_active_job_comes_from_a_claim(status: Status) -> None:
    assert not TRANSITIONS[Status.QUEUED] & (ACTIVE - {Status.RUNNING})
    assert status in _reachable(Status.RUNNING)


def test_only_a_worker_lets_a_job_succeed() -> None:
    assert sources(Status.SUCCEEDED) == ACTIVE == sources(Status.FAILED)


def test_the_drawing_shows_each_way_once() -> None:
    lines = [line.strip() for line in mermaid().splitlines()]
    assert lines[0] == "stateDiagram-v2"
    ways = {f"{a} --> {b}" for a, following in TRANSITIONS.items() for b in following}
    ends = {f"{status} --> [*]" for status in TERMINAL}
    assert sorted(lines[1:]) == sorted(ways | ends | {"[*] --> queued"})


def _reachable(start: Status) -> set[Status]:
    found: set[Status] = set()
    waiting = [start]
    while waiting:
        status = waiting.pop()
        if status not in found:
            found.add(status)
            waiting.extend(TRANSITIONS[status])
    return found
