"""A few faults of each kind, one round each, always the same: `make chaos` does all of it, many times."""

import pytest

from tests.backends import missing
from tests.chaos.faults import FAULTS
from tests.chaos.faults.fault import EVERYWHERE
from tests.chaos.place import EMBEDDED, SERVERS
from tests.chaos.run import Chosen, run
from tests.chaos.servers import NoServer

SEED = 7
SHORT = {
    EMBEDDED: ["kill-child", "kill-saved", "checkpoint-bit", "disk-checkpoint", "wishes"],
    SERVERS: ["kill-saving", "commit-cut-end", "cancel", "redis-kill", "postgres-immediate"],
}


@pytest.mark.parametrize("where", [EMBEDDED, SERVERS])
def test_no_job_is_lost_and_none_lies(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = Chosen(SHORT[where], [where], [0], SEED)
    try:
        rows = run(chosen, print)
    except NoServer as error:
        missing("postgres", error)
    assert {row.fault for row in rows} == set(SHORT[where])
    assert all(row.right for row in rows), capsys.readouterr().out


def test_every_fault_says_what_it_is() -> None:
    assert len({fault.words for fault in FAULTS.values()}) == len(FAULTS)
    assert all(set(fault.where) <= set(EVERYWHERE) for fault in FAULTS.values())
