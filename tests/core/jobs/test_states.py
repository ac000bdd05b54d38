"""The table of transitions."""

import pytest

from core.jobs.states import ACTIVE, TERMINAL, TRANSITIONS, Status, mermaid, sources


def test_every_status_has_a_row() -> None:
    assert set(TRANSITIONS) == set(Status)


def test_terminal_statuses_have_no_transitions() -> None:
    assert {status for status in Status if not TRANSITIONS[status]} == TERMINAL


@pytest.mark.parametrize("status", Status)
def test_every_status_is_reachable_and_can_end(status: Status) -> None:
    assert status in _reachable(Status.QUEUED)
    assert _reachable(status) & TERMINAL


@pytest.mark.parametrize("status", sorted(ACTIVE))
def test_active_statuses_are_reached_through_running_only(status: Status) -> None:
    assert not TRANSITIONS[Status.QUEUED] & (ACTIVE - {Status.RUNNING})
    assert status in _reachable(Status.RUNNING)


def test_only_active_jobs_can_succeed_or_fail() -> None:
    assert sources(Status.SUCCEEDED) == ACTIVE == sources(Status.FAILED)


def test_mermaid_shows_each_transition_once() -> None:
    lines = [line.strip() for line in mermaid().splitlines()]
    assert lines[0] == "stateDiagram-v2"
    arrows = {f"{a} --> {b}" for a, following in TRANSITIONS.items() for b in following}
    ends = {f"{status} --> [*]" for status in TERMINAL}
    assert sorted(lines[1:]) == sorted(arrows | ends | {"[*] --> queued"})


def _reachable(start: Status) -> set[Status]:
    found: set[Status] = set()
    waiting = [start]
    while waiting:
        status = waiting.pop()
        if status not in found:
            found.add(status)
            waiting.extend(TRANSITIONS[status])
    return found
