"""The errors of a spec that cannot be trained."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from core import VERSION
from core.versions import UnknownVersion

SpecError: TypeAlias = tuple[str, str]
"""A JSON pointer into the spec, and a message: what is wrong and what to write instead."""

MAX_ERRORS = 20
"""Errors that a client gets at once; of further ones it gets the number."""

INVALID_SPEC_CODES: Mapping[str, str] = MappingProxyType(
    {
        "invalid_spec": "The job spec is not valid",
        "shape_mismatch": "A layer does not fit its input, or the output does not fit the loss or the target",
        "limit_exceeded": "The job needs more than its limits or those of the service allow",
    }
)
"""The codes of `InvalidSpec` and what each means."""


class InvalidSpec(ValueError):
    """The spec cannot be trained. `code` is a key of `INVALID_SPEC_CODES`.

    `errors` are the first `MAX_ERRORS`, `more_errors` is the number of further ones.
    """

    def __init__(self, errors: Sequence[SpecError], code: str = "invalid_spec", more_errors: int = 0) -> None:
        self.errors = errors[:MAX_ERRORS]
        self.more_errors = len(errors) - len(self.errors) + more_errors
        self.code = code
        more = f" (and {self.more_errors} more)" if self.more_errors else ""
        super().__init__("; ".join(f"{pointer}: {message}" for pointer, message in self.errors) + more)


class UnknownSpec(UnknownVersion):
    """The stored spec was accepted by another version of this service, and this version does not know all of it."""

    def __init__(self) -> None:
        super().__init__(f"another version accepted this job's spec, and version {VERSION} does not know all of it")
