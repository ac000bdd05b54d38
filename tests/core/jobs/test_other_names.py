"""Each name that a suggestion can give exists in the spec."""

import pytest

from core.jobs.other_names import FIELDS, REMARKS, TYPE_REMARKS, TYPES
from core.jobs.spec import JobSpec
from core.jobs.states import Status
from core.spelling import plain

DEFINITIONS = list(JobSpec.model_json_schema()["$defs"].values())
KNOWN_TYPES = {
    d["properties"]["type"]["const"] for d in DEFINITIONS if "const" in d.get("properties", {}).get("type", {})
}
KNOWN_FIELDS = {name for d in DEFINITIONS for name in d.get("properties", {})} | set(JobSpec.model_fields)


def test_types_exist() -> None:
    assert {known for names in TYPES.values() for known in names} <= KNOWN_TYPES | set(Status) | {"train", "validation"}


def test_fields_exist() -> None:
    assert {known for names in FIELDS.values() for known in names} <= KNOWN_FIELDS


@pytest.mark.parametrize("table", [TYPES, FIELDS, REMARKS, TYPE_REMARKS])
def test_other_names_are_plain(table: dict[str, object]) -> None:
    assert [name for name in table if plain(name) != name] == []
