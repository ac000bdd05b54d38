"""The steps of the compose test that use a deployment: start it, train jobs, scale it."""

import json
import random
import time
from typing import Any

from harness.compose.project import Deployment, Json, docker, require, until

MAX_IMAGE_BYTES = 400e6  # bytes
LONG_JOB_SECONDS = 12.0  # seconds that the long job trains without faults

DIGITS = {
    "name": "digits",
    "architecture": {"layers": [{"type": "dense", "units": 64, "activation": "relu"}, {"type": "dense", "units": 10}]},
    "optimizer": {"type": "adam", "learning_rate": 0.002},
    "training": {"epochs": 20, "batch_size": 32, "seed": 7},
}


def starts(deployment: Deployment, _: Json) -> str:
    """Check that `docker compose up` starts a service that becomes ready."""
    deployment.compose("build", "--quiet", timeout=600)
    began = time.monotonic()
    deployment.compose("up", "--detach", timeout=300)
    until("the service is ready", lambda: deployment.ask("/health/ready")["status"] == "ready")
    ready = time.monotonic() - began
    deployment.ready()
    return f"ready after {ready:.1f} s"


def is_confined(deployment: Deployment, _: Json) -> str:
    """Check that containers have no more rights than they need and the image has no build tools."""
    for one in json.loads(docker("inspect", *deployment.containers(ended=True))):
        host, name = one["HostConfig"], one["Name"]
        require(host["ReadonlyRootfs"], f"{name}: its root file system is writable")
        require(host["CapDrop"] == ["ALL"] and not host["CapAdd"], f"{name}: has capabilities")
        require("no-new-privileges:true" in host["SecurityOpt"], f"{name}: can gain privileges")
        require(one["Config"]["User"] not in {"", "0", "root"}, f"{name}: runs as root")
        require(host["Memory"] and host["PidsLimit"], f"{name}: has no limits")
        once = one["Config"]["Labels"]["com.docker.compose.service"] in {"secrets", "migrate"}
        require(
            host["RestartPolicy"]["Name"] == ("no" if once else "unless-stopped"), f"{name}: has a wrong restart policy"
        )
        require(host["LogConfig"]["Config"].get("max-size"), f"{name}: its log has no maximum size")
        published = [bound for ports in one["NetworkSettings"]["Ports"].values() for bound in ports or []]
        require({bound["HostIp"] for bound in published} <= {"127.0.0.1"}, f"{name}: is reachable from outside")
        service = one["Config"]["Labels"]["com.docker.compose.service"]
        require(service == "api" or not _has_route_out(one), f"{name}: has a route out of the deployment")
        variables = (variable.partition("=") for variable in one["Config"]["Env"])  # one that is unset has no "="
        environment = {variable: value for variable, _, value in variables}
        require("postgresql://" not in str(environment), f"{name}: the password is in its environment")
        threads = int(environment.get("OPENBLAS_NUM_THREADS", 0))
        require(not threads or host["NanoCpus"] == threads * 1e9, f"{name}: has different numbers of cores and threads")
    tools = deployment.compose(
        "exec", "-T", "api", "sh", "-c", "command -v gcc cc g++ make uv git curl wget; true"
    ).split()
    require(not tools, f"the image holds {tools}")
    size = int(docker("image", "inspect", "--format", "{{.Size}}", "chainrule:local"))
    require(size < MAX_IMAGE_BYTES, f"the image has {size / 1e6:.0f} MB")
    return f"image of {size / 1e6:.0f} MB"


def _has_route_out(container: Json) -> bool:
    networks = [network for network in container["NetworkSettings"]["Networks"] if network != "none"]
    return bool(networks) and "false" in docker("network", "inspect", "--format", "{{.Internal}}", *networks)


def lets_workers_reach_a_bucket(deployment: Deployment, _: Json) -> str:
    """Check that, with a bucket's address, workers get a route to it and the image gets the bucket's client."""
    address = "s3://bucket/prefix"
    text = deployment.compose("config", "--format", "json", CHAINRULE_BLOBS_URL=address, AWS_REGION="eu-central-1")
    found = json.loads(text)
    worker = found["services"]["worker"]
    routes = [name for name in worker["networks"] if not found["networks"][name].get("internal")]
    require(len(routes) == 1, f"the worker's networks with a route out: {routes}")
    for service in ("api", "worker"):
        environment = found["services"][service]["environment"]
        require(environment["CHAINRULE_BLOBS_URL"] == address, f"{service}: does not know the bucket")
        require(environment["AWS_REGION"] == "eu-central-1", f"{service}: does not get the provider's variables")
    require("bucket" in found["services"]["secrets"]["build"]["args"]["EXTRAS"], "the image lacks the bucket's client")
    return f"by the network {routes[0]}"


