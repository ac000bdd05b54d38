"""The errors of a spec that cannot be trained."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from core import VERSION
from core.versions import UnknownVersion

SpecError: TypeAlias = tuple[str, str]
"""A JSON pointer into the spec, and a message: what is wrong and what to write instead."""

INVALID_SPEC_CODES: Mapping[str, str] = MappingProxyType(
    {
        "invalid_spec": "The job spec is not valid",
        "shape_mismatch": "A layer does not fit its input, or the output does not fit the loss or the target",
        "limit_exceeded": "The job needs more than its limits or those of the service allow",
    }
)
"""The codes of `InvalidSpec` and what each means."""


class InvalidSpec(ValueError):
    """The spec cannot be trained. `code` is a key of `INVALID_SPEC_CODES`."""

    def __init__(self, errors: Sequence[SpecError], code: str = "invalid_spec") -> None:
        super().__init__("; ".join(f"{pointer}: {message}" for pointer, message in errors))
        self.errors = errors
        self.code = code


class UnknownSpec(UnknownVersion):
    """The stored spec was accepted by another version of this service, and this version does not know all of it."""

    def __init__(self) -> None:
        super().__init__(f"another version accepted this job's spec, and version {VERSION} does not know all of it")
