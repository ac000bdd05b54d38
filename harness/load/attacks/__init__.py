"""All attacks, one file for each kind: add an attack to the table of its file."""

from collections.abc import Mapping

from harness.load.attack import Attack, Must, Run, Target
from harness.load.attacks.answers import ANSWERS
from harness.load.attacks.bodies import BODIES
from harness.load.attacks.compute import COMPUTE
from harness.load.attacks.connections import CONNECTIONS
from harness.load.attacks.queries import QUERIES
from harness.load.attacks.totals import TOTALS


def nothing(_: Target) -> Run:
    """Let the bystanders alone, for comparison."""
    return list


NOTHING = Attack("nothing", nothing, Must(statuses=()))

ATTACKS: Mapping[str, Attack] = {
    attack.name: attack for attack in (NOTHING, *BODIES, *ANSWERS, *COMPUTE, *CONNECTIONS, *QUERIES, *TOTALS)
}
"""The attacks by name, in the order of the table."""
