"""Coverage-guided fuzzing of one parser: `python -m harness.fuzz <parser> [seconds]`.

It needs `pip install atheris`, which is not a dependency of this project. Add inputs that fail to `REGRESSIONS` of
`tests/harness/test_fuzz.py`.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["api", "core"]):
    from harness.fuzz.parsers import PARSERS, seeds


def main(name: str, seconds: str = "600") -> None:
    """Fuzz until the time is over or an input fails."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(name)):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", "-max_len=65536", "-rss_limit_mb=4096", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], corpus, *options], PARSERS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
