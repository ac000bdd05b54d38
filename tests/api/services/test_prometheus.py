"""The metrics for Prometheus."""

from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from tests.api.conftest import Api


def read_metrics(client: TestClient) -> dict[tuple[str, ...], float]:
    """Return each sample by its name and label values."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_count_jobs_steps_and_requests(api: Api, client: TestClient) -> None:
    before = read_metrics(client)
    api.trained()
    queued = api.post()["id"]
    after = read_metrics(client)

    def increase(*key: str) -> float:
        return after[key] - before.get(key, 0)

    assert increase("chainrule_jobs", "succeeded") == 1
    assert increase("chainrule_queue_depth") == 1
    assert increase("chainrule_training_steps_total") == 100
    assert increase("chainrule_training_samples_total") == 500
    assert increase("chainrule_training_seconds_total") > 0
    assert increase("chainrule_request_seconds_count", "POST", "/v1/jobs", "201") == 2
    assert increase("chainrule_request_seconds_count", "GET", "/v1/jobs/{job_id}", "200") == 1
    assert after["chainrule_database_up",] == 1
    client.post(f"/v1/jobs/{queued}/cancel")


def test_unknown_paths_share_one_label(client: TestClient) -> None:
    for number in range(5):
        client.get(f"/nowhere/{number}")
    labels = {key for key in read_metrics(client) if key[0] == "chainrule_request_seconds_count"}
    assert not [key for key in labels if any("nowhere" in word for word in key)]
