"""All faults in one table: what each does in a round, and in which deployments it can be injected."""

from collections.abc import Mapping
from types import MappingProxyType

from harness.chaos.faults import api, broker, clock, database, disk, processes
from harness.chaos.faults.fault import Fault

FAULTS: Mapping[str, Fault] = MappingProxyType(
    {name: fault for module in (processes, api, broker, database, disk, clock) for name, fault in module.FAULTS.items()}
)
