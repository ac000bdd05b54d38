"""A few faults of each kind, one round each, always the same: `make chaos` does all of it, many times."""

import json

import pytest

from core.data.prepare import signature
from core.jobs.resolve import resolve
from core.jobs.spec import JobSpec
from core.nn.execution.segments import shard_count
from harness.backends import missing
from harness.chaos.faults import FAULTS
from harness.chaos.faults.fault import EVERYWHERE
from harness.chaos.nets import HALVES, NETS
from harness.chaos.place import EMBEDDED, SERVERS
from harness.chaos.run import Chosen, run
from harness.chaos.servers import NoServer

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


def test_the_net_of_two_processes_is_divided() -> None:
    """Else a fault that kills a helper would find none."""
    spec = JobSpec.model_validate_json(json.dumps(NETS[HALVES]))
    known = signature(spec.data, None)
    network = resolve(spec, known).network
    assert shard_count(network, min(spec.training.batch_size, known.train_rows), 2) == 2
