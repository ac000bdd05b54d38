"""A table that faults upload and train on."""

import httpx

from harness.chaos.rounds import Round, job_result

SPIRALS_CSV = "a,b,kind\n" + "".join(
    f"{(i * 37) % 101 / 50 - 1},{(i * 53) % 97 / 48 - 1},{'in' if ((i * 37) % 101 / 50 - 1) ** 2 < 0.4 else 'out'}\n"
    for i in range(400)
)


UPLOADED = {
    "architecture": {"layers": [{"type": "dense", "units": 16, "activation": "relu"}, {"type": "dense", "units": 1}]},
    "training": {"epochs": 20, "batch_size": 20, "seed": 3},
}


def upload(r: Round, *, broken: bool = False) -> httpx.Response | None:
    """Upload the table; with `broken`, kill the API in the middle unless a fault point is armed."""

    def pieces() -> object:
        data = SPIRALS_CSV.encode()
        yield data[: len(data) // 2]
        if broken and not any(r.local.fault_points.iterdir()):
            r.kill_api()
        yield data[len(data) // 2 :]

    try:
        return httpx.post(
            f"{r.local.url}/v1/datasets?name=table",
            content=pieces(),  # type: ignore[arg-type]
            headers={"Content-Type": "text/csv"},
            timeout=30,
        )
    except httpx.HTTPError:
        return None


def train_uploaded(r: Round) -> None:
    """Upload again and train on the table twice, the first run being the expected result of the second."""
    answer = upload(r)
    assert answer is not None
    assert answer.status_code in {200, 201}, answer.text
    spec = UPLOADED | {"data": {"type": "dataset", "id": answer.json()["id"], "target": "kind"}}
    first = httpx.post(f"{r.local.url}/v1/jobs", json=spec, timeout=30).json()["id"]
    r.job_id = first
    r.until(lambda _: False, "it ends")
    r.expected = job_result(r.database, first)
    if r.expected.status != "succeeded":
        r.violations.append(f"training on the upload after the fault failed: {r.expected.code}")
    r.post(spec)
