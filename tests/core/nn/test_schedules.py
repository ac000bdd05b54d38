"""Schedules: their rates at given steps, and the one-cycle schedule against PyTorch."""

from typing import Any

import pytest

from core.nn.schedules import OneCycle
from tests.core.nn.cases import SCHEDULES, ScheduleCase


@pytest.mark.parametrize("case", SCHEDULES, ids=lambda case: case.schedule.type)
def test_schedule_at_given_steps_has_the_listed_rates(case: ScheduleCase) -> None:
    for step, rate in case.rates.items():
        assert case.schedule.at(step, 100) == pytest.approx(rate, abs=1e-12)


@pytest.mark.parametrize("steps", [10, 50])
def test_one_cycle_matches_torch(torch: Any, steps: int) -> None:
    torch_optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    torch_schedule = torch.optim.lr_scheduler.OneCycleLR(torch_optimizer, max_lr=0.5, total_steps=steps)
    schedule = OneCycle(max_lr=0.5)
    for step in range(steps):
        assert schedule.at(step, steps) == pytest.approx(torch_optimizer.param_groups[0]["lr"], rel=1e-9)
        torch_optimizer.step()
        if step + 1 < steps:
            torch_schedule.step()
