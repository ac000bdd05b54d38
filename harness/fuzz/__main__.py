"""`python -m harness.fuzz.__main__ <parser> [seconds]`: throw coverage-guided bytes at a parser that meets a client's.

Needs `pip install atheris`, which is no dependency of this project. What it finds goes into `FOUND` of test_parsers.py.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["api", "core"]):
    from harness.fuzz.parsers import PARSERS, seeds


def main(name: str, seconds: str = "600") -> None:
    """Fuzz until the time is over or something is found."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(name)):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", "-max_len=65536", "-rss_limit_mb=4096", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], corpus, *options], PARSERS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