def learns_doubling(deployment: Deployment, results: Json) -> str:
    """Check that a job learns y = 2x."""
    job = deployment.post(deployment.ask("/openapi.json")["components"]["schemas"]["JobSpec"]["example"])
    deployment.wait_for_success(job)
    results["doubling"] = job
    return doubles(deployment, results)


def doubles(deployment: Deployment, results: Json) -> str:
    """Check that the first job still predicts 6 → 12."""
    answer = deployment.ask(f"/v1/jobs/{results['doubling']}/predictions", {"instances": [[6]]})["predictions"][0][
        "value"
    ]
    require(abs(answer - 12) < 0.005, f"6 → {answer}")
    return f"6 → {answer:.2f}"


def learns_digits(deployment: Deployment, _: Json) -> str:
    """Check that a job learns digits uploaded as CSV."""
    name, rows = load_digit_rows()
    header = [*(f"pixel_{index}" for index in range(len(rows[0]) - 1)), "digit"]
    table = "".join(",".join(map(str, row)) + "\n" for row in [header, *rows])
    types = "%7B%22digit%22%3A%22category%22%7D"
    dataset = deployment.ask(f"/v1/datasets?name=digits&types={types}", table, content_type="text/csv")
    held = {"fraction": 0.2, "stratify": True}
    data = {"type": "dataset", "id": dataset["id"], "target": "digit", "validation": held}
    accuracy = deployment.wait_for_success(deployment.post(DIGITS | {"data": data}))["latest"]["val_accuracy"]
    require(accuracy > 0.93, f"accuracy on the held-out digits is only {accuracy:.1%}")
    return f"accuracy on the held-out digits {accuracy:.1%} ({name})"


def load_digit_rows() -> tuple[str, list[list[Any]]]:
    """Return rows of pixels and a label: scikit-learn's digits, or synthetic ones if it is not installed."""
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - may be missing
    except ImportError:
        draw = random.Random(7)
        ideal = [[draw.randint(0, 16) for _ in range(64)] for _ in range(10)]
        return "synthetic", [[*(p + draw.gauss(0, 2) for p in ideal[i % 10]), i % 10] for i in range(1000)]
    found = load_digits()
    return "scikit-learn's", [
        [*row, label] for row, label in zip(found.data.tolist(), found.target.tolist(), strict=True)
    ]


def long_job(epochs: int) -> Json:
    """Return the spec of the job that the faults interrupt."""
    layers = [{"type": "dense", "units": 64, "activation": "tanh"}, {"type": "dense", "units": 64}]
    return {
        "name": "long",
        "data": {"type": "builtin", "name": "spirals", "rows": 1000},
        "architecture": {"layers": [*layers, {"type": "dense", "units": 1}]},
        "optimizer": {"type": "adam", "learning_rate": 0.001},
        "training": {"epochs": epochs, "batch_size": 32, "seed": 7},
    }


def trains_undisturbed(deployment: Deployment, results: Json) -> str:
    """Train an undisturbed job, whose weights are those to compare with."""
    began = time.monotonic()
    deployment.wait_for_success(deployment.post(long_job(100)))
    epochs = max(100, round(100 * LONG_JOB_SECONDS / (time.monotonic() - began)))
    ended = deployment.wait_for_success(deployment.post(long_job(epochs)))
    results["long"], results["weights"] = long_job(epochs), ended["weights_sha256"]
    return f"{epochs} epochs, weights {ended['weights_sha256'][:12]}"


def scales(deployment: Deployment, results: Json) -> str:
    """Check that three workers train three jobs at the same time."""
    deployment.scale_to_three_workers()
    jobs = [deployment.post(results["long"]) for _ in range(3)]
    hosts = until("three jobs train on three hosts", lambda: _three_hosts(deployment, jobs))
    for job in jobs:
        deployment.ask(f"/v1/jobs/{job}/cancel", {})
    return f"three jobs at a time, on {', '.join(sorted(hosts))}"


def _three_hosts(deployment: Deployment, jobs: list[str]) -> set[str] | None:
    workers = [deployment.job(job)["worker"] for job in jobs]
    hosts = {worker.partition(":")[0] for worker in workers if worker}
    return hosts if len(hosts) == 3 else None
