"""Bodies with very many errors."""

from harness.load.attack import Attack, Must, Run, Target, as_bytes
from harness.load.jobs import spec


def wrong_layers(target: Target) -> Run:
    """Post a network whose layers are all wrong."""
    body = as_bytes(spec([]) | {"architecture": {"layers": [1] * target.scaled(1_000_000)}})
    return lambda: [target.post("/v1/jobs", body)]


def unknown_fields(target: Target) -> Run:
    """Post a job with very many unknown fields."""
    body = as_bytes(spec([]) | {f"field{number}": 1 for number in range(target.scaled(200_000))})
    return lambda: [target.post("/v1/jobs", body)]


def nan_values(target: Target) -> Run:
    """Post instances that are all NaN."""
    body = b'{"data":{"type":"inline","x":[' + b",".join([b"NaN"] * target.scaled(2_000_000)) + b'],"y":[1]}}'
    return lambda: [target.post("/v1/jobs", body)]


def deep_paths(target: Target) -> Run:
    """Post rows of which each has a text among its numbers, at a long path."""
    row = [[[[1, "x"]]]]
    body = as_bytes(spec([]) | {"data": {"type": "inline", "x": [row] * target.scaled(300_000), "y": [1]}})
    return lambda: [target.post("/v1/jobs/validate", body)]


PROCESS = 100
"""Megabytes of a process of the compute pool, which validates a large body; the body may take ten times its size."""
BODIES = (
    Attack(
        "1,000,000 wrong layers in 2 MB",
        wrong_layers,
        Must(seconds=2, job_p99=100, kept=PROCESS + 40, growth=PROCESS + 20),
    ),
    Attack(
        "200,000 unknown fields", unknown_fields, Must(seconds=2, job_p99=100, kept=PROCESS + 40, growth=PROCESS + 40)
    ),
    Attack("2,000,000 times NaN", nan_values, Must(seconds=2, job_p99=100, kept=PROCESS + 40, growth=PROCESS + 80)),
    Attack(
        "300,000 nested rows with a text",
        deep_paths,
        Must(seconds=2, job_p99=100, kept=PROCESS + 40, growth=PROCESS + 60),
    ),
)
