"""The outcome of each request, end and failure of a run."""

import pytest

from core.data.errors import InvalidData, InvalidFile
from core.jobs.states import TERMINAL, Request, Status, StopReason
from core.nn.losses.ctc import NoAlignment
from core.nn.training.options import Diverged
from core.store.errors import NoSuchDataset
from worker.run.errors import DamagedDataset
from worker.run.outcomes import (
    INTERRUPTIONS,
    MAX_ERROR_ROWS,
    REQUESTED,
    Outcome,
    apply_request,
    completed,
    diverged,
    failed,
    left_to_another_version,
    rows_exceeded,
)

PAUSED, REQUEUED = REQUESTED[Request.PAUSE], REQUESTED[Request.YIELD]
ENDED = completed("converged")


def test_every_request_has_an_outcome() -> None:
    assert set(REQUESTED) == set(Request)
    assert {request: outcome.status for request, outcome in REQUESTED.items()} == {
        Request.CANCEL: Status.CANCELLED,
        Request.PAUSE: Status.PAUSED,
        Request.YIELD: Status.QUEUED,
    }


@pytest.mark.parametrize("interruption", [PAUSED, REQUEUED])
@pytest.mark.parametrize("request_", Request)
def test_request_replaces_an_interruption(interruption: Outcome, request_: Request) -> None:
    assert interruption.status in INTERRUPTIONS
    assert apply_request(interruption, request_) is REQUESTED[request_]


@pytest.mark.parametrize("outcome", [ENDED, failed(ValueError("x")), REQUESTED[Request.CANCEL]])
@pytest.mark.parametrize("request_", Request)
def test_request_does_not_replace_an_end(outcome: Outcome, request_: Request) -> None:
    assert outcome.status in TERMINAL
    assert apply_request(outcome, request_) is outcome


def test_outcome_without_a_request_is_unchanged() -> None:
    assert apply_request(PAUSED, None) is PAUSED


@pytest.mark.parametrize("reason", ["epochs_completed", "converged", "early_stopped", "target_reached", "max_runtime"])
def test_completed_training_has_succeeded_with_its_reason(reason: str) -> None:
    outcome = completed(reason)
    assert (outcome.status, outcome.stop_reason, outcome.error) == (Status.SUCCEEDED, StopReason(reason), None)
    assert outcome.message == reason.replace("_", " ")


def test_divergence_names_layer_and_at_most_a_hundred_rows() -> None:
    fact = Diverged(7, 2, "the output of layer 1 (dense)", 3.5, path=("layers", 0), rows=tuple(range(200)))
    outcome = diverged(fact)
    assert (outcome.status, outcome.stop_reason) == (Status.FAILED, StopReason.DIVERGED)
    assert outcome.error is not None
    assert outcome.error["pointer"] == "/architecture/layers/0"
    assert outcome.error["rows"] == list(range(MAX_ERROR_ROWS))
    assert (outcome.error["step"], outcome.error["epoch"]) == (7, 2)


def test_divergence_of_the_loss_points_to_no_layer() -> None:
    error = diverged(Diverged(1, 1, "the loss or its gradient", 3.5)).error
    assert error is not None
    assert (error["pointer"], error["rows"]) == (None, [])


def test_exceeded_rows_name_the_limit() -> None:
    outcome = rows_exceeded(12_000)
    assert (outcome.status, outcome.error and outcome.error["limit"]) == (Status.FAILED, "rows")
    assert outcome.error is not None
    assert "12,000" in outcome.error["message"]


def test_unknown_version_leaves_the_job_in_the_queue() -> None:
    outcome = left_to_another_version(ValueError("format 9"))
    assert (outcome.status, outcome.error) == (Status.QUEUED, None)
    assert "format 9" in outcome.message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidData("/x/1", "is missing"), "invalid_data"),
        (InvalidFile("byte 1"), "invalid_data"),
        (NoAlignment([1]), "invalid_data"),
        (DamagedDataset("x"), "damaged_dataset"),
        (NoSuchDataset("x"), "unknown_dataset"),
        (MemoryError("malloc at 0x1"), "out_of_memory"),
        (OSError(28, "No space left", "/secret/path"), "storage_failed"),
        (FileNotFoundError(2, "No such file", "/secret/path"), "storage_failed"),
        (KeyError("/secret/path"), "internal_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_failure_has_its_code_and_no_internal_details(error: Exception, code: str) -> None:
    outcome = failed(error)
    assert (outcome.status, outcome.message) == (Status.FAILED, code.replace("_", " "))
    assert outcome.error is not None
    assert outcome.error["code"] == code
    assert "secret" not in outcome.error["message"]
    assert "0x1" not in outcome.error["message"]
