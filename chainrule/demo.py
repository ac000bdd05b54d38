"""A look at learning, from the outside: a client over HTTP that posts jobs, watches them, and asks what they learnt."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from chainrule import digits
from chainrule.service import service
from core.jobs.examples import DOUBLING
from core.settings import Settings

DIGITS = {
    "name": "digits",
    "architecture": {
        "layers": [
            {"type": "dense", "units": 256, "activation": "relu"},
            {"type": "dropout", "rate": 0.3},
            {"type": "dense", "units": 10},
        ]
    },
    "loss": {"type": "cross_entropy"},
    "optimizer": {"type": "adam", "learning_rate": 0.001},
    "training": {"epochs": 30, "batch_size": 32, "seed": 8},
}
ENOUGH = 0.97
"""The share of held-out digits that has to be read rightly."""


class Disappointed(Exception):
    """The service did not do what the demo shows."""


def demonstrate(settings: Settings, url: str | None = None) -> None:
    """Show both parts on the terminal; raises `Disappointed` where a result is not as it should be."""
    console = Console(highlight=False)
    with service(settings, url, console) as client:
        learn_doubling(client, console)
        learn_digits(client, console)


def learn_doubling(client: httpx.Client, console: Console) -> None:
    """Part 1: find the 2 in y = 2x from five examples."""
    console.rule("[bold]1. y = 2x")
    costs: dict[int, float] = {}
    job = _post(client, DOUBLING)
    steps = DOUBLING["training"]["epochs"]
    with _bar(console) as bar:
        task = bar.add_task("learning", total=steps, told="")
        for row in _rows(client, job):
            if row["name"] == "loss":
                costs[row["step"]] = row["value"]
                bar.update(task, completed=row["step"], told=f"cost {row['value']:.6f}")
    _require_success(client, job)
    for step in range(0, 100, 10):
        console.print(f"Cost after iteration {step}: {costs[step + 1]:f}")
    (answer,) = _predict(client, job, [[6]])
    console.print(f"[bold]6 → {answer['value']:.2f}")
    if round(answer["value"], 2) != 12:
        raise Disappointed(f"6 → {answer['value']}: it should be 12")


def learn_digits(client: httpx.Client, console: Console) -> None:
    """Part 2: read handwritten digits that were not in the training data."""
    console.rule("[bold]2. handwritten digits")
    found = digits.load()
    if found is None:
        console.print("This part needs scikit-learn for its pictures: pip install scikit-learn")
        return
    learn, keep = found
    dataset = _upload(client, learn)
    console.print(
        f"Uploaded {dataset['rows']} digits of 8 × 8 points as CSV; {len(keep)} more are held back", style="dim"
    )
    data = {
        "type": "dataset",
        "id": dataset["id"],
        "target": digits.LABEL,
        "scaling": "none",
        "validation": {"fraction": 0.1},
    }
    job = _post(client, DIGITS | {"data": data})
    _watch(client, job, console)
    _require_success(client, job)
    read = [answer["label"] for answer in _predict(client, job, [digit.pixels for digit in keep])]
    right = sum(label == digit.label for label, digit in zip(read, keep, strict=True)) / len(keep)
    console.print(digits.drawn(keep[:4], read[:4]))
    console.print(f"[bold]{right:.1%} of {len(keep)} held-out digits read rightly")
    if right < ENOUGH:
        raise Disappointed(f"{right:.1%} of the held-out digits were read rightly: {ENOUGH:.0%} are expected")


def _watch(client: httpx.Client, job: str, console: Console) -> None:
    """Show loss and accuracy while it learns."""
    seen: dict[str, float] = {}
    with _bar(console) as bar:
        task = bar.add_task("learning", total=DIGITS["training"]["epochs"], told="")  # type: ignore[index]  # as above
        for row in _rows(client, job):
            seen[row["name"]] = row["value"]
            told = f"loss {seen.get('loss', 0):.4f}  accuracy {seen.get('accuracy', 0):.1%}"
            epoch_ended = row["name"] == "accuracy"
            bar.update(task, told=told, completed=row["epoch"] if epoch_ended else None)


def _bar(console: Console) -> Progress:
    words = TextColumn("{task.description}")
    return Progress(words, BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"), console=console)


def _post(client: httpx.Client, spec: dict[str, Any]) -> str:
    return str(_checked(client.post("/v1/jobs", json=spec)).json()["id"])


def _upload(client: httpx.Client, learn: list[digits.Digit]) -> dict[str, Any]:
    parameters = {"name": "digits", "types": json.dumps({digits.LABEL: "category"})}
    body = digits.as_csv(learn)
    answer = client.post("/v1/datasets", params=parameters, content=body, headers={"Content-Type": "text/csv"})
    return dict(_checked(answer).json())


def _rows(client: httpx.Client, job: str) -> Iterator[dict[str, Any]]:
    """The metric rows of a job as they come, until it ends."""
    headers = {"Accept": "application/jsonl"}
    with client.stream("GET", f"/v1/jobs/{job}/events", headers=headers, timeout=httpx.Timeout(30, read=None)) as lines:
        _checked(lines)
        for line in lines.iter_lines():
            row = json.loads(line) if line else {}
            if row.get("event") == "metric" and row["value"] is not None:
                yield row


def _require_success(client: httpx.Client, job: str) -> None:
    row = _checked(client.get(f"/v1/jobs/{job}")).json()
    if row["status"] != "succeeded":
        raise Disappointed(f"the job is {row['status']}: {row['error']}")


def _predict(client: httpx.Client, job: str, instances: list[Any]) -> list[dict[str, Any]]:
    answer = _checked(client.post(f"/v1/jobs/{job}/predictions", json={"instances": instances}))
    return list(answer.json()["predictions"])


def _checked(answer: httpx.Response) -> httpx.Response:
    """The answer, or what its problem says."""
    if answer.is_success:
        return answer
    answer.read()
    raise Disappointed(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
