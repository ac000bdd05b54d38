"""The demo: an HTTP client that posts two jobs, shows their progress, and asks for predictions."""

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
MIN_ACCURACY = 0.97
"""Fraction of held-out digits that must be classified correctly."""


class UnexpectedResult(Exception):
    """The service did not return what the demo expects."""


def demonstrate(settings: Settings, url: str | None = None) -> None:
    """Run both parts on the terminal. Raises `UnexpectedResult` if a result is not as expected."""
    console = Console(highlight=False)
    with service(settings, url, console) as client:
        train_doubling(client, console)
        train_digits(client, console)


def train_doubling(client: httpx.Client, console: Console) -> None:
    """Part 1: learn the 2 in y = 2x from five examples."""
    console.rule("[bold]1. y = 2x")
    costs: dict[int, float] = {}
    job = _post(client, DOUBLING)
    steps = DOUBLING["training"]["epochs"]
    with _bar(console) as bar:
        task = bar.add_task("training", total=steps, status="")
        for row in _rows(client, job):
            if row["name"] == "loss":
                costs[row["step"]] = row["value"]
                bar.update(task, completed=row["step"], status=f"cost {row['value']:.6f}")
    _require_success(client, job)
    for step in range(0, 100, 10):
        console.print(f"Cost after iteration {step}: {costs[step + 1]:f}")
    (answer,) = _predict(client, job, [[6]])
    console.print(f"[bold]6 → {answer['value']:.2f}")
    if round(answer["value"], 2) != 12:
        raise UnexpectedResult(f"6 → {answer['value']}, expected 12")


def train_digits(client: httpx.Client, console: Console) -> None:
    """Part 2: classify handwritten digits that were not in the training data."""
    console.rule("[bold]2. handwritten digits")
    found = digits.load()
    if found is None:
        console.print("This part needs scikit-learn for its images: pip install scikit-learn")
        return
    train, test = found
    dataset = _upload(client, train)
    console.print(
        f"Uploaded {dataset['rows']} digits of 8 × 8 pixels as CSV; {len(test)} more are held out", style="dim"
    )
    data = {
        "type": "dataset",
        "id": dataset["id"],
        "target": digits.LABEL,
        "scaling": "none",
        "validation": {"fraction": 0.1},
    }
    job = _post(client, DIGITS | {"data": data})
    _show_progress(client, job, console)
    _require_success(client, job)
    labels = [answer["label"] for answer in _predict(client, job, [digit.pixels for digit in test])]
    accuracy = sum(label == digit.label for label, digit in zip(labels, test, strict=True)) / len(test)
    console.print(digits.draw(test[:4], labels[:4]))
    console.print(f"[bold]{accuracy:.1%} of {len(test)} held-out digits classified correctly")
    if accuracy < MIN_ACCURACY:
        raise UnexpectedResult(f"accuracy on the held-out digits is {accuracy:.1%}, expected {MIN_ACCURACY:.0%}")


def _show_progress(client: httpx.Client, job: str, console: Console) -> None:
    """Show loss and accuracy during training."""
    latest: dict[str, float] = {}
    with _bar(console) as bar:
        task = bar.add_task("training", total=DIGITS["training"]["epochs"], status="")  # type: ignore[index]  # as above
        for row in _rows(client, job):
            latest[row["name"]] = row["value"]
            status = f"loss {latest.get('loss', 0):.4f}  accuracy {latest.get('accuracy', 0):.1%}"
            epoch_ended = row["name"] == "accuracy"
            bar.update(task, status=status, completed=row["epoch"] if epoch_ended else None)


def _bar(console: Console) -> Progress:
    description = TextColumn("{task.description}")
    return Progress(
        description, BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[status]}"), console=console
    )


def _post(client: httpx.Client, spec: dict[str, Any]) -> str:
    return str(_checked(client.post("/v1/jobs", json=spec)).json()["id"])


def _upload(client: httpx.Client, train: list[digits.Digit]) -> dict[str, Any]:
    parameters = {"name": "digits", "types": json.dumps({digits.LABEL: "category"})}
    body = digits.as_csv(train)
    answer = client.post("/v1/datasets", params=parameters, content=body, headers={"Content-Type": "text/csv"})
    return dict(_checked(answer).json())


def _rows(client: httpx.Client, job: str) -> Iterator[dict[str, Any]]:
    """Yield the metric rows of a job as they arrive, until it ends."""
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
        raise UnexpectedResult(f"the job is {row['status']}: {row['error']}")


def _predict(client: httpx.Client, job: str, instances: list[Any]) -> list[dict[str, Any]]:
    answer = _checked(client.post(f"/v1/jobs/{job}/predictions", json={"instances": instances}))
    return list(answer.json()["predictions"])


def _checked(answer: httpx.Response) -> httpx.Response:
    """Return a successful response; raise with the problem of any other."""
    if answer.is_success:
        return answer
    answer.read()
    raise UnexpectedResult(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
