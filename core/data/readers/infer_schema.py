"""Program that infers the schema of an upload in a process of its own: `python -m core.data.readers.infer_schema`.

It reads a request as JSON from standard input (path, format, reader options, types, limits, bounds) and writes
`{"schema": …}`, `{"invalid": message}` or `{"memory": true}` to standard output. It imports only the readers and NumPy,
about 0.2 s of CPU time.
"""

import json
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.errors import InvalidFile
from core.data.readers import READERS
from core.data.schema import Limits

NICENESS = 10


@dataclass(frozen=True)
class Bounds:
    """Limits of one inference: seconds of CPU time, and bytes of memory."""

    seconds: float
    bytes: int


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    _set_limits(Bounds(**request["bounds"]))
    try:
        reader = READERS[request["format"]](**request["options"])
        schema = reader.infer_schema(Path(request["path"]), request["types"], Limits(**request["limits"]))
        answer: dict[str, Any] = {"schema": schema.to_json()}
    except InvalidFile as error:
        answer = {"invalid": error.message}
    except MemoryError:
        answer = {"memory": True}
    json.dump(answer, sys.stdout)


def _set_limits(bounds: Bounds) -> None:
    seconds = max(1, round(bounds.seconds))
    # Memory that can be written: DuckDB's threads reserve addresses beyond it, which cost nothing.
    resource.setrlimit(resource.RLIMIT_DATA, (bounds.bytes, bounds.bytes))
    # SIGXCPU at the soft limit tells the parent the reason; SIGKILL follows at the hard limit.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICENESS)


if __name__ == "__main__":
    main()
