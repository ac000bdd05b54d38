"""Train on speech over HTTP: ten words of many voices by espeak-ng, and a recording asked as it is.

Start the service with `make up`, then run `python docs/examples/speech.py`. It needs espeak-ng, NumPy and soundfile.
"""

import csv
import io
import json
import subprocess
import sys
import time
import urllib.request
import zipfile
from typing import Any

import numpy as np
import soundfile

URL = "http://127.0.0.1:8000/v1"
WORDS = ("yes", "no", "up", "down", "left", "right", "stop", "go", "on", "off")
VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5")
VOICES = tuple(f"{language}+{variant}" for language in ("en-us", "en-gb") for variant in VARIANTS)


def convolution(filters: int) -> list[dict[str, Any]]:
    """Return a convolution over five windows, normalized over the batch."""
    conv1d = {"type": "conv1d", "filters": filters, "kernel_size": 5, "padding": "same", "use_bias": False}
    return [conv1d, {"type": "batch_normalization"}, {"type": "activation", "activation": "relu"}]


LAYERS = [
    *convolution(64),
    {"type": "max_pooling1d"},
    *convolution(96),
    {"type": "max_pooling1d"},
    *convolution(128),
    {"type": "global_max_pooling1d"},
    {"type": "dropout", "rate": 0.4},
    {"type": "dense", "units": 10},
]


def call(path: str, body: bytes | None = None, media_type: str = "application/json") -> Any:
    """Return the JSON answer to a GET, or to a POST of a body."""
    request = urllib.request.Request(f"{URL}{path}", body, {"Content-Type": media_type})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def said(word: str, voice: str, pitch: int, rng: np.random.Generator) -> bytes:
    """Return a WAV file of a word, with noise and a random beginning."""
    command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(rng.integers(130, 190)), "--stdout", word]
    spoken = subprocess.run(command, capture_output=True, check=True).stdout  # noqa: S603 - our own words
    samples, rate = soundfile.read(io.BytesIO(spoken))
    samples = np.concatenate([np.zeros(rng.integers(0, rate // 10)), samples])
    file = io.BytesIO()
    soundfile.write(file, samples + rng.normal(0, 0.003, len(samples)), rate, format="WAV")
    return file.getvalue()


def archive_of(voices: tuple[str, ...], pitches: tuple[int, ...]) -> bytes:
    """Return a zip file of WAV files, and a table of their words and voices."""
    rng = np.random.default_rng(1)
    archive, table = io.BytesIO(), io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["name", "label", "voice"])
    with zipfile.ZipFile(archive, "w") as writer:
        for voice in voices:
            for word in WORDS:
                for pitch in pitches:
                    name = f"{voice}-{word}-{pitch}.wav"
                    writer.writestr(name, said(word, voice, pitch, rng))
                    rows.writerow([name, word, voice])
        writer.writestr("words.csv", table.getvalue())
    return archive.getvalue()


def train(archive: bytes, epochs: int) -> Any:
    """Upload the archive, train on it with whole voices held out, and return the job at its end."""
    dataset = call("/datasets", archive, "application/zip")
    encoder = {"type": "log_mel", "rate": 16_000, "seconds": 1, "bands": 40, "normalize": "standard"}
    spec = {
        "name": "words of voices",
        "data": {
            "type": "dataset",
            "id": dataset["id"],
            "features": [{"column": "file", "encoder": encoder}],
            "split": {"type": "group", "column": "voice", "validation": 0.1, "test": 0.25},
        },
        "architecture": {"layers": LAYERS},
        "optimizer": {"type": "adam", "learning_rate": 0.001},
        "training": {"epochs": epochs, "seed": 1, "metrics": ["accuracy"]},
    }
    job = call("/jobs", json.dumps(spec).encode())
    while job["status"] in ("queued", "running"):
        done = job["progress"]["fraction"] or 0
        sys.stdout.write(f"\r{done:4.0%} {'#' * int(50 * done)}")
        time.sleep(0.5)
        job = call(f"/jobs/{job['id']}")
    return job


if __name__ == "__main__":
    job = train(archive_of(VOICES, (30, 50, 70)), epochs=40)
    sys.stdout.write(f"\n{job['status']}: accuracy {job['latest']['test_accuracy']:.1%} on voices never heard\n")
    asked = said("left", "en-gb-scotland", 50, np.random.default_rng(2))
    answer = call(f"/jobs/{job['id']}/predictions", asked, "audio/wav")
    sys.stdout.write(f"It says {answer['predictions'][0]['label']}\n")
