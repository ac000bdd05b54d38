"""Draws the loss of y = 2x as a running service stored it: the picture in the README.

`python -m benchmarks.draw_loss http://127.0.0.1:8000 docs/loss.svg` posts the job, waits for its end, writes the file.
"""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import httpx
import typer

SPEC: dict[str, Any] = {
    "name": "y = 2x",
    "data": {"type": "inline", "x": [[1], [2], [3], [4], [5]], "y": [[2], [4], [6], [8], [10]]},
    "architecture": {"layers": [{"type": "dense", "units": 1, "use_bias": False}]},
    "loss": {"type": "mean_squared_error"},
    "optimizer": {"type": "sgd", "learning_rate": 0.01},
    "training": {"epochs": 100, "batch_size": 5, "shuffle": False, "seed": 7},
}
DEADLINE_SECONDS = 60.0
WIDTH, HEIGHT, GAP, MARGIN = 360, 240, 72, 56  # of one panel, between the two, and around them
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #75808a }
  .title { font-weight: 600; font-size: 15px }
  .grid { stroke: #80808040 }
  .loss { fill: none; stroke: #0d9488; stroke-width: 2.5; stroke-linejoin: round }
"""  # colours that can be read on white and on black

Point: TypeAlias = tuple[float, float]


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
    """(step, loss) of every step, once the job has ended."""
    posted = client.post("/v1/jobs", json=SPEC).raise_for_status()
    job = f"/v1/jobs/{posted.json()['id']}"
    deadline = time.monotonic() + DEADLINE_SECONDS
    while client.get(job).raise_for_status().json()["status"] in {"queued", "running"}:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{job} has not ended after {DEADLINE_SECONDS:.0f} s: is a worker running?")
        time.sleep(0.1)
    rows = client.get(f"{job}/metrics", params={"name": "loss", "split": "train", "limit": 1000}).raise_for_status()
    return sorted({row["step"]: row["value"] for row in rows.json()["items"]}.items())


def draw(rows: Sequence[Point]) -> str:
    """Both panels as SVG."""
    last, most = rows[-1][0], max(loss for _, loss in rows)
    least = math.floor(math.log10(min(loss for _, loss in rows if loss > 0)))
    top = math.ceil(most / 10) * 10
    steps = [round(last * part / 4) for part in range(5)]
    highest = math.ceil(math.log10(most))
    powers = [10.0**power for power in range(highest, least - 1, -max(1, (highest - least) // 5))]
    linear = panel("Loss by step", rows, lambda loss: loss / top, [top * part / 5 for part in range(6)], steps)
    log = panel(
        "the same, on a logarithmic scale",
        [row for row in rows if row[1] > 0],
        lambda loss: (math.log10(loss) - least) / (highest - least),
        powers,
        steps,
    )
    width, height = 2 * (WIDTH + MARGIN) + GAP, HEIGHT + 2 * MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="The loss of y = 2x falls from {rows[0][1]:.3g} to {rows[-1][1]:.1g} in {last:.0f} steps">\n'
        f"<style>{STYLE}</style>\n"
        f'<g transform="translate({MARGIN} {MARGIN})">{linear}</g>\n'
        f'<g transform="translate({MARGIN + WIDTH + GAP} {MARGIN})">{log}</g>\n'
        "</svg>\n"
    )


def panel(
    title: str,
    rows: Sequence[Point],
    share: Callable[[float], float],
    losses: Sequence[float],
    steps: Sequence[float],
) -> str:
    """One curve with its grid; `share` says how far up (0 to 1) a loss stands."""

    def x(step: float) -> float:
        return round(WIDTH * step / steps[-1], 1)

    def y(loss: float) -> float:
        return round(HEIGHT * (1 - share(loss)), 1)

    parts = [f'<text class="title" y="-20">{title}</text>']
    parts += [f'<path class="grid" d="M0 {y(loss)}H{WIDTH}"/>' for loss in losses]
    parts += [f'<text x="-8" y="{y(loss) + 4}" text-anchor="end">{short(loss)}</text>' for loss in losses]
    parts += [f'<text x="{x(step)}" y="{HEIGHT + 22}" text-anchor="middle">{step:g}</text>' for step in steps]
    parts.append(f'<path class="loss" d="M{"L".join(f"{x(step)} {y(loss)}" for step, loss in rows)}"/>')
    return "\n".join(parts)


def short(loss: float) -> str:
    """`1e-7`, not `1e-07`."""
    return f"{loss:g}".replace("e-0", "e-")


if __name__ == "__main__":
    typer.run(main)
