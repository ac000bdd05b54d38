"""The scripts of docs/examples, in a short form: fewer epochs, and a test client instead of a server."""

import importlib.util
import json
from types import ModuleType
from typing import Any

import pytest

from harness.processes import ROOT
from tests.api.conftest import Api
from tests.core.data.files.media import recording, tone


def script(name: str, api: Api, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a script as a module that calls this API, and trains each job as soon as it is created."""
    found = importlib.util.spec_from_file_location(name, ROOT / "docs" / "examples" / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)

    def call(path: str, body: bytes | None = None, media_type: str = "application/json") -> Any:
        headers = {"Content-Type": media_type}
        method = "GET" if body is None else "POST"
        answer = api.client.request(method, f"/v1{path}", content=body, headers=headers).raise_for_status().json()
        if path == "/jobs":
            api.train()
            return api.job(answer["id"])
        return answer

    monkeypatch.setattr(module, "call", call)
    return module


def test_pictures(embedded: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    example = script("pictures", embedded, monkeypatch)
    files = example.png_files()
    job = example.train(example.zipped(files), epochs=4)
    assert job["status"] == "succeeded"
    assert job["latest"]["test_accuracy"] > 0.9
    answer = example.call(f"/jobs/{job['id']}/predictions", files["digits/3/3.png"], "image/png")
    assert answer["predictions"][0]["label"] == "3"


def test_speech(embedded: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    example = script("speech", embedded, monkeypatch)

    def tone_of(word: str, _voice: str, pitch: int, _rng: Any) -> bytes:
        """Stand in for espeak-ng: a tone for each word."""
        return recording(tone(300 * (1 + example.WORDS.index(word)) + pitch, 0.3))

    monkeypatch.setattr(example, "said", tone_of)
    job = example.train(example.archive_of(example.VOICES[:8], (0, 5)), epochs=20)
    assert job["status"] == "succeeded"
    assert job["latest"]["test_accuracy"] > 0.9
    answer = example.call(f"/jobs/{job['id']}/predictions", tone_of("left", "", 2, None), "audio/wav")
    assert answer["predictions"][0]["label"] == "left"


def test_language(embedded: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    example = script("language", embedded, monkeypatch)
    job = example.train(example.table(300), epochs=8)
    assert job["status"] == "succeeded", job["error"]
    assert job["latest"]["test_accuracy"] > 0.9
    instances = [{"text": "latin capital letter q with long tail"}]
    answer = example.call(f"/jobs/{job['id']}/predictions", json.dumps({"instances": instances}).encode())
    assert answer["predictions"][0]["label"] == "capital letter"
