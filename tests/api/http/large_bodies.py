"""The worst bodies within the size limit, of each kind; as a program, it parses each within a limit of memory.

`python -m tests.api.http.large_bodies [NAME …]` exits with 1 where a body takes more.
"""

import json
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from api.http.errors import InvalidBody
from api.http.parsing import parse
from api.schemas.inspection import InspectionRequest
from api.schemas.prediction import PredictionRequest
from core.data.errors import InvalidData
from core.data.prepare import signature
from core.jobs.continuation import Continuation
from core.jobs.errors import InvalidSpec
from core.jobs.estimate import Limits, estimate_cost
from core.jobs.examples import DOUBLING
from core.jobs.spec import JobSpec
from core.settings import Settings

MAX_BYTES = 10 * Settings().max_body_bytes


def spec(name: str, value: bytes) -> bytes:
    """The y = 2x spec with JSON text for one field."""
    return json.dumps(DOUBLING | {name: "@"}).encode().replace(b'"@"', value)


def repeated(item: bytes, times: int) -> bytes:
    """A list of equal items."""
    return b"[" + b",".join([item] * times) + b"]"


def layers(items: bytes) -> bytes:
    """A spec with these layers."""
    return spec("architecture", b'{"layers":%s}' % items)


def inline(x: bytes, y: bytes = b"[1]", more: bytes = b"") -> bytes:
    """A spec with this data."""
    return spec("data", b'{"type":"inline","x":%s,"y":%s%s}' % (x, y, more))


def names(count: int) -> bytes:
    """An object with so many different names."""
    return b"{%s}" % b",".join(b'"n%d":1' % i for i in range(count))


def nested(item: bytes, times: int, depth: int) -> bytes:
    """Items within composites within composites."""
    return b'[{"type":"sequential","layers":' * depth + repeated(item, times) + b"}]" * depth


def schedules(depth: int) -> bytes:
    """A binary tree of schedules, each of them wrong."""
    if not depth:
        return b"-1"
    inner = schedules(depth - 1)
    return b'{"type":"sequence","first":%s,"first_steps":0,"schedule":%s}' % (inner, inner)


