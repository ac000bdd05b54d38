"""Train on texts over HTTP: the names of Unicode's characters, and the kind of character that each name has.

Start the service with `make up`, then run `python docs/examples/language.py`.
"""

import csv
import io
import json
import random
import sys
import time
import unicodedata
import urllib.request
from typing import Any

URL = "http://127.0.0.1:8000/v1"
KINDS = {"Lu": "capital letter", "Ll": "small letter", "Mn": "mark", "Nd": "digit", "Sm": "mathematics", "So": "symbol"}
LAYERS = [
    {"type": "embedding", "input_dim": 3000, "output_dim": 32},
    {"type": "dropout", "rate": 0.2},
    {"type": "conv1d", "filters": 64, "kernel_size": 3, "padding": "same", "activation": "relu"},
    {"type": "global_max_pooling1d"},
    {"type": "dropout", "rate": 0.3},
    {"type": "dense", "units": len(KINDS)},
]


def call(path: str, body: bytes | None = None, media_type: str = "application/json") -> Any:
    """Return the JSON answer to a GET, or to a POST of a body."""
    request = urllib.request.Request(f"{URL}{path}", body, {"Content-Type": media_type})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def table(most: int) -> bytes:
    """Return a CSV table of names and their kinds, at most so many rows of each kind."""
    named = [(unicodedata.name(chr(code), ""), unicodedata.category(chr(code))) for code in range(0x20000)]
    random.Random(1).shuffle(named)  # noqa: S311 - only an order
    file = io.StringIO()
    csv.writer(file).writerow(["text", "kind"])
    for category, kind in KINDS.items():
        rows = [(name.lower(), kind) for name, found in named if name and found == category][:most]
        csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def train(names: bytes, epochs: int) -> Any:
    """Upload the table, train on it, and return the job at its end."""
    dataset = call("/datasets", names, "text/csv")
    data = {
        "type": "dataset",
        "id": dataset["id"],
        "features": [{"column": "text", "encoder": {"type": "words", "length": 10, "vocabulary": 3000}}],
        "target": "kind",
        "split": {"type": "fraction", "validation": 0.1, "test": 0.2},
    }
    training = {"epochs": epochs, "seed": 1, "metrics": ["accuracy"]}
    spec = {"name": "kinds of characters", "data": data, "architecture": {"layers": LAYERS}, "training": training}
    job = call("/jobs", json.dumps({**spec, "optimizer": {"type": "adam", "learning_rate": 0.003}}).encode())
    while job["status"] in ("queued", "running"):
        done = job["progress"]["fraction"] or 0
        sys.stdout.write(f"\r{done:4.0%} {'#' * int(50 * done)}")
        time.sleep(0.5)
        job = call(f"/jobs/{job['id']}")
    return job


if __name__ == "__main__":
    job = train(table(1000), epochs=15)
    sys.stdout.write(f"\n{job['status']}: accuracy {job['latest']['test_accuracy']:.1%} on names never seen\n")
    instances = [{"text": "latin capital letter q with long tail"}]
    answer = call(f"/jobs/{job['id']}/predictions", json.dumps({"instances": instances}).encode())
    sys.stdout.write(f"{instances[0]['text']}: {answer['predictions'][0]['label']}\n")
