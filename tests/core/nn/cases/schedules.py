"""A table of schedules and their rates: at least one row for each member."""

from typing import NamedTuple

from core.nn import schedules
from core.nn.schedules import Schedule


class ScheduleCase(NamedTuple):
    """A schedule and its rate at some steps of 100."""

    schedule: Schedule
    rates: dict[int, float]


SCHEDULES: list[ScheduleCase] = [
    ScheduleCase(schedules.ConstantRate(learning_rate=0.5), {0: 0.5, 99: 0.5}),
    ScheduleCase(
        schedules.StepDecay(initial_learning_rate=1, decay_steps=10, decay_rate=0.5), {0: 1, 9: 1, 10: 0.5, 25: 0.25}
    ),
    ScheduleCase(schedules.CosineDecay(initial_learning_rate=1), {0: 1, 50: 0.5, 100: 0}),
    ScheduleCase(
        schedules.CosineDecay(initial_learning_rate=1, decay_steps=10, alpha=0.2), {0: 1, 5: 0.6, 10: 0.2, 50: 0.2}
    ),
    ScheduleCase(
        schedules.ExponentialDecay(initial_learning_rate=1, decay_steps=10, decay_rate=0.25), {0: 1, 5: 0.5, 10: 0.25}
    ),
    ScheduleCase(schedules.PolynomialDecay(initial_learning_rate=1, end_learning_rate=0), {0: 1, 25: 0.75, 100: 0}),
    ScheduleCase(
        schedules.PolynomialDecay(initial_learning_rate=1, decay_steps=10, end_learning_rate=0.2, power=2),
        {0: 1, 5: 0.4, 10: 0.2, 50: 0.2},
    ),
    ScheduleCase(
        schedules.InverseSquareRootDecay(initial_learning_rate=1, decay_steps=4), {0: 1, 4: 1, 16: 0.5, 64: 0.25}
    ),
    ScheduleCase(
        schedules.CosineRestarts(initial_learning_rate=1, first_decay_steps=10, m_mul=0.5),
        {0: 1, 5: 0.5, 10: 0.5, 20: 0.25, 30: 0.25, 50: 0.125, 70: 0.125},
    ),
    ScheduleCase(
        schedules.CosineRestarts(initial_learning_rate=1, first_decay_steps=10, t_mul=1, alpha=0.2),
        {0: 1, 5: 0.6, 10: 1, 15: 0.6, 20: 1},
    ),
    ScheduleCase(
        schedules.OneCycle(max_lr=1, pct_start=0.3, div_factor=10, final_div_factor=10),
        {0: 0.1, 29: 1, 64: 0.505, 99: 0.01},
    ),
    ScheduleCase(
        schedules.Warmup(warmup_steps=4, schedule=schedules.CosineDecay(initial_learning_rate=1)),
        {0: 0.25, 3: 1, 4: 1, 52: 0.5, 100: 0},
    ),
    ScheduleCase(
        schedules.Sequence(
            first=schedules.PolynomialDecay(initial_learning_rate=1, end_learning_rate=0),
            first_steps=20,
            schedule=schedules.CosineDecay(initial_learning_rate=2),
        ),
        {0: 1, 10: 0.5, 19: 0.05, 20: 2, 60: 1, 100: 0},
    ),
]
