"""The version of this program, and two numbers that say which jobs it can train.

A job has the numbers of the version that accepted it or last trained it. A worker claims only jobs whose numbers are at
most its own, so that versions can run side by side. `tests/versions` finds a change that was not declared here.
"""

from typing import NamedTuple

from core import VERSION

VOCABULARY = 1
"""Raise it in a version that reads specs or checkpoints which the version before does not read, or reads otherwise."""
ARITHMETIC = 1
"""Raise it in a version that computes other numbers from the same spec, if only in the last bit."""


class Release(NamedTuple):
    """A version with its numbers. A job from before the numbers has 0 in both and no version."""

    version: str
    vocabulary: int
    arithmetic: int

    def trains(self, vocabulary: int, arithmetic: int) -> bool:
        """Return whether a worker of this version can train a job with these numbers."""
        return vocabulary <= self.vocabulary and arithmetic <= self.arithmetic


class UnknownVersion(ValueError):
    """Another version of this service wrote something that this version does not know, and the job waits for it."""


THIS = Release(VERSION, VOCABULARY, ARITHMETIC)
"""This program."""


def is_older(version: str, other: str) -> bool:
    """Return whether a version is older than another one."""
    return _numbers(version) < _numbers(other)


def newest(versions: list[str]) -> str | None:
    """Return the newest of these versions, or None if there are none."""
    return max(versions, key=_numbers, default=None)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
