"""Draw the loss of y = 2x as a running service stored it: the picture in the quickstart.

`python -m benchmarks.draw_loss http://127.0.0.1:8000 docs/loss.svg` posts the job, waits for its end and writes the
file.
"""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import httpx
import typer

from benchmarks.panels import Axis, Point, panel, picture
from core.jobs.examples import DOUBLING

DEADLINE_SECONDS = 60.0


def main(
    service: Annotated[str, typer.Argument()] = "http://127.0.0.1:8000",
    picture: Annotated[Path, typer.Argument()] = Path("docs/loss.svg"),
) -> None:
    """Train y = 2x on this service and write the picture of its loss."""
    with httpx.Client(base_url=service) as client:
        rows = train(client)
    picture.write_text(draw(rows), encoding="utf-8")
    print(f"{picture}: {len(rows)} rows, the loss from {rows[0][1]:.4g} to {rows[-1][1]:.2g}")


def train(client: httpx.Client) -> list[Point]:
    """Train and return `(step, loss)` of every step."""
    posted = client.post("/v1/jobs", json=DOUBLING).raise_for_status()
    job = f"/v1/jobs/{posted.json()['id']}"
    deadline = time.monotonic() + DEADLINE_SECONDS
    while client.get(job).raise_for_status().json()["status"] in {"queued", "running"}:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{job} has not ended after {DEADLINE_SECONDS:.0f} s: is a worker running?")
        time.sleep(0.1)
    rows = client.get(f"{job}/metrics", params={"name": "loss", "split": "train", "limit": 1000}).raise_for_status()
    return sorted({row["step"]: row["value"] for row in rows.json()["items"]}.items())


def draw(rows: Sequence[Point]) -> str:
    """Return both panels as SVG."""
    last, most = rows[-1][0], max(loss for _, loss in rows)
    least = math.floor(math.log10(min(loss for _, loss in rows if loss > 0)))
    top = math.ceil(most / 10) * 10
    highest = math.ceil(math.log10(most))
    powers = [10.0**power for power in range(highest, least - 1, -max(1, (highest - least) // 5))]
    steps = Axis(0, last, [round(last * part / 4) for part in range(5)])
    linear = panel("Loss by step", {"": rows}, steps, Axis(0, top, [top * part / 5 for part in range(6)]))
    log = panel(
        "the same, on a logarithmic scale",
        {"": [row for row in rows if row[1] > 0]},
        steps,
        Axis(10.0**least, 10.0**highest, powers, logarithmic=True),
    )
    label = f"The loss of y = 2x falls from {rows[0][1]:.3g} to {rows[-1][1]:.1g} in {last:.0f} steps"
    return picture(label, [linear, log])


if __name__ == "__main__":
    typer.run(main)
