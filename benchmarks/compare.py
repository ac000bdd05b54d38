"""`python -m benchmarks.compare OLD NEW [net …]`: the steps and the peak memory of two checkouts, side by side.

Each checkout runs in processes of its own, with the Python that runs this module. The two take turns, so that
changes of the machine's speed affect both. A ratio is new ÷ old: below 1, the new checkout is faster or smaller.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from benchmarks import nets
from benchmarks.outcome import ratios
from benchmarks.rounds import Contestant, alternate
from benchmarks.steps import MUST, ROUNDS, SECONDS

NETS = [name for name, value in vars(nets).items() if isinstance(value, nets.Net) and value in MUST]
THREADS = (1, 2)
MEMORY_ROUNDS = 3

_SERVE_STEPS = """
import sys
from threadpoolctl import threadpool_limits
from benchmarks import nets, steps
steps.THREADS = int(sys.argv[2])
with threadpool_limits(steps.THREADS, user_api="blas"):
    run = steps.ours(getattr(nets, sys.argv[1]))
    for line in iter(lambda: (print(flush=True), sys.stdin.readline())[1], ""):
        run(int(line))
"""
_PRINT_MEMORY = """
import sys
from benchmarks import nets, peak
print(peak.grown(peak.ours, peak.Learner.__module__, getattr(nets, sys.argv[1])))
"""


def main(old: str, new: str, *names: str) -> int:
    """Print a table of the networks; return 2 for an unknown name."""
    if unknown := set(names) - set(NETS):
        print(f"compare: no {', '.join(sorted(unknown))}; there are {', '.join(NETS)}", file=sys.stderr)
        return 2
    print("| net | threads | old, µs | new, µs | new ÷ old (middle half) | memory old → new, MB |")
    print("|---|---|---|---|---|---|")
    checkouts = {"old": Path(old), "new": Path(new)}
    for name in names or NETS:
        grown = {which: _memory(checkout, name) for which, checkout in checkouts.items()}
        for threads in THREADS:
            print(_row(checkouts, name, threads, f"{grown['old']:.1f} → {grown['new']:.1f}"), flush=True)
    return 0


def _row(checkouts: dict[str, Path], name: str, threads: int, memory: str) -> str:
    with ExitStack() as stack:
        contestants = {
            which: stack.enter_context(_contestant(checkout, name, threads)) for which, checkout in checkouts.items()
        }
        measured = alternate(contestants, ROUNDS, SECONDS)
    old, new = (median(measured[which]) * 1e6 for which in ("old", "new"))
    ratio, spread = ratios(measured["new"], measured["old"])
    net: nets.Net = getattr(nets, name)
    return f"| {net.name} | {threads} | {old:.1f} | {new:.1f} | {ratio:.2f} ({spread}) | {memory} |"


@contextmanager
def _contestant(checkout: Path, name: str, threads: int) -> Iterator[Contestant]:
    """Yield the network of a checkout as a contestant in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE_STEPS, name, str(threads)],
        cwd=checkout,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        if process.stdin is None or process.stdout is None or not process.stdout.readline():
            raise RuntimeError(f"{checkout}: {name} cannot be trained there")
        requests, answers = process.stdin, process.stdout

        def run(steps: int) -> None:
            print(steps, file=requests, flush=True)
            answers.readline()

        yield run
        requests.close()


def _memory(checkout: Path, name: str) -> float:
    """Return the MB by which a process grows in a training: the median of some processes."""
    command = [sys.executable, "-c", _PRINT_MEMORY, name]
    runs = [
        subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True) for _ in range(MEMORY_ROUNDS)
    ]
    return median(float(run.stdout) for run in runs)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