LARGE_SPECS: Mapping[str, Callable[[], bytes]] = {
    "a million wrong layers": lambda: layers(repeated(b"1", 1_000_000)),
    "layers without type": lambda: layers(repeated(b"{}", 700_000)),
    "layers of an unknown type": lambda: layers(repeated(b'{"type":"dens"}', 9_999)),
    "layers with a wrong field": lambda: layers(repeated(b'{"type":"dense","units":0}', 9_999)),
    "layers with unknown names": lambda: layers(repeated(b'{"type":"dense",%s' % names(90)[1:], 2_000)),
    "a thousand times a thousand layers": lambda: layers(repeated(nested(b'"flatten"', 1_000, 1)[1:-1], 1_000)),
    "wrong layers in composites": lambda: layers(repeated(nested(b"1", 100, 1)[1:-1], 1_000)),
    "layers nested deep": lambda: layers(nested(b'{"type":"flatten"}', 9_000, 60)),
    "lists of lists of layers": lambda: layers(repeated(repeated(b"{}", 9_500), 19)),
    "unknown names": lambda: names(700_000),
    "the same unknown name": lambda: b"{%s}" % b",".join([b'"n":1'] * 700_000),
    "much metadata": lambda: spec("metadata", names(500_000)),
    "a long name": lambda: spec("name", b'"%s\xf0\x9f\x98\x80"' % (b"a" * 15_000_000)),
    "a long type": lambda: spec("loss", b'{"type":"%s"}' % (b"a" * 15_000_000)),
    "a long unknown name": lambda: spec("loss", b'{"%s":1}' % (b"a" * 15_000_000)),
    "many schedules": lambda: spec("optimizer", b'{"type":"sgd","learning_rate":%s}' % schedules(14)),
    "many rows of one number": lambda: inline(repeated(b"[1]", 370_000), repeated(b"1", 370_000)),
    "many empty rows": lambda: inline(repeated(b"[]", 700_000)),
    "many objects as rows": lambda: inline(repeated(b"{}", 700_000)),
    "too many numbers": lambda: inline(repeated(b"1", 8_000_000)),
    "wide rows": lambda: inline(repeated(repeated(b"0.12345678", 1_000), 1_400), repeated(b"1", 1_400)),
    "wide rows of texts": lambda: inline(repeated(repeated(b'"a"', 1_000), 1_400)),
    "rows of infinite numbers": lambda: inline(repeated(b"[1e999]", 700_000)),
    "texts with NUL": lambda: inline(repeated(b'"\\u0000"', 1_000_000)),
    "many classes": lambda: inline(repeated(b"1", 600_000), repeated(b'"c"', 599_999)[:-1] + b',"d"]'),
    "negative weights": lambda: inline(b"[1]", b"[1]", b',"sample_weight":%s' % repeated(b"-1", 1_000_000)),
    "weights that are texts": lambda: inline(b"[1]", b"[1]", b',"sample_weight":%s' % repeated(b'"a"', 1_000_000)),
    "padded rows": lambda: inline(
        repeated(b"[1]", 180_000)[:-1] + b",[1,1,1]]", repeated(b"1", 180_001), b',"padding":{}'
    ),
    "features that are numbers": lambda: spec(
        "data", b'{"type":"dataset","id":"d","features":%s}' % repeated(b"1", 16_000)
    ),
    "many patterns": lambda: spec(
        "optimizer",
        b'{"type":"weight_decay","weight_decay":1,"optimizer":"sgd","weights":%s}' % repeated(b'"*a*b"', 500_000),
    ),
    "huge integers": lambda: layers(repeated(b'{"type":"dense","units":%s}' % (b"9" * 150), 9_000)),
    "brackets": lambda: b"[" * 16_000_000,
    "an end too early": lambda: inline(repeated(b"[1]", 700_000))[:-1],
}
"""Specs by what is large in them. Only a few are valid."""

LARGE_REQUESTS: Mapping[str, tuple[type[BaseModel], Callable[[], bytes]]] = {
    "instances": (PredictionRequest, lambda: b'{"instances":%s}' % repeated(b"[1]", 740_000)),
    "records": (PredictionRequest, lambda: b'{"instances":%s}' % repeated(b'{"a":1,"b":2}', 180_000)),
    "unknown names of a request": (PredictionRequest, lambda: names(700_000)),
    "empty rows to inspect": (InspectionRequest, lambda: b'{"instances":%s,"targets":[1]}' % repeated(b"[]", 700_000)),
    "unknown names of a continuation": (Continuation, lambda: names(700_000)),
}


def check(model: type[BaseModel], body: bytes) -> None:
    """Parse a body, and check it as a spec; at most 20 errors are found."""
    try:
        parsed = parse(model, body)
        if isinstance(parsed, JobSpec) and parsed.data.dataset_id is None:
            estimate_cost(parsed, signature(parsed.data, None), Limits())
    except InvalidData:
        pass
    except (InvalidBody, InvalidSpec) as error:
        if not 0 < len(error.errors) <= 20:
            raise AssertionError from error


def main(chosen: Sequence[str]) -> None:
    """Parse these bodies, by default all, each within `MAX_BYTES` more of address space than before."""
    specs = {name: (JobSpec, make) for name, make in LARGE_SPECS.items()}
    bodies: dict[str, tuple[type[BaseModel], Callable[[], bytes]]] = {**specs, **LARGE_REQUESTS}
    parse(JobSpec, spec("name", b'"first"'))
    failed = False
    for name in chosen or bodies:
        model, make = bodies[name]
        body = make()
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MAX_BYTES, resource.RLIM_INFINITY))
        try:
            check(model, body)
        except MemoryError:
            failed = True
            sys.stderr.write(f"{name}: {len(body):,} bytes take more than {MAX_BYTES:,} bytes of memory\n")
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    sys.exit(failed)


if __name__ == "__main__":
    main(sys.argv[1:])
