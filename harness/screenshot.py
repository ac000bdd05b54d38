"""`python -m harness.screenshot docs/dashboard.png`: take the picture of the dashboard for the README."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import httpx
import typer
from playwright.sync_api import sync_playwright

from harness.processes import service

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
DEADLINE_SECONDS = 60.0
MOONS: dict[str, Any] = {
    "name": "two moons",
    "data": {"type": "builtin", "name": "moons", "rows": 800, "noise": 0.1, "validation": {"fraction": 0.25}},
    "architecture": {
        "layers": [
            {"type": "dense", "units": 16, "activation": "relu"},
            {"type": "dense", "units": 16, "activation": "relu"},
            {"type": "dense", "units": 1},
        ]
    },
    "optimizer": {"type": "adam", "learning_rate": 0.01},
    "training": {"epochs": 40, "batch_size": 100, "seed": 7},
}


def main(picture: Annotated[Path, typer.Argument()] = Path("docs/dashboard.png")) -> None:
    """Train two moons on a service of its own, ask for a prediction, and take the picture."""
    with TemporaryDirectory() as folder, service(Path(folder)) as running, sync_playwright() as playwright:
        running.until(lambda: httpx.get(f"{running.url}/health/ready").is_success, "the API is ready")
        job = train(running.url)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.goto(f"{running.url}/#/jobs/{job}")
        page.wait_for_selector("canvas")
        page.fill("#instances", "[[0.0, 1.0], [1.0, -0.5]]")
        page.click("text=Predict")
        page.wait_for_load_state("networkidle")
        page.screenshot(path=picture)
        browser.close()


def train(url: str) -> str:
    """Post the job, wait for its end, return its id."""
    job = str(httpx.post(f"{url}/v1/jobs", json=MOONS).raise_for_status().json()["id"])
    deadline = time.monotonic() + DEADLINE_SECONDS
    while httpx.get(f"{url}/v1/jobs/{job}").json()["status"] in {"queued", "running"}:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{job} has not ended after {DEADLINE_SECONDS:.0f} s")
        time.sleep(0.1)
    return job


if __name__ == "__main__":
    typer.run(main)
