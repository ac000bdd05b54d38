"""Every operation does what the OpenAPI document says, whatever a client sends: schemathesis, with all its checks."""

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema

from tests.api.conftest import Api

EXAMPLES = int(os.environ.get("CHAINRULE_TEST_CONTRACT_EXAMPLES", "8"))
"""Requests of each operation, and walks along the links; hundreds where one has the time."""
BOUNDED = settings(
    max_examples=EXAMPLES,
    stateful_step_count=6,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# A body can keep to its schema and still be one that cannot be trained: shapes that do not fit are told by 422.
CONFIG: dict[str, Any] = {
    "checks": {
        "positive_data_acceptance": {
            "expected-statuses": ["2xx", "401", "403", "404", "409", "415", "422", "429", "5xx"]
        }
    }
}


@pytest.fixture(scope="module")
def schema(embedded: Api) -> BaseSchema:
    return schemathesis.openapi.from_asgi(
        "/openapi.json",
        embedded.client.app,
        config=SchemathesisConfig.from_dict(CONFIG),
    )


def test_every_operation_answers_as_the_document_says(schema: BaseSchema) -> None:
    failures = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()

        @BOUNDED
        @given(case=operation.as_strategy())
        def holds(case: Any) -> None:
            case.call_and_validate()

        try:
            holds()
        except Exception as failure:
            failures.append(f"{operation.label}: {failure}")
    assert not failures, "\n".join(failures)


def test_what_is_made_can_be_asked_for_along_the_links(schema: BaseSchema) -> None:
    schema.as_state_machine().run(settings=BOUNDED)


def test_links_lead_from_a_job_to_all_its_routes(embedded: Api) -> None:
    document = embedded.client.get("/openapi.json").json()
    links = document["paths"]["/v1/jobs"]["post"]["responses"]["201"]["links"]
    of_jobs = {
        operation["operationId"]
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if "{job_id}" in path
    }
    assert set(links) == {link["operationId"] for link in links.values()} == of_jobs
