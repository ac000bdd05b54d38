"""Recordings: an archive of tones in folders, log-mel energies, and a recording asked as it is."""

from typing import Any

import numpy as np
import pytest

from tests.api.conftest import Api
from tests.core.data.files.media import recording, tone, zipped

ENCODERS = [
    {"type": "log_mel", "rate": 8000, "bands": 16},
    {"type": "mfcc", "rate": 8000, "bands": 16, "coefficients": 8},
    {"type": "waveform", "rate": 4000, "normalize": "peak"},
]


def archive() -> bytes:
    rng = np.random.default_rng(0)
    tones = {"low": 300.0, "high": 900.0}
    files = {}
    for row in range(24):
        name = "high" if row % 2 else "low"
        samples = tone(tones[name] * rng.uniform(0.9, 1.1), 0.2) * rng.uniform(0.2, 1) + rng.normal(0, 0.01, 1600)
        files[f"tones/{name}/{row}.wav"] = recording(samples)
    return zipped(files)


def spec(dataset: str, encoder: Any) -> dict[str, Any]:
    layers = [
        {"type": "conv1d", "filters": 8, "kernel_size": 5, "activation": "relu"},
        {"type": "global_average_pooling1d"},
        {"type": "dense", "units": 2},
    ]
    return {
        "data": {
            "type": "dataset",
            "id": dataset,
            "features": [{"column": "file", "encoder": encoder}],
            "validation": {"fraction": 0.25, "stratify": True},
        },
        "architecture": {"layers": layers},
        "optimizer": {"type": "adam", "learning_rate": 0.03},
        "training": {"epochs": 30, "seed": 1, "metrics": ["accuracy"]},
    }


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda encoder: str(encoder["type"]))
def test_tones_are_learnt_and_asked_as_recordings(api: Api, encoder: dict[str, Any]) -> None:
    answer = api.client.post("/v1/datasets", content=archive(), headers={"Content-Type": "application/zip"})
    dataset = answer.raise_for_status().json()
    assert dataset["columns"][0]["type"] == "audio"
    assert dataset["columns"][0]["max"] == pytest.approx(0.2)
    job = api.trained(**spec(dataset["id"], encoder))
    assert (job["status"], job["error"]) == ("succeeded", None)
    path = f"/v1/jobs/{job['id']}/predictions"
    high = tone(880, 0.2, 16_000) + np.random.default_rng(1).normal(0, 0.014, 3200)
    asked = {
        "audio/wav": recording(np.stack([high * 1.5, high * 0.5], axis=1), 16_000),
        "audio/flac": recording(high, 16_000, "FLAC"),
        "audio/ogg": recording(high, 16_000, "OGG"),
    }
    for media_type, content in asked.items():
        answer = api.client.post(path, content=content, headers={"Content-Type": media_type}).raise_for_status()
        # The network of samples learns little, and OGG leaves out the noise that it does not hear.
        if encoder["type"] != "waveform" and media_type != "audio/ogg":
            assert answer.json()["predictions"][0]["label"] == "high"
    refused = api.client.post(path, content=b"no recording", headers={"Content-Type": "audio/wav"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/instances/0/0")
