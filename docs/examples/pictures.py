"""Train on pictures over HTTP: scikit-learn's digits as PNG files in folders, and a picture asked as it is.

Start the service with `make up`, then run `python docs/examples/pictures.py`. It needs scikit-learn and Pillow.
"""

import io
import json
import sys
import time
import urllib.request
import zipfile
from typing import Any

from PIL import Image
from sklearn.datasets import load_digits

URL = "http://127.0.0.1:8000/v1"
LAYERS = [
    {"type": "conv2d", "filters": 32, "kernel_size": 3, "padding": "same", "activation": "relu"},
    {"type": "conv2d", "filters": 32, "kernel_size": 3, "padding": "same", "activation": "relu"},
    {"type": "max_pooling2d"},
    {"type": "flatten"},
    {"type": "dropout", "rate": 0.4},
    {"type": "dense", "units": 10},
]


def call(path: str, body: bytes | None = None, media_type: str = "application/json") -> Any:
    """Return the JSON answer to a GET, or to a POST of a body."""
    request = urllib.request.Request(f"{URL}{path}", body, {"Content-Type": media_type})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def png_files() -> dict[str, bytes]:
    """Return a PNG file for each digit, in a folder of its name."""
    files = {}
    digits = load_digits()
    for row, (pixels, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        file = io.BytesIO()
        Image.fromarray((pixels * 255 / 16).astype("uint8")).save(file, "PNG")
        files[f"digits/{digit}/{row}.png"] = file.getvalue()
    return files


def zipped(files: dict[str, bytes]) -> bytes:
    """Return a zip file of files."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        for name, content in files.items():
            writer.writestr(name, content)
    return archive.getvalue()


def train(archive: bytes, epochs: int) -> Any:
    """Upload the archive, train on it, and return the job at its end."""
    dataset = call("/datasets", archive, "application/zip")
    split = {"type": "fraction", "validation": 0.1, "test": 0.2}
    spec = {
        "name": "digits from PNG files",
        "data": {"type": "dataset", "id": dataset["id"], "split": split},
        "architecture": {"layers": LAYERS},
        "optimizer": {"type": "adam", "learning_rate": 0.003},
        "training": {"epochs": epochs, "seed": 1, "metrics": ["accuracy"]},
    }
    job = call("/jobs", json.dumps(spec).encode())
    while job["status"] in ("queued", "running"):
        sys.stdout.write(
            f"\r{job['progress']['fraction'] or 0:4.0%} {'#' * int(50 * (job['progress']['fraction'] or 0))}"
        )
        time.sleep(0.5)
        job = call(f"/jobs/{job['id']}")
    return job


if __name__ == "__main__":
    files = png_files()
    job = train(zipped(files), epochs=30)
    sys.stdout.write(f"\n{job['status']}: accuracy {job['latest']['test_accuracy']:.1%} on digits never seen\n")
    name = "digits/3/3.png"
    answer = call(f"/jobs/{job['id']}/predictions", files[name], "image/png")
    sys.stdout.write(f"{name} is a {answer['predictions'][0]['label']}\n")
