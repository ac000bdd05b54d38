"""One round of a few faults of each kind, always the same; `make chaos` runs all faults many times."""

import json

import pytest

from core.data.prepare import signature
from core.jobs.resolve import resolve
from core.jobs.spec import JobSpec
from core.nn.execution.segments import shard_count
from harness.backends import skip_or_fail
from harness.chaos.deployment import EMBEDDED, SERVERS
from harness.chaos.faults import FAULTS
from harness.chaos.faults.fault import ALL_KINDS
from harness.chaos.networks import NETWORKS, SPLIT
from harness.chaos.run import Selection, run
from harness.chaos.servers import NoServer

SEED = 7
SHORT = {
    EMBEDDED: ["kill-child", "kill-saved", "checkpoint-bit", "disk-checkpoint", "pause-resume", "kill-api-spec"],
    SERVERS: ["kill-saving", "commit-cut-end", "cancel", "redis-kill", "postgres-immediate", "spec-bit"],
}


@pytest.mark.parametrize("where", [EMBEDDED, SERVERS])
def test_faults_lose_no_job_and_cause_no_wrong_answer(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    selection = Selection(SHORT[where], [where], [0], SEED)
    try:
        rows = run(selection, print)
    except NoServer as error:
        skip_or_fail("postgres", error)
    assert {row.fault for row in rows} == set(SHORT[where])
    assert all(row.passed for row in rows), capsys.readouterr().out


def test_every_fault_has_its_own_description() -> None:
    assert len({fault.description for fault in FAULTS.values()}) == len(FAULTS)
    assert all(set(fault.where) <= set(ALL_KINDS) for fault in FAULTS.values())


def test_batches_of_the_split_network_are_split() -> None:
    """Otherwise there would be no shard process to kill."""
    spec = JobSpec.model_validate_json(json.dumps(NETWORKS[SPLIT]))
    known = signature(spec.data, None)
    network = resolve(spec, known).network
    assert shard_count(network, min(spec.training.batch_size, known.train_rows), 2) == 2
