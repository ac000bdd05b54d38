"""The child process that reads an upload for the first time: `python -m core.data.readers.infer_schema`.

A question on standard input, as JSON: where the file is, how it is laid out, and what may be used. An answer on
standard output: `{"schema": …}`, `{"invalid": why}` or `{"memory": true}`. It imports what the formats need and nothing
more, which is NumPy: some 0.2 s of a core.
"""

import json
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.errors import InvalidFile
from core.data.readers.formats import FORMATS, inspect
from core.data.schema import Limits

NICE = 10


@dataclass(frozen=True)
class Bounds:
    """What one inspection may take: seconds of a core, and bytes of memory."""

    seconds: float
    bytes: int


def main() -> None:
    """Answer one question."""
    asked = json.load(sys.stdin)
    _bind(Bounds(**asked["bounds"]))
    try:
        layout = FORMATS[asked["format"]](**asked["layout"])
        schema = inspect(Path(asked["path"]), layout, asked["types"], Limits(**asked["limits"]))
        answer: dict[str, Any] = {"schema": schema.to_json()}
    except InvalidFile as error:
        answer = {"invalid": error.message}
    except MemoryError:
        answer = {"memory": True}
    json.dump(answer, sys.stdout)


def _bind(bounds: Bounds) -> None:
    seconds = max(1, round(bounds.seconds))
    resource.setrlimit(resource.RLIMIT_AS, (bounds.bytes, bounds.bytes))
    resource.setrlimit(
        resource.RLIMIT_CPU, (seconds, seconds + 1)
    )  # at the first a signal that tells, at the second the end
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICE)


if __name__ == "__main__":
    main()
