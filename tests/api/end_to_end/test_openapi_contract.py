"""Every operation conforms to the OpenAPI document for generated requests (schemathesis, with all its checks)."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema

from core.settings import Settings
from tests.api.conftest import Api, quiet, running

MAX_EXAMPLES = int(os.environ.get("CHAINRULE_TEST_CONTRACT_EXAMPLES", "8"))
"""Requests per operation, and walks along the links. Set hundreds for a thorough run."""
BOUNDED = settings(
    max_examples=MAX_EXAMPLES,
    stateful_step_count=6,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")  # the parts of an upload
CONFIG = Path(__file__).parents[1] / "schemathesis.toml"


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    """Start an API that answers for the host of Schemathesis' client."""
    settings = Settings(**quiet(tmp_path_factory.mktemp("contract"), allowed_hosts="testserver"))
    with running(settings) as api:
        yield schemathesis.openapi.from_asgi(
            "/openapi.json",
            api.client.app,
            config=SchemathesisConfig.from_path(CONFIG),
        )


def test_every_operation_conforms_to_the_document(schema: BaseSchema) -> None:
    failures = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()

        @BOUNDED
        @given(case=operation.as_strategy())
        def conforms(case: Any) -> None:
            case.call_and_validate()

        try:
            conforms()
        except Exception as failure:
            failures.append(f"{operation.label}: {failure}")
    assert not failures, "\n".join(failures)


def test_every_walk_along_the_links_conforms_to_the_document(schema: BaseSchema) -> None:
    schema.as_state_machine().run(settings=BOUNDED)


def test_links_of_a_created_job_lead_to_all_its_routes(embedded: Api) -> None:
    document = embedded.client.get("/openapi.json").json()
    links = document["paths"]["/v1/jobs"]["post"]["responses"]["201"]["links"]
    of_jobs = {
        operation["operationId"]
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if "{job_id}" in path
    }
    assert set(links) == {link["operationId"] for link in links.values()} == of_jobs
