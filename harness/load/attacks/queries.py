"""Query parameters in great number or length."""

from functools import partial

from harness.load.attack import Attack, Must, Run, Target
from harness.load.client import together

MANY = Must(seconds=1, job_p99=100, growth=50)


def get_together(target: Target, path: str, clients: int = 4) -> Run:
    """Return the attack of a few clients that ask for the same path."""
    return lambda: together([partial(target.ask, "GET", path)] * clients)


def metadata_pairs(count: int, target: Target) -> Run:
    """List jobs by this many pairs of metadata."""
    pairs = "&".join(f"metadata[k{number}]=v" for number in range(target.scaled(count, 20)))
    return get_together(target, f"/v1/jobs?{pairs}")


def statuses(target: Target) -> Run:
    """List jobs by a status that is given 3,000 times."""
    return get_together(target, "/v1/jobs?" + "&".join(["status=queued"] * target.scaled(3000, 100)))


def long_name(target: Target) -> Run:
    """List jobs by a name of 50,000 characters."""
    return get_together(target, "/v1/jobs?name=" + "x" * target.scaled(50_000, 1000))


def unknown_parameters(target: Target) -> Run:
    """List jobs with 5,000 unknown parameters."""
    return get_together(target, "/v1/jobs?" + "&".join(f"p{number}=1" for number in range(target.scaled(5000))))


QUERIES = (
    Attack("200 pairs of metadata, 4 clients", partial(metadata_pairs, 200), MANY),
    Attack("1,500 pairs of metadata, 4 clients", partial(metadata_pairs, 1500), MANY),
    Attack("a status given 3,000 times", statuses, MANY),
    Attack("a name of 50,000 characters", long_name, MANY),
    Attack("5,000 unknown parameters", unknown_parameters, MANY),
)
